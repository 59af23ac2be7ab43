"""Each law: what breaks it is found, and what only looks like it is not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.prove.history import FaultKind, Overlap, PassedOn
from drills.prove.violations import Law
from state.keys import Kind
from state.model import (
    AgentId,
    Claim,
    EdgeId,
    Outcome,
    PresenceState,
    Readiness,
    TicketState,
    Wish,
)
from tests.prove.histories import SIP, Tale, call_id


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


# -- the store


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


# -- gates and telephones


@pytest.mark.parametrize("back", [0, 1], ids=["equal", "older"])
def test_a_token_that_is_not_new_is_stale(back: int) -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.waits("c2")
    first = tale.gets("c1", "a01")
    tale.rings("c1")
    tale.ends("c1")
    tale.gets("c2", "a01")
    tale.rings("c2")
    tale.rings("c2", first if back else None)
    assert Law.STALE_TOKEN in tale.laws()


def test_a_token_that_no_reservation_made_is_false() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    made = tale.gets("c1", "a01")
    tale.rings("c1", made - 1)
    assert tale.laws() == [Law.FALSE_TOKEN]


def test_a_gate_may_hear_of_a_reservation_before_the_history_does() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    made = tale.gets("c1", "a01")
    tale.rings("c1", made + 1)
    assert tale.laws() == []


def _overlap(tale: Tale) -> None:
    since_s = tale.now()
    tale.note(
        Overlap(
            at_s=tale.now(1.0),
            agent=AgentId("a01"),
            old_call=call_id("c1"),
            new_call=call_id("c2"),
            old_edge=SIP["b1"],
            old_since_s=since_s,
        )
    )


def test_a_telephone_that_rings_in_a_call_counts_unless_the_news_was_kept_from_it() -> None:
    tale = Tale("a01")
    _overlap(tale)
    assert tale.laws() == [Law.TWO_CALLS]
    for target, excuses in (("b1", True), ("a1", True)):
        tale = Tale("a01")
        tale.breaks(FaultKind.FREEZE_EDGE, target)
        _overlap(tale)
        assert (tale.laws() == []) is excuses
    tale = Tale("a01")
    tale.breaks(FaultKind.CUT_ONE_WAY, "c>d")
    _overlap(tale)
    assert tale.laws() == [Law.TWO_CALLS]


def test_two_agents_who_answer_the_same_call_are_two() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.talks("c1")
    ticket = replace(tale._tickets["c1"], state=TicketState.QUEUED, agent=None)  # noqa: SLF001
    tale.store(tale.ticket(ticket), (Kind.OFFER, "a01", None))
    tale.gets("c1", "b01")
    tale.talks("c1")
    assert tale.laws() == [Law.TWO_AGENTS]


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


# -- callers who are passed on


def _passes_on(tale: Tale, call: str, to: str) -> None:
    """Let the agent of a call pass it on, and another be rung: two offers."""
    agent = tale.is_passed_on(call)
    tale.note(PassedOn(at_s=tale.now(), agent=agent, call=call_id(call), to=to))
    tale.target(call, to)


def test_a_caller_may_be_passed_on_by_whom_they_talked_with_and_to_one_other() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.talks("c1")
    tale.connects("c1")
    _passes_on(tale, "c1", "b01")
    tale.store((Kind.OFFER, "a01", None))
    tale.ends("c1", Outcome.ANSWERED)
    tale.stock()
    assert tale.laws() == []


def test_a_second_agent_without_a_recorded_transfer_is_one_too_many() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.talks("c1")
    tale.connects("c1")
    tale.target("c1", "b01")
    assert tale.laws() == [Law.TWO_AGENTS, Law.NOT_WAITING, Law.OFFER_LEFT]


def test_who_has_a_caller_again_has_to_pass_them_on_again_before_another_is_rung() -> None:
    for is_told, laws in ((True, []), (False, [Law.NOT_WAITING])):
        tale = Tale("a01", "b01", "b02")
        tale.waits("c1")
        tale.gets("c1", "a01")
        tale.connects("c1")
        tale.is_passed_on("c1")
        tale.target("c1", "b01")
        tale.is_handed_back("c1", "a01")
        tale.connects("c1")
        if is_told:
            tale.is_passed_on("c1")
        tale.target("c1", "b02")
        assert tale.laws() == laws


def test_who_has_passed_a_caller_on_before_the_last_may_not_be_held_any_more() -> None:
    tale = Tale("a01", "b01", "b02")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    for target in ("b01", "b02"):
        tale.is_passed_on("c1")
        tale.target("c1", target)
        tale.connects("c1")
    assert Law.TWO_AGENTS in tale.laws()
    assert Law.OFFER_LEFT in tale.laws()


def test_an_agent_who_passed_the_caller_on_and_is_held_at_the_end_is_left() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.connects("c1")
    tale.is_passed_on("c1")
    tale.target("c1", "b01")
    tale.connects("c1")
    tale.ends("c1", Outcome.ANSWERED)
    assert tale.laws() == [Law.OFFER_LEFT]


def test_a_record_that_says_somebody_passed_the_caller_on_who_did_not_is_untrue() -> None:
    tale = Tale("a01", "b01")
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.talks("c1")
    tale.ends("c1", Outcome.ANSWERED, decided_at=1, passed_on_by="b01")
    tale.stock()
    assert tale.laws() == [Law.UNTRUE]


def test_whom_another_passes_a_caller_to_overtakes_nobody() -> None:
    for by, laws in (("", [Law.OVERTAKEN]), ("b01", [])):
        tale = Tale("a01")
        tale.waits("c1", holder="b1")
        seen = tale.waits("c2")
        tale.gets("c2", "a01")
        tale.ends("c2", Outcome.ANSWERED, decided_at=seen, passed_on_by=by)
        assert tale.laws() == laws


def test_two_telephones_are_in_a_call_while_it_is_passed_on() -> None:
    for has_passed, laws in ((True, []), (False, [Law.TWO_AGENTS])):
        tale = Tale("a01", "b01")
        tale.waits("c1")
        tale.gets("c1", "a01")
        tale.talks("c1")
        tale.connects("c1")
        agent = tale.is_passed_on("c1")
        if has_passed:
            tale.note(PassedOn(at_s=tale.now(), agent=agent, call=call_id("c1"), to="b01"))
        tale.target("c1", "b01")
        tale.talks("c1")
        assert tale.laws() == laws
