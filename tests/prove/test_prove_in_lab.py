"""A short run: the sound system breaks no law under faults, and three planted bugs are caught."""

from __future__ import annotations

import pytest

from drills.prove.campaign import SHORTEST_ROUND_S, Wanted, campaign
from drills.prove.figures import Figures, Outcome
from drills.prove.mutants import MUTANTS
from drills.prove.run import ground

SEED = 2026
QUICK = ("offer_not_compared", "last_come_first", "equal_token")
"""Caught within seconds. The others are planted by `./everline prove`."""


class Nobody:
    """Hears how it goes, and says nothing."""

    def at(self, what: str, operations: int) -> None:
        """Hear what is at hand."""

    def breach(self, seed: int, outcome: Outcome) -> None:
        """Hear of a breach; the figures have it."""

    def step(self) -> None:
        """Hear that the figures have grown."""


@pytest.mark.lab
async def test_nothing_is_violated_under_faults_and_planted_bugs_are_caught() -> None:
    quick = [mutant for mutant in MUTANTS if mutant.name in QUICK]
    figures = Figures(seed=SEED)
    async with ground() as stage:
        await campaign(stage, figures, Wanted(operations=1, mutants=quick), Nobody())
    assert figures.found == []
    assert all(figures.mutants.by.values()), figures.mutants
    assert figures.operations > 10 * SHORTEST_ROUND_S
