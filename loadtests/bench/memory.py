"""`bench memory`: what a waiting caller and one who talks take of one edge's memory.

The queue is filled and kept full while nothing else happens; the same edge empty is what that is
compared with. Without media: what a relay holds is the relay's.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.holding import held
from loadtests.bench.stage import SCENE, Stage, staged
from loadtests.bench.stats import Spread, spread

CALM_S: Final = 2.0
"""After the queue is full, until the edge has settled."""


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    waiting: int = 1_000
    talking: int = 500
    runs: int = 5


QUICK: Final = Effort(waiting=40, talking=20, runs=1)
"""Shows that it works; the figures mean little."""


class MemoryFigures(Struct, frozen=True, kw_only=True):
    """Bytes, run by run."""

    effort: Effort
    waiting: tuple[float, ...]
    talking: tuple[float, ...]

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read."""
        waiting, talking = spread(self.waiting), spread(self.talking)
        return {
            "per_waiting_call": round(waiting.median),
            "per_connected_call": round(talking.median),
            "spread": {
                "per_waiting_call": waiting.as_json(0),
                "per_connected_call": talking.as_json(0),
            },
            "waiting": self.effort.waiting,
            "talking": self.effort.talking,
        }

    def of(self, kind: str) -> Spread:
        """Return the spread of `waiting` or `talking`."""
        return spread(getattr(self, kind))


async def measure(effort: Effort) -> MemoryFigures:
    """Fill a queue without agents to speak of, and one in which everybody talks."""
    few = 2
    with progress("bench memory", total=2 * effort.runs) as task:
        async with staged(few, media=False) as stage:
            waiting = [
                await _held(stage, few, effort.waiting, effort.waiting, task)
                for _ in range(effort.runs)
            ]
        async with staged(effort.talking, media=False) as stage:
            talking = [
                await _held(stage, effort.talking, 0, effort.talking, task)
                for _ in range(effort.runs)
            ]
    return MemoryFigures(effort=effort, waiting=tuple(waiting), talking=tuple(talking))


async def _held(stage: Stage, agents: int, waiting: int, calls: int, task: Task) -> float:
    """Return how many bytes of a fresh edge's memory each of `calls` takes."""
    await stage.edge_up(servers.DIRECT)
    await asyncio.sleep(CALM_S)
    empty_kb = stage.edge_memory_kb()
    with stage.without_generator():
        async with held(SCENE, agents=agents, waiting=waiting):
            await asyncio.sleep(CALM_S)
            full_kb = stage.edge_memory_kb()
    await stage.edge_down()
    each = 1024 * (full_kb - empty_kb) / calls
    task.advance(f"{each:.0f} bytes a call")
    return each
