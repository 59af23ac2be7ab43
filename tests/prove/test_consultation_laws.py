"""What the checker says of agents who ask colleagues about a caller."""

from __future__ import annotations

import pytest

from drills.prove.history import FaultKind, PassedOn
from drills.prove.laws_consultations import FREED_S
from drills.prove.violations import Law
from state.keys import Kind
from state.model import EdgeId, Outcome, TransferStatus
from tests.prove.consulting import colleague, consultation_ends, consults, is_handed_over
from tests.prove.histories import Tale, call_id


def _talking(*agents: str) -> Tale:
    """Return a tale in which a caller talks with the first of the agents."""
    tale = Tale(*agents)
    tale.waits("c1")
    tale.gets("c1", agents[0])
    tale.talks("c1")
    tale.connects("c1")
    return tale


def test_a_colleague_is_held_while_they_are_asked_and_free_then() -> None:
    tale = _talking("a01", "b01")
    consults(tale, "c1", "a01", "b01")
    colleague(tale, "c1", "b01")
    consultation_ends(tale, "c1", "a01", "b01")
    tale.store((Kind.OFFER, "b01", None))
    tale.now(FREED_S + 1.0)
    tale.ends("c1", Outcome.ANSWERED)
    tale.stock()
    assert tale.laws() == []


@pytest.mark.parametrize(
    ("by", "to"), [("a02", "b01"), ("a01", "b02")], ids=["by another", "another"]
)
def test_who_is_held_beside_the_agent_has_to_be_whom_that_one_has_asked(by: str, to: str) -> None:
    tale = _talking("a01", "a02", "b01", "b02")
    consults(tale, "c1", by, to)
    colleague(tale, "c1", "b01")
    assert Law.NOT_WAITING in tale.laws()


def test_one_colleague_is_asked_at_a_time() -> None:
    tale = _talking("a01", "b01", "b02")
    for to in ("b01", "b02"):
        consults(tale, "c1", "a01", to)
        colleague(tale, "c1", to)
    assert tale.laws() == [Law.TWO_AGENTS]


@pytest.mark.parametrize("is_said", [True, False])
def test_a_caller_goes_to_a_colleague_only_if_the_agent_says_so(*, is_said: bool) -> None:
    tale = _talking("a01", "b01")
    consults(tale, "c1", "a01", "b01")
    colleague(tale, "c1", "b01")
    tale.is_passed_on("c1")
    if is_said:
        passed = PassedOn(
            at_s=tale.now(), agent=tale.offer_of("c1", "a01").agent, call=call_id("c1"), to="b01"
        )
        tale.note(passed)
    is_handed_over(tale, "c1", "b01")
    tale.connects("c1")
    tale.store((Kind.OFFER, "a01", None))
    assert tale.laws() == ([] if is_said else [Law.ONLY_ASKED])


def test_an_agent_who_consults_another_may_pass_the_caller_to_a_third_meanwhile() -> None:
    tale = _talking("a01", "b01", "b02")
    consults(tale, "c1", "a01", "b01")
    colleague(tale, "c1", "b01")
    tale.is_passed_on("c1")
    tale.target("c1", "b02")
    tale.store((Kind.OFFER, "b01", None))
    assert tale.laws() == []


@pytest.mark.parametrize("broken", [True, False])
def test_a_colleague_who_is_kept_is_left_unless_something_was_broken(*, broken: bool) -> None:
    tale = _talking("a01", "b01")
    consults(tale, "c1", "a01", "b01")
    colleague(tale, "c1", "b01")
    if broken:
        tale.breaks(FaultKind.FREEZE_EDGE, "a1")
        tale.mends(FaultKind.FREEZE_EDGE, "a1")
    consultation_ends(tale, "c1", "a01", "b01")
    tale.now(FREED_S + 1.0)
    tale.presence("a01")
    assert tale.laws() == ([] if broken else [Law.OFFER_LEFT])


def test_a_colleague_who_is_held_for_a_call_that_is_over_is_left() -> None:
    tale = _talking("a01", "b01")
    consults(tale, "c1", "a01", "b01")
    colleague(tale, "c1", "b01")
    tale.ends("c1", Outcome.ANSWERED)
    assert tale.laws() == [Law.OFFER_LEFT]


@pytest.mark.parametrize("has_asked", [True, False])
def test_the_telephone_of_a_colleague_is_in_the_call_too(*, has_asked: bool) -> None:
    tale = _talking("a01", "b01")
    if has_asked:
        consults(tale, "c1", "a01", "b01")
    tale.is_passed_on("c1")
    tale.target("c1", "b01")
    tale.talks("c1")
    assert tale.laws() == ([] if has_asked else [Law.TWO_AGENTS])


@pytest.mark.parametrize("by_survivor", [True, False])
def test_a_survivor_frees_whom_the_ticket_names_and_the_other_next(*, by_survivor: bool) -> None:
    tale = _talking("a01", "b01")
    tale.is_passed_on("c1")
    tale.target("c1", "b01")
    tale.dies("a1")
    cause = "edge_died" if by_survivor else "caller_hung_up"
    tale.ends("c1", Outcome.LOST, cause=cause)
    assert tale.laws() == ([] if by_survivor else [Law.OFFER_LEFT])
    tale.waits("c2", holder="b1")
    tale.gets("c2", "b01")
    tale.dies("b1")
    record = tale.record("c2", Outcome.LOST, cause="edge_died")
    tale.store((Kind.ENDED, "c2", record), (Kind.TICKET, "c2", None))
    assert tale.laws()[-1:] == [Law.OFFER_LEFT], "whom the ticket names is freed with the call"


def test_a_colleague_may_be_reserved_in_the_breath_in_which_a_wish_to_pass_on_is_answered() -> None:
    """One transaction holds both, and the answer's key has the call's id, as the ticket's has."""
    tale = _talking("a01", "a02")
    consults(tale, "c1", "a01", "a02")
    told = TransferStatus(call=call_id("c1"), edge=EdgeId("a1"), wish=1, status=486, reason="busy")
    tale.store((Kind.TRANSFER, "c1", told), (Kind.OFFER, "a02", tale.offer_of("c1", "a02")))
    assert tale.laws() == []
