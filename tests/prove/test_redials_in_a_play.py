"""Callers of a frozen edge, who dial again: each place is had once, unless the bug is planted."""

from __future__ import annotations

from collections import Counter

import pytest

from drills.prove.checker import check
from drills.prove.habits import IN_A_HURRY, USUAL, Habits
from drills.prove.history import History, Placed, Stored
from drills.prove.laws_redials import check_redials
from drills.prove.mutants import MUTANTS
from drills.prove.violations import Law
from state.model import Heir
from tests.edge.virtual_time import in_virtual_time
from tests.prove.planting import plant
from tests.prove.play import play
from tests.prove.redialling import LASTS_S, an_edge_freezes

MUTANT = next(mutant for mutant in MUTANTS if mutant.name == "place_had_twice")


async def _history(seed: int, habits: Habits) -> History:
    story = an_edge_freezes(seed, habits)
    return await play(seed=seed, seconds=LASTS_S, wanted=20, story=story)


def _is_heir(event: Stored) -> bool:
    return isinstance(event.value, Heir)


@in_virtual_time
@pytest.mark.parametrize("habits", [USUAL, IN_A_HURRY])
async def test_what_sound_edges_do_gives_no_place_twice(habits: Habits) -> None:
    history = await _history(1, habits)
    assert list(check_redials(history.events)) == []
    heirs = [event for event in history.events if isinstance(event, Stored) and _is_heir(event)]
    times = Counter(event.again for event in history.events if isinstance(event, Placed))
    assert len(heirs) > 1
    assert sum(times.values()) - times[None] >= len(heirs)


@in_virtual_time
async def test_sound_edges_overtake_nobody_who_overflows_at_an_edge_that_stands_still() -> None:
    """With this seed some do while others presume that they are getting an agent."""
    history = await _history(5, USUAL)
    assert check(history.events) == ()


@in_virtual_time
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_bug_shows_soon_with_the_habits_that_it_wishes(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, MUTANT.name)
    history = await _history(seed, MUTANT.habits)
    found = list(check_redials(history.events))
    assert {violation.law for violation in found} == MUTANT.laws == {Law.PLACE_TWICE}
    assert len(found) > 1
