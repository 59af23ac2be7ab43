"""Whole calls with real telephones in virtual time, and at each of their steps the same happens."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from state.model import Outcome
from tests.edge.meddling import CALLER, Holds, Meddled, meddled
from tests.edge.people_in_time import Calls, Plan, Serves

PASSES_ON: Final = Plan(
    callers=(Calls(talk_s=6.0),),
    agents=(
        Serves(name="ann", answers_s=0.2, talk_s=3.0, passes_on_to="bob"),
        Serves(name="bob", answers_s=0.2, talk_s=20.0),
    ),
)
IN_VAIN: Final = replace(
    PASSES_ON,
    agents=(
        Serves(name="ann", answers_s=0.2, talk_s=20.0, passes_on_to="bob"),
        Serves(name="bob", answers_s=0.4, declines=True),
    ),
    callers=(Calls(talk_s=15.0),),
)
ASKED_S: Final = 10.2
"""When ann asks for the caller to be passed on in vain: half-way through what she meant to talk."""
AFTER_S: Final = (0.0, 0.01, 0.02, 0.2, 0.39, 0.41, 0.42, 0.43, 0.44, 0.6)
"""So long after that somebody resumes who has held since before; bob declines at 0.4 s."""
MUTED_S: Final = 0.5


def _in_order(found: Meddled) -> None:
    played = found.played
    assert not played.faults, played.faults
    assert not found.left, found.left
    assert not played.ledger.mismatches(), played.ledger.mismatches()
    assert {row.by_edges for row in played.ledger.rows} == {Outcome.ANSWERED}


@pytest.mark.longer(30)
@pytest.mark.parametrize(
    "comes_s",
    [(), (0.0, 0.004), (0.0, 0.7), (0.25,)],
    ids=["lost", "doubled", "once more", "late"],
)
def test_any_datagram_of_a_call_that_is_passed_on_may_go_astray(
    comes_s: tuple[float, ...],
) -> None:
    _, *said = meddled(PASSES_ON).said
    for number in range(1 + len(said)):
        _in_order(meddled(PASSES_ON, {number: comes_s}))


@pytest.mark.parametrize("who", ["ann", CALLER], ids=["agent", "caller"])
def test_who_resumes_at_any_moment_of_a_transfer_in_vain_is_heard_and_hears(who: str) -> None:
    for after_s in AFTER_S:
        holds = Holds(who=who, from_s=ASKED_S - 0.5, until_s=ASKED_S + after_s)
        found = meddled(IN_VAIN, holds=holds)
        _in_order(found)
        assert max(found.muted_s.values()) < MUTED_S, (after_s, found.muted_s)
