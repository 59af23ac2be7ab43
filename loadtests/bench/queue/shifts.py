"""What agents did with their time: of use, or idle while callers waited. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Shift:
    """One agent's; seconds on the generator's clock."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    """Of use: it rang, they talked, they wrapped up."""
    free_s: float | None = None
    """Since when, or from when on, they wait for a call; None: they have one."""
    joined_s: float | None = None
    """Since when they talk."""

    def used_s(self, from_s: float, to_s: float) -> float:
        """Return for how long of that time they were of use."""
        spans = list(self.spans)
        if self.joined_s is not None:
            spans.append((self.joined_s, to_s))
        return sum(max(0.0, min(end_s, to_s) - max(begin_s, from_s)) for begin_s, end_s in spans)


class Shifts:
    """All agents', as a crowd's `Watch`."""

    def __init__(self, *, ring_s: float, wrap_up_s: float) -> None:
        """`ring_s`: how long an agent lets it ring; `wrap_up_s`: the queue's."""
        self._ring_s = ring_s
        self._wrap_up_s = wrap_up_s
        self._shifts: dict[bytes, Shift] = {}
        self.dead_s: list[tuple[float, float]] = []
        """When an agent was rung again, and how long they had been free by then."""

    def rung(self, agent: bytes, at_s: float) -> None:
        """Note an INVITE: the end of idleness."""
        shift = self._shifts.setdefault(agent, Shift())
        if shift.free_s is not None:
            self.dead_s.append((at_s, at_s - shift.free_s))
            shift.free_s = None
        shift.spans.append((at_s, at_s + self._ring_s))

    def joined(self, agent: bytes, at_s: float) -> None:
        """Note that they talk."""
        self._shifts[agent].joined_s = at_s

    def left(self, agent: bytes, at_s: float) -> None:
        """Note that they hang up, and rest for as long as the queue says."""
        shift = self._shifts[agent]
        if shift.joined_s is not None:
            shift.spans.append((shift.joined_s, at_s))
            shift.joined_s = None
        if shift.free_s is None:
            shift.free_s = at_s + self._wrap_up_s
            shift.spans.append((at_s, at_s + self._wrap_up_s))

    @property
    def talking(self) -> int:
        """How many talk."""
        return sum(1 for shift in self._shifts.values() if shift.joined_s is not None)

    def efficiency(self, agents: int, from_s: float, to_s: float) -> float:
        """Return the share of the agents' time that was of use; 1: nobody was ever idle."""
        used_s = sum(shift.used_s(from_s, to_s) for shift in self._shifts.values())
        return used_s / (agents * (to_s - from_s))

    def dead_between(self, from_s: float, to_s: float) -> Sequence[float]:
        """Return how long agents had been idle who were rung in that time."""
        return [dead_s for at_s, dead_s in self.dead_s if from_s <= at_s < to_s]
