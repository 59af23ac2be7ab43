"""What a planted bug is: its name, the laws that it breaks, and what goes on in its run. PURE."""

from __future__ import annotations

from msgspec import Struct

from drills.prove.faults import Fault, schedule
from drills.prove.habits import USUAL, Habits
from drills.prove.history import FaultKind
from drills.prove.violations import Law


def by(*laws: Law) -> frozenset[Law]:
    """Return the laws by one of which a bug has to be caught."""
    return frozenset(laws)


class Mutant(Struct, frozen=True, kw_only=True):
    """One planted bug, and the faults under which it shows."""

    name: str
    line: str
    laws: frozenset[Law]
    """By one of which it has to be caught: what else breaks in its run does not count."""
    kinds: tuple[FaultKind, ...] = ()
    """Random faults of these kinds..."""
    every_s: float = 1.5
    plan: tuple[Fault, ...] = ()
    """... and these."""
    habits: Habits = USUAL
    """What people do in its run."""
    seconds: float = 24.0
    """Of traffic, unless it is caught before."""

    def faults(self, seed: int) -> tuple[Fault, ...]:
        """Return what is broken in its run."""
        found = schedule(seed, self.seconds, self.kinds, self.every_s) if self.kinds else ()
        return (*found, *self.plan)


def fault(at_s: float, kind: FaultKind, target: str, for_s: float) -> Fault:
    """Return one fault of a plan."""
    return Fault(at_s=at_s, kind=kind, target=target, for_s=for_s)
