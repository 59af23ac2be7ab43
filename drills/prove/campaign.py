"""What `prove` does: rounds of faults until there are enough operations, then the planted bugs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from drills.prove.faults import EDGES, LONG_DEATH_S, long_death, schedule
from drills.prove.history import FaultKind
from drills.prove.mutants import Mutant
from drills.prove.run import Ground, Order, Outcome

ROUND_S = 90.0
SHORTEST_ROUND_S = 25.0
USUAL_RATE = 130.0
"""Operations a second, on two cores."""
DEATH_EVERY = 4
"""In the first round of so many, an edge lies dead and alone until its calls must be closed."""
MUTANT_S = 24.0
MUTANT_TRIES = 2
"""A bug that shows by chance gets a second chance; a checker that is blind does not profit."""

Tell = Callable[[str, int], None]
"""Hears what is at hand, and how many operations are done in all."""
Breach = Callable[[int, Outcome], None]
"""Hears at once of a round in which something was violated: its seed, and what it came to."""


@dataclass(slots=True)
class Figures:
    """What a campaign has come to."""

    seed: int
    operations: int = 0
    seconds: float = 0.0
    """Of traffic, in the rounds."""
    faults: dict[str, int] = field(default_factory=dict)
    found: list[tuple[int, str]] = field(default_factory=list)
    """Violations: the round's seed, and what was broken."""
    seeds: list[int] = field(default_factory=list)
    caught: dict[str, str] = field(default_factory=dict)
    """Mutant -> the law by which it was caught; empty: it was missed."""
    took_s: dict[str, float] = field(default_factory=dict)
    """What the rounds took, with what comes before and after the traffic, and each mutant."""

    @property
    def held(self) -> bool:
        """Whether no law was broken and no planted bug was missed."""
        return not self.found and all(self.caught.values())

    def as_json(self) -> dict[str, object]:
        """Return the figures for a file."""
        return {
            "seed": self.seed,
            "operations": self.operations,
            "violations": len(self.found),
            "mutants": {
                "planted": len(self.caught),
                "caught": sum(map(bool, self.caught.values())),
                "by": dict(self.caught),
            },
            "operations_per_s": round(self.operations / self.seconds, 1) if self.seconds else 0.0,
            "traffic_s": round(self.seconds, 1),
            "took_s": {what: round(took_s, 1) for what, took_s in self.took_s.items()},
            "faults": dict(sorted(self.faults.items())),
            "seeds": list(self.seeds),
            "found": [f"seed {seed}: {text}" for seed, text in self.found],
        }


async def campaign(  # noqa: PLR0913 - what is wanted, and who hears of it
    ground: Ground,
    figures: Figures,
    *,
    operations: int,
    mutants: Sequence[Mutant],
    tell: Tell,
    kinds: Sequence[FaultKind] = (),
    breach: Breach = lambda _, __: None,
) -> None:
    """Make all of it, into `figures`: what is there when it is interrupted holds too.

    `kinds`: only these faults.
    """
    number = 0
    while figures.operations < operations:
        order = round_order(figures.seed, number, operations - figures.operations, kinds)
        with _timed(figures, "rounds"):
            await _round(ground, order, figures, tell, breach)
        number += 1
    for mutant in mutants:
        tell(f"planted: {mutant.line}", figures.operations)
        with _timed(figures, mutant.name):
            figures.caught[mutant.name] = await _caught_by(ground, mutant, figures.seed)


@contextlib.contextmanager
def _timed(figures: Figures, what: str) -> Iterator[None]:
    now_s = asyncio.get_running_loop().time
    began_s = now_s()
    yield
    figures.took_s[what] = figures.took_s.get(what, 0.0) + now_s() - began_s


def round_order(seed: int, number: int, operations: int, kinds: Sequence[FaultKind] = ()) -> Order:
    """Return the order for a round: its seed is the campaign's plus its number.

    With `kinds` only these faults, and no long death.
    """
    own = seed + number
    seconds = min(ROUND_S, max(SHORTEST_ROUND_S, operations / USUAL_RATE))
    if kinds:
        faults = schedule(own, seconds, kinds)
        return Order(seed=own, faults=faults, operations=0, seconds=seconds)
    faults = schedule(own, seconds)
    if number % DEATH_EVERY == 0:
        edge = random.Random(own).choice(EDGES)  # noqa: S311 - no secret: to be repeated
        quiet_s = 2.0 + LONG_DEATH_S + 1.0
        faults = (
            long_death(edge, 2.0),
            *(fault for fault in faults if fault.at_s > quiet_s),
        )
    return Order(seed=own, faults=faults, operations=0, seconds=seconds)


async def _round(
    ground: Ground, order: Order, figures: Figures, tell: Tell, breach: Breach
) -> None:
    before = figures.operations
    outcome = await ground.run(
        order, lambda done: tell(f"seed {order.seed}, {len(order.faults)} faults", before + done)
    )
    figures.operations += outcome.operations
    figures.seconds += outcome.seconds
    figures.seeds.append(order.seed)
    figures.found += [
        (order.seed, f"{violation.law}: {violation.text}") for violation in outcome.violations
    ]
    if outcome.violations:
        breach(order.seed, outcome)
    for fault in order.faults:
        figures.faults[fault.kind] = figures.faults.get(fault.kind, 0) + 1


async def _caught_by(ground: Ground, mutant: Mutant, seed: int) -> str:
    for attempt in range(MUTANT_TRIES):
        outcome = await _try(ground, mutant, seed + attempt)
        if outcome.violations:
            return outcome.violations[0].law.value
    return ""


async def _try(ground: Ground, mutant: Mutant, seed: int) -> Outcome:
    order = Order(
        seed=seed,
        faults=mutant.faults(seed, MUTANT_S),
        operations=0,
        seconds=MUTANT_S,
        plant=mutant.name,
        stop_at_first=True,
    )
    return await ground.run(order, lambda _: None)
