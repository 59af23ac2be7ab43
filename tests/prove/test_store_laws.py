"""The laws of the store: what breaks one is found, and what only looks like it is not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.prove.history import FaultKind
from drills.prove.violations import Law
from state.keys import Kind
from state.model import (
    Claim,
    EdgeId,
    Outcome,
    PresenceState,
)
from tests.prove.histories import Tale


def test_an_offer_written_over_another_is_two_offers() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.waits("c2")
    tale.gets("c1", "a01")
    tale.gets("c2", "a01")
    assert Law.TWO_OFFERS in tale.laws()


def test_an_agent_given_again_to_the_same_call_without_a_quorum_is_in_one_offer() -> None:
    for granted, laws in ((None, [Law.TWO_OFFERS]), (3, [])):
        tale = Tale("a01")
        tale.waits("c1")
        tale.gets("c1", "a01")
        again = replace(tale.offer_of("c1", "a01"), granted=granted)
        tale.store((Kind.OFFER, "a01", again))
        assert tale.laws() == laws


def test_an_agent_who_is_free_again_may_have_the_next_call() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.waits("c2")
    tale.gets("c1", "a01")
    tale.ends("c1")
    tale.gets("c2", "a01")
    assert tale.laws() == []


def test_a_call_that_is_given_a_second_agent_has_two() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.gets("c1", "b01")
    assert Law.TWO_AGENTS in tale.laws()


def test_an_agent_who_has_just_paused_may_not_be_given() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.presence("a01", PresenceState.PAUSED)
    tale.gets("c1", "a01")
    assert tale.laws() == [Law.NOT_READY]


def test_a_call_that_is_over_does_not_come_back() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.ends("c1")
    tale.waits("c1")
    assert tale.laws() == [Law.RISEN]


def test_a_call_that_one_edge_has_given_up_to_another_goes_on_there() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.ends("c1", Outcome.LOST, cause="acknowledged_elsewhere")
    again = tale.record("c1", Outcome.LOST)
    tale.store((Kind.ENDED, again.call, None), tale.ticket(tale._tickets["c1"]))  # noqa: SLF001
    assert tale.laws() == []


@pytest.mark.parametrize(
    ("claimant", "died", "goes", "may_rise"),
    [
        ("b1", "a1", True, True),
        (None, "a1", True, False),
        ("c1", "a1", True, False),
        ("b1", "b1", True, False),
        ("b1", "a1", False, False),
    ],
    ids=["it claims it", "nobody claims it", "another does", "it was its own", "its claim stays"],
)
def test_who_claims_a_call_whose_edge_has_died_goes_on_with_it(
    claimant: str | None, died: str, *, goes: bool, may_rise: bool
) -> None:
    tale = Tale("a01", edges="a1 b1 c1")
    tale.waits("c1", holder=died)
    call = tale.ticket_of("c1").call
    if claimant is not None:
        tale.store((Kind.CLAIM, call, Claim(call=call, edge=EdgeId(claimant))))
    tale.breaks(FaultKind.KILL_EDGE, died)
    tale.dies(died)
    tale.ends("c1", Outcome.LOST, cause="edge_died")
    gone = [(Kind.ENDED, call, None), *([(Kind.CLAIM, call, None)] if goes else [])]
    taken = replace(tale.ticket_of("c1"), holder=EdgeId("b1"))
    tale.store(*gone, tale.ticket(taken))
    assert (Law.RISEN not in tale.laws()) is may_rise


def test_a_call_that_one_edge_refused_may_come_to_the_next() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.ends("c1", Outcome.REFUSED)
    again = replace(tale.record("c1", Outcome.REFUSED))
    tale.store((Kind.ENDED, again.call, None), tale.ticket(tale._tickets["c1"]))  # noqa: SLF001
    assert tale.laws() == []


def test_a_ticket_that_changes_hands_is_a_violation() -> None:
    tale = Tale()
    tale.waits("c1")
    ticket = tale._tickets["c1"]  # noqa: SLF001 - as it stands
    tale.store(tale.ticket(replace(ticket, holder=EdgeId("b1"))))
    assert tale.laws() == [Law.TWO_HOLDERS]


def test_a_second_record_is_a_second_end() -> None:
    tale = Tale()
    tale.waits("c1")
    tale.ends("c1")
    tale.store((Kind.ENDED, "c1", tale.record("c1", Outcome.LOST)))
    assert set(tale.laws()) == {Law.TWO_RECORDS}


def test_a_ticket_that_goes_without_a_record_is_no_end() -> None:
    tale = Tale()
    tale.waits("c1")
    tale.store((Kind.TICKET, "c1", None))
    assert tale.laws() == [Law.NO_RECORD]


def test_an_offer_that_outlives_its_call_keeps_the_agent() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    record = tale.record("c1", Outcome.ABANDONED)
    tale.store((Kind.ENDED, "c1", record), (Kind.TICKET, "c1", None))
    assert tale.laws() == [Law.OFFER_LEFT]


def test_a_call_may_be_closed_for_the_dead_and_not_for_the_living() -> None:
    for is_dead in (True, False):
        tale = Tale()
        tale.waits("c1")
        if is_dead:
            tale.dies("a1")
        tale.ends("c1", Outcome.LOST, cause="edge_died")
        assert tale.laws() == ([] if is_dead else [Law.CLOSED_OF_LIVING])


def test_an_edge_clears_away_what_its_former_life_left() -> None:
    tale = Tale()
    tale.waits("c1")
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    tale.mends(FaultKind.KILL_EDGE, "a1")
    tale.ends("c1", Outcome.LOST, cause="edge_died")
    assert tale.laws() == []
