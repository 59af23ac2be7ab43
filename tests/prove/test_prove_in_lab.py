"""A short run: the sound system breaks no law under faults, and three planted bugs are caught."""

from __future__ import annotations

import pytest

from drills.prove.campaign import SHORTEST_ROUND_S, Figures, campaign
from drills.prove.mutants import MUTANTS
from drills.prove.run import ground

SEED = 2026
QUICK = ("offer_not_compared", "last_come_first", "equal_token")
"""Caught within seconds. The others are planted by `./everline prove`."""


@pytest.mark.lab
async def test_nothing_is_violated_under_faults_and_planted_bugs_are_caught() -> None:
    quick = [mutant for mutant in MUTANTS if mutant.name in QUICK]
    figures = Figures(seed=SEED)
    async with ground() as stage:
        await campaign(stage, figures, operations=1, mutants=quick, tell=lambda _, __: None)
    assert figures.found == []
    assert all(figures.caught.values()), figures.caught
    assert figures.operations > 10 * SHORTEST_ROUND_S
