"""The generator of `bench queue`: `python -m loadtests.bench.queue.generator ORDER`, JSON.

Keeps callers waiting in the queue all the time. First agents are busy in turns, for efficiency and
dead time; then all of them hang up at one moment, for the refill. Prints one line of JSON.
"""

from __future__ import annotations

import gc
import math
import os
import select
import sys
import time
from typing import Final

import msgspec
from msgspec import Struct

from loadtests.bench.crowd import Crowd
from loadtests.bench.generator import Sockets
from loadtests.bench.queue.shifts import Idle, Shifts
from loadtests.bench.scene import Scene

TICK_S: Final = 0.02
SETTLE_S: Final = 1.0
REFILL_WITHIN_S: Final = 15.0
FILL_WITHIN_S: Final = 60.0
FILL_PER_S: Final = 150.0
GOODBYE_S: Final = 1.0
"""How long the edge's answers to goodbyes are waited for, and its own to agents."""
LONG_S: Final = 600.0
"""How long they talk before a refill: until they are all told to hang up."""


class Order(Struct, frozen=True, kw_only=True):
    """What to do."""

    scene: Scene
    agents: int
    waiting: int
    """Callers in the queue at any time."""
    wrap_up_s: float
    warm_up_s: float
    seconds: float
    refills: int
    holds: bool = False
    """Only fill the queue and keep it full."""


class Refill(Struct, frozen=True, kw_only=True):
    """Agents who were all freed at one moment."""

    freed: int
    rung_ms: list[float]
    """How long after the end of their rest each was rung who was rung again in time."""

    @property
    def took_s(self) -> float:
        """Return after how long the last was rung; endless: not all were."""
        if len(self.rung_ms) < max(1, self.freed):
            return math.inf
        return max(self.rung_ms) / 1e3


class Told(Struct, frozen=True, kw_only=True):
    """What came of it."""

    efficiency: float
    idles: list[Idle]
    """Each time an agent was rung again, in the measured time."""
    refills: list[Refill]
    calls: int
    failures: dict[str, int]

    @property
    def dead_ms(self) -> list[float]:
        """Return how long agents were free until they were rung."""
        return [1e3 * each.dead_s for each in self.idles]


class Saturation:
    """Callers who always wait, and the agents who are watched."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.shifts = Shifts(ring_s=order.scene.ring_s, wrap_up_s=order.wrap_up_s)
        self._crowd = Crowd(order.scene, f"{os.getpid()}q", self.shifts)
        self._sockets = Sockets(order.scene)

    def run_until(self, ends_s: float, *, at_most_per_s: float | None = None) -> None:
        """Let things go on, the queue never empty; `at_most_per_s`: callers come no faster."""
        next_s = time.monotonic()
        while (now := time.monotonic()) < ends_s:
            full = self._order.agents + self._order.waiting
            while self._crowd.under_way < full and next_s <= now:
                self._crowd.call(now)
                self._sockets.send(self._crowd)
                if at_most_per_s is not None:
                    next_s += 1 / at_most_per_s
            self._crowd.tick(now)
            self._sockets.send(self._crowd)
            due_s = self._crowd.next_due_s or now + TICK_S
            self._sockets.receive(self._crowd, min(due_s, now + TICK_S) - now)

    def refill(self) -> Refill:
        """Free everybody who talks at one moment; return when each was rung again."""
        self._crowd.let_talk(LONG_S)
        ends_s = time.monotonic() + FILL_WITHIN_S
        while self.shifts.talking < self._order.agents and time.monotonic() < ends_s:
            self.run_until(time.monotonic() + TICK_S)
        began_s = time.monotonic()
        freed = self._crowd.agents_hang_up(began_s)
        self._sockets.send(self._crowd)
        before = len(self.shifts.idles)
        ends_s = began_s + self._order.wrap_up_s + REFILL_WITHIN_S
        while len(self.shifts.idles) - before < freed and time.monotonic() < ends_s:
            self.run_until(time.monotonic() + TICK_S)
        again_s = began_s + self._order.wrap_up_s
        again = self.shifts.idles[before : before + freed]
        return Refill(freed=freed, rung_ms=[1e3 * (each.rung_s - again_s) for each in again])

    def hold(self) -> None:
        """Fill the queue, say so, and keep it full until standard input ends."""
        self._crowd.let_talk(LONG_S)
        ends_s = time.monotonic() + FILL_WITHIN_S
        full = self._order.agents + self._order.waiting
        while self._crowd.ledger.answers < full and time.monotonic() < ends_s:
            self.run_until(time.monotonic() + TICK_S, at_most_per_s=FILL_PER_S)
        sys.stdout.write(f"{self._crowd.ledger.answers}\n")
        sys.stdout.flush()
        while not select.select([0], [], [], 0)[0]:
            self.run_until(time.monotonic() + TICK_S)

    def end(self) -> None:
        """Let everybody hang up, so that the edge has nothing left of this crowd."""
        self._crowd.callers_give_up()
        self._sockets.send(self._crowd)
        ends_s = time.monotonic() + GOODBYE_S
        while (now := time.monotonic()) < ends_s:
            self._crowd.tick(now)
            self._sockets.receive(self._crowd, TICK_S)
            self._sockets.send(self._crowd)

    @property
    def calls(self) -> int:
        """How many callers have called."""
        return self._crowd.ledger.offered

    @property
    def failures(self) -> dict[str, int]:
        """What went wrong."""
        return dict(self._crowd.ledger.failures)


def main() -> int:
    """Carry the order out."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    gc.freeze()
    queue = Saturation(order)
    if order.holds:
        queue.hold()
        return 0
    # So that agents are not all busy and free at the same moments.
    cycle_s = order.scene.length_s + order.wrap_up_s
    queue.run_until(time.monotonic() + order.warm_up_s, at_most_per_s=order.agents / cycle_s)
    queue.run_until(time.monotonic() + SETTLE_S)
    from_s = time.monotonic()
    queue.run_until(from_s + order.seconds)
    to_s = time.monotonic()
    told = Told(
        efficiency=queue.shifts.efficiency(order.agents, from_s, to_s),
        idles=list(queue.shifts.idle_between(from_s, to_s)),
        refills=[queue.refill() for _ in range(order.refills)],
        calls=queue.calls,
        failures=queue.failures,
    )
    queue.end()
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
