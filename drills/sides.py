"""The two sides of a drill, as its runner sees them: who breaks, and what is broken. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from drills.course import Made
from drills.facts import Facts
from drills.fault import Fault


class Faults(Protocol):
    """Whoever makes faults at the target."""

    async def make(self, fault: Fault, /) -> Made:
        """Make one."""
        ...

    async def heal_all(self, by: str, /) -> tuple[Made, ...]:
        """Undo all; return all that was ever made."""
        ...

    async def standing(self) -> tuple[Made, ...]:
        """Return all that was ever made."""
        ...


class Ground(Protocol):
    """The system that is drilled, as far as a runner sees it."""

    async def facts(self) -> Facts:
        """Return what the guards go by."""
        ...

    async def leader(self) -> str | None:
        """Return the site whose member of etcd leads."""
        ...

    def measure(self) -> Mapping[str, float]:
        """Return the figures of this moment."""
        ...

    async def good_instant(self, method: Sequence[Fault], /) -> None:
        """Wait for a moment, if there is one soon, that shows what the method does to calls."""
        ...

    def stopped_because(self) -> str | None:
        """Return why somebody wants it to stop, None while nobody does."""
        ...
