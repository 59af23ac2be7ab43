"""What agents did with their time: of use, or idle while callers waited. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct


class Idle(Struct, frozen=True, kw_only=True):
    """From one call of an agent to the next; seconds on the generator's clock."""

    agent: str
    left_s: float
    """When they hung up, or were hung up on."""
    free_s: float
    """When their wrap-up was over."""
    rung_s: float

    @property
    def dead_s(self) -> float:
        """Return for how long they were free by then."""
        return self.rung_s - self.free_s


@dataclass(slots=True)
class Shift:
    """One agent's; seconds on the generator's clock."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    """Of use: it rang, they talked, they wrapped up."""
    free_s: float | None = None
    """Since when, or from when on, they wait for a call; None: they have one."""
    left_s: float = 0.0
    """When the last call was over."""
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
        self.idles: list[Idle] = []
        """In the order in which agents were rung again."""

    def rung(self, agent: bytes, at_s: float) -> None:
        """Note an INVITE: the end of idleness."""
        shift = self._shifts.setdefault(agent, Shift())
        if shift.free_s is not None:
            self.idles.append(
                Idle(agent=agent.decode(), left_s=shift.left_s, free_s=shift.free_s, rung_s=at_s)
            )
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
            shift.left_s = at_s
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

    def idle_between(self, from_s: float, to_s: float) -> Sequence[Idle]:
        """Return the idle times that ended with a ring in that time."""
        return [each for each in self.idles if from_s <= each.rung_s < to_s]
