"""Which runs of a series are still to do, in which order, and which of them share a lab. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile

from msgspec import Struct

from drills.experiment import Experiment
from drills.tally import Done

MOST_IN_A_LAB = 20
"""No number calls in two drills of one lab, and numbers are few."""


class Due(Struct, frozen=True, kw_only=True):
    """A drill that is to be carried out."""

    experiment: Experiment
    seed: int

    @property
    def is_alone(self) -> bool:
        """Whether it asks for a machine with time, on which no other lab stands then."""
        return bool(self.experiment.ready)


def still_to_do(
    wanted: Iterable[Experiment], runs: Iterable[Done], repeats: int | None = None
) -> Iterator[Due]:
    """Yield each drill and seed of which there is no run by the same plan yet.

    All drills once, so that whoever stops it has seen something of each; then the others. Both
    times those that ask for no machine with time come first, which may be done side by side; and
    those that need the same lab one after another, so that few labs do.
    """
    have = {(each.drill, each.plan_hash, each.seed) for each in runs}
    due = (
        Due(experiment=each, seed=seed)
        for each in wanted
        for seed in range(1, (repeats or each.repeats) + 1)
        if (each.name, each.plan_hash, seed) not in have
    )
    yield from sorted(
        due,
        key=lambda each: (
            each.seed > 1,
            each.is_alone,
            _lab(each.experiment),
            each.seed,
            not each.experiment.needs_calm,
        ),
    )


def in_one_lab(due: Sequence[Due], labs: int = 1, under_way: int = 0) -> tuple[Due, ...]:
    """Return what can be done in the lab of the first, as far as it comes at once.

    With several `labs` side by side, each has its share; `under_way`: so many runs are still to
    come from the others.
    """
    first, *others = due
    turn = [first, *takewhile(lambda each: each.is_alone == first.is_alone, others)]
    share = len(turn) if first.is_alone else -(-(len(turn) + under_way) // labs)
    # One that has to be the first of its lab begins the next one, and does not end this.
    calm = (each for each in turn[1:] if not each.experiment.needs_calm)
    same = takewhile(lambda each: _lab(each.experiment) == _lab(first.experiment), calm)
    return (first, *islice(same, min(MOST_IN_A_LAB, share) - 1))


def _lab(experiment: Experiment) -> tuple[bool, bool, bool, bool, int]:
    """Return what a lab has to be like.

    Clocks can be moved, disks made slow, its database outlives a site, its queues call back, so
    many agents are seated.
    """
    return (
        experiment.moves_clocks,
        experiment.slows_disks,
        experiment.needs_database,
        experiment.calls_back,
        experiment.load.agents_per_site,
    )
