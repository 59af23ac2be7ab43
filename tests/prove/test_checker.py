"""A sound day; and of order, time and the end: what breaks a law is found, what looks so is not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.prove.history import FaultKind
from drills.prove.violations import Law
from state.keys import Kind
from state.model import (
    AgentId,
    Outcome,
    PresenceState,
    Readiness,
    TicketState,
    Wish,
)
from tests.prove.histories import Tale


def test_a_day_on_which_all_goes_well_breaks_no_law() -> None:
    tale = Tale("a01", "b01")
    seen = tale.waits("c1")
    tale.waits("c2", holder="b1")
    tale.gets("c1", "a01")
    tale.gets("c2", "b01")
    for call in ("c1", "c2"):
        tale.rings(call)
        tale.talks(call)
        tale.ends(call, Outcome.ANSWERED, decided_at=seen if call == "c1" else seen + 1)
    tale.stock({"a01": "idle", "b01": "idle"})
    assert tale.laws() == []


# -- order


def _passed_over(tale: Tale) -> None:
    tale.waits("c1", holder="b1")
    seen = tale.waits("c2")
    tale.gets("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)


def test_one_agent_for_the_second_of_two_callers_is_overtaking() -> None:
    tale = Tale("a01")
    _passed_over(tale)
    assert tale.laws() == [Law.OVERTAKEN]


def test_a_caller_who_comes_to_a_free_agent_breaks_no_law() -> None:
    tale = Tale("a01")
    seen = tale.revision
    tale.comes_to("c1", "a01")
    tale.talks("c1")
    tale.ends("c1", Outcome.ANSWERED, decided_at=seen)
    assert tale.laws() == []


def test_a_caller_who_comes_and_takes_the_agent_of_one_seen_to_wait_is_overtaking() -> None:
    tale = Tale("a01")
    seen = tale.waits("c1", holder="b1")
    tale.comes_to("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)
    assert tale.laws() == [Law.OVERTAKEN]


def test_an_agent_who_is_given_with_a_place_must_be_the_one_whom_it_names() -> None:
    tale = Tale("a01", "a02")
    tale.ticket(tale.arrives("c1"))
    offer = tale.offer_of("c1", "a01")
    ticket = replace(tale.arrives("c1"), state=TicketState.OFFERED, agent=AgentId("a02"))
    tale.store((Kind.OFFER, "a01", offer), tale.ticket(ticket))
    assert Law.NOT_WAITING in tale.laws()


def test_with_two_agents_free_the_second_caller_may_be_quicker() -> None:
    tale = Tale("a01", "b01")
    _passed_over(tale)
    assert tale.laws() == []


def test_a_caller_whose_edge_reaches_other_sites_is_not_compared() -> None:
    tale = Tale("a01")
    tale.probe("b1", "a")
    _passed_over(tale)
    assert tale.laws() == []


def test_what_an_edge_decides_that_loses_events_is_left_open() -> None:
    tale = Tale("a01")
    tale.breaks(FaultKind.LOSE_EVENTS, "a1")
    _passed_over(tale)
    assert tale.laws() == []


def test_a_higher_priority_goes_first() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    seen = tale.waits("c2", priority=1)
    tale.gets("c2", "a01")
    tale.ends("c2", decided_at=seen)
    assert tale.laws() == []


# -- in time, and at the end


@pytest.mark.parametrize("others", [False, True])
def test_the_calls_of_a_dead_edge_are_closed_in_time_if_nothing_else_is_broken(
    others: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    if others:
        tale.breaks(FaultKind.KILL_ETCD, "b")
    tale.now(20.0)
    tale.waits("c2", holder="b1")
    assert tale.laws() == ([] if others else [Law.NOT_FREED])


def test_what_is_left_at_the_end_is_stuck() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.stock({"a01": "ringing"}, legs=1)
    found = tale.laws()
    assert found.count(Law.STUCK) == 4
    assert found.count(Law.NO_RECORD) == 1


@pytest.mark.parametrize("wants", Readiness)
@pytest.mark.parametrize("state", [PresenceState.READY, PresenceState.PAUSED])
def test_at_the_end_an_agent_is_as_they_have_wished_last(
    wants: Readiness, state: PresenceState
) -> None:
    tale = Tale("a01")
    tale.store((Kind.WISH, "a01", Wish(agent=AgentId("a01"), readiness=wants)))
    tale.presence("a01", state)
    tale.stock()
    is_so = (wants is Readiness.READY) is (state is PresenceState.READY)
    assert tale.laws() == ([] if is_so else [Law.STUCK])


def test_a_call_counts_as_answered_only_if_somebody_answered() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.ends("c1", Outcome.ANSWERED)
    tale.stock()
    assert tale.laws() == [Law.UNTRUE]


def test_a_call_whose_edge_died_as_it_answered_is_left_open() -> None:
    tale = Tale()
    tale.waits("c1")
    del tale.events[-1]  # the ticket, which was never written
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    tale.stock()
    assert tale.laws() == []
