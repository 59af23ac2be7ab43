"""A campaign goes on where it was broken off; a mutant is caught by its own laws only."""

from __future__ import annotations

import msgspec
import pytest

from drills.prove.campaign import (
    AROUND_S,
    MUTANT_TRIES,
    SHORTEST_ROUND_S,
    Wanted,
    campaign,
)
from drills.prove.figures import Figures, Outcome
from drills.prove.mutant import Mutant
from drills.prove.mutants import MUTANTS
from drills.prove.run import Order
from drills.prove.violations import Law, Violation

OLD_TOKEN = next(mutant for mutant in MUTANTS if mutant.name == "old_token")


class Stage:
    """Makes runs of a hundred operations, and remembers what it was asked for."""

    def __init__(self, *breaks: Law, ends_after: int = 100) -> None:
        self.orders: list[Order] = []
        self._found = tuple(Violation(law=law, at_s=1.0, text="so") for law in breaks)
        self._ends_after = ends_after

    async def run(self, order: Order, tell: object) -> Outcome:  # noqa: ARG002 - as the real one
        """Make one, or be interrupted."""
        if len(self.orders) == self._ends_after:
            raise KeyboardInterrupt
        self.orders.append(order)
        found = self._found if order.plant else ()
        return Outcome(operations=100, seconds=2.0, ready_s=1.0, peace_s=1.0, violations=found)


class Listener:
    """Hears how it goes, and says nothing."""

    def at(self, what: str, operations: int) -> None:
        """Hear what is at hand."""

    def breach(self, seed: int, outcome: Outcome) -> None:
        """Hear of a breach."""

    def step(self) -> None:
        """Hear that the figures have grown."""


async def _campaign(stage: Stage, figures: Figures, *mutants: Mutant) -> Figures:
    await campaign(stage, figures, Wanted(operations=500, mutants=mutants), Listener())
    return figures


async def test_a_campaign_that_was_broken_off_goes_on_with_the_next_round_and_mutant() -> None:
    whole = await _campaign(Stage(Law.STALE_TOKEN), Figures(seed=7), OLD_TOKEN)
    for ends_after in range(6):
        figures = Figures(seed=7)
        first = Stage(Law.STALE_TOKEN, ends_after=ends_after)
        with pytest.raises(KeyboardInterrupt):
            await _campaign(first, figures, OLD_TOKEN)
        kept = msgspec.json.decode(msgspec.json.encode(figures), type=Figures)
        second = Stage(Law.STALE_TOKEN)
        await _campaign(second, kept, OLD_TOKEN)
        seeds = [order.seed for order in (*first.orders, *second.orders)]
        assert seeds == [7, 8, 9, 10, 11, 7]
        kept.mutants.each = whole.mutants.each  # but for how long it took
        assert kept == whole
    assert (whole.operations, whole.violations) == (500, 0)
    assert (whole.mutants.planted, whole.mutants.caught) == (1, 1)


async def test_a_campaign_that_has_little_time_begins_only_what_it_can_end() -> None:
    stage, figures = Stage(Law.STALE_TOKEN), Figures(seed=7)
    for for_s, rounds in ((AROUND_S, 0), (AROUND_S + SHORTEST_ROUND_S + 1, 5)):
        wanted = Wanted(operations=500, mutants=(OLD_TOKEN,), for_s=for_s)
        is_all = await campaign(stage, figures, wanted, Listener())
        assert (is_all, len(figures.seeds)) == (rounds > 0, rounds)
    assert all(order.seconds <= SHORTEST_ROUND_S + 1 for order in stage.orders)
    assert figures.mutants.caught == 1


async def test_a_planted_bug_is_not_caught_by_a_law_that_has_nothing_to_do_with_it() -> None:
    stage = Stage(Law.OVERTAKEN)
    figures = await _campaign(stage, Figures(seed=7), OLD_TOKEN)
    assert (figures.mutants.planted, figures.mutants.caught) == (1, 0)
    assert not figures.held
    assert [order.seed for order in stage.orders if order.plant] == [*range(7, 7 + MUTANT_TRIES)]


def test_every_planted_bug_names_the_laws_that_it_breaks() -> None:
    assert all(mutant.laws for mutant in MUTANTS)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
