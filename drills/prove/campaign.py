"""What `prove` does: rounds of faults until there are enough operations, then the planted bugs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from drills.prove.faults import (
    EDGES,
    LONG_DEATH_S,
    keeps_from_healing,
    long_death,
    loss,
    schedule,
)
from drills.prove.figures import Catch, Figures, Outcome
from drills.prove.history import FaultKind
from drills.prove.mutant import Mutant
from drills.prove.run import Order

ROUND_S = 90.0
SHORTEST_ROUND_S = 25.0
AROUND_S = 35.0
"""What comes before and after the traffic of a run, at most as a rule."""
USUAL_RATE = 130.0
"""Operations a second, on two cores."""
DEATH_EVERY = 4
"""In the first round of so many, an edge lies dead and alone until its calls must be closed..."""
LOSS_IN = 2
"""... and in this one after it, one loses events and is left alone until it must have healed."""
MUTANT_TRIES = 2
"""A bug that shows by chance gets a second chance; a checker that is blind does not profit."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a campaign is to do."""

    operations: int
    mutants: Sequence[Mutant] = ()
    kinds: Sequence[FaultKind] = ()
    """Only these faults in the rounds; empty: all."""
    for_s: float | None = None
    """What would end later than so long from the beginning is left for another time."""


class Ground(Protocol):
    """Where runs are made."""

    async def run(self, order: Order, tell: Callable[[int], None]) -> Outcome:
        """Make one; `tell` hears now and then how many operations are done."""


class Listener(Protocol):
    """Who hears how a campaign goes."""

    def at(self, what: str, operations: int) -> None:
        """Hear what is at hand, and how many operations are done in all."""

    def breach(self, seed: int, outcome: Outcome) -> None:
        """Hear at once of a round in which something was violated."""

    def step(self) -> None:
        """Hear that the figures have grown: by a round, or by a mutant."""


async def campaign(ground: Ground, figures: Figures, wanted: Wanted, hears: Listener) -> bool:
    """Do what is wanted and not in the figures yet, and put it there; tell whether that is all.

    What is there when it is interrupted holds too: another campaign goes on with it.
    """
    ends_s = float("inf") if wanted.for_s is None else _now_s() + wanted.for_s
    while figures.operations < wanted.operations:
        number = len(figures.seeds)
        left = wanted.operations - figures.operations
        left_s = ends_s - _now_s() - AROUND_S
        if left_s < SHORTEST_ROUND_S:
            return False
        order = round_order(figures.seed, number, left, wanted.kinds, at_most_s=left_s)
        await _round(ground, order, figures, hears)
        hears.step()
    for mutant in wanted.mutants:
        if mutant.name in figures.mutants.by:
            continue
        if ends_s - _now_s() < mutant.seconds + AROUND_S:
            return False
        hears.at(f"planted: {mutant.line}", figures.operations)
        figures.mutants.note(mutant.name, await _caught(ground, mutant, figures.seed))
        hears.step()
    return True


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def round_order(
    seed: int,
    number: int,
    operations: int,
    kinds: Sequence[FaultKind] = (),
    *,
    at_most_s: float = ROUND_S,
) -> Order:
    """Return the order for a round: its seed is the campaign's plus its number.

    With `kinds` only these faults, and no long death.
    """
    own = seed + number
    seconds = min(ROUND_S, at_most_s, max(SHORTEST_ROUND_S, operations / USUAL_RATE))
    if kinds:
        faults = schedule(own, seconds, kinds)
        return Order(seed=own, faults=faults, seconds=seconds)
    faults = schedule(own, seconds)
    if number % DEATH_EVERY == 0:
        edge = random.Random(own).choice(EDGES)  # noqa: S311 - no secret: to be repeated
        quiet_s = 2.0 + LONG_DEATH_S + 1.0
        faults = (
            long_death(edge, 2.0),
            *(fault for fault in faults if fault.at_s > quiet_s),
        )
    if number % DEATH_EVERY == LOSS_IN:
        lost = loss(random.Random(own).choice(EDGES), 2.0)  # noqa: S311 - as above
        faults = (lost, *(fault for fault in faults if not keeps_from_healing(fault, lost)))
    return Order(seed=own, faults=faults, seconds=seconds)


async def _round(ground: Ground, order: Order, figures: Figures, hears: Listener) -> None:
    before = figures.operations
    what = f"seed {order.seed}, {len(order.faults)} faults"
    outcome = await ground.run(order, lambda done: hears.at(what, before + done))
    figures.note_round(order.seed, outcome)
    if outcome.violations:
        hears.breach(order.seed, outcome)
    for fault in order.faults:
        figures.faults[fault.kind] = figures.faults.get(fault.kind, 0) + 1


async def _caught(ground: Ground, mutant: Mutant, seed: int) -> Catch:
    """Plant a bug, and tell by which law it was caught."""
    began_s = _now_s()
    tries = [seed + attempt for attempt in range(MUTANT_TRIES)]
    for own in tries:
        order = Order(
            seed=own,
            faults=mutant.faults(own),
            seconds=mutant.seconds,
            habits=mutant.habits,
            plant=mutant.name,
            stop_at=mutant.laws,
        )
        outcome = await ground.run(order, lambda _: None)
        found = [each for each in outcome.violations if each.law in mutant.laws]
        if found or own == tries[-1]:
            return Catch(
                law=found[0].law.value if found else "",
                seed=own,
                operations=outcome.operations,
                took_s=round(_now_s() - began_s, 1),
            )
    raise AssertionError("the last try returns")
