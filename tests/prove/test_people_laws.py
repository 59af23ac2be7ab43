"""Gates, telephones, and callers who are passed on: what breaks a law, and what looks like it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.prove.history import FaultKind, Overlap, PassedOn
from drills.prove.violations import Law
from state.keys import Kind
from state.model import (
    AgentId,
    Outcome,
    TicketState,
)
from tests.prove.chronicle import SIP
from tests.prove.histories import Tale, call_id


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
