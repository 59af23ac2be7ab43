"""`bench breadth`: what a call costs one edge as a center grows in other things than agents.

Queues that the same agents serve, callers who wait in a queue of nobody's, and how long calls are.
One center, a fresh edge for each, no media. What the edge takes while no call is placed (its
probes, its lease, those who wait) is measured first and is not part of a call's cost.
"""

from __future__ import annotations

import contextlib
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.center import NOBODYS
from loadtests.bench.holding import held
from loadtests.bench.stage import SCENE, Slice, Stage, counted, staged
from loadtests.bench.stats import Spread, spread

IDLE_S: Final = 2.0
WAITING: Final = replace(SCENE, callers="127.0.0.4:5060", agents="127.0.0.5:5060", did=NOBODYS)
"""Those who wait come from a Kamailio of their own."""


class Breadth(Struct, frozen=True, kw_only=True):
    """How broad a center is; what is not said is as small as can be."""

    queues: int = 1
    waiting: int = 0
    talk_s: float = SCENE.talk_s

    @property
    def name(self) -> str:
        """Return what is not small in it."""
        told = f"{self.queues} queues"
        if self.waiting:
            return f"{self.waiting} waiting"
        return told if self.talk_s == SCENE.talk_s else f"{self.talk_s:g} s of talk"


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    agents: int = 300
    most_queues: int = 100
    breadths: tuple[Breadth, ...] = (
        Breadth(),
        Breadth(queues=10),
        Breadth(queues=100),
        Breadth(waiting=100),
        Breadth(waiting=1_000),
        Breadth(talk_s=1.0),
        Breadth(talk_s=4.0),
    )
    slices: int = 5
    seconds: float = 2.0
    rate: float = 50.0


QUICK: Final = Effort(
    agents=20, most_queues=3, slices=1, seconds=0.5, rate=20.0,
    breadths=(Breadth(), Breadth(queues=3), Breadth(waiting=5), Breadth(talk_s=0.4)),
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class Found(Struct, frozen=True, kw_only=True):
    """What was found of one breadth."""

    breadth: Breadth
    slices: tuple[Slice, ...]
    idle_ms: float
    """CPU milliseconds a second while no call is placed."""

    @property
    def cpu_ms(self) -> Spread:
        """Return CPU milliseconds a call."""
        return spread(
            (1e3 * each.edge_s - self.idle_ms * each.summary.took_s) / each.summary.offered
            for each in counted(self.slices)
        )


class BreadthFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    found: tuple[Found, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`, by what is not small."""
        return {
            "breadth": {
                each.breadth.name: {
                    "cpu_ms": round(each.cpu_ms.median, 3),
                    "idle_ms_per_s": round(each.idle_ms, 1),
                    "spread": each.cpu_ms.as_json(),
                    "dirt": [s.summary.dirt for s in each.slices if s.summary.dirt],
                }
                for each in self.found
            },
            "rate": self.effort.rate,
            "agents": self.effort.agents,
        }


async def measure(effort: Effort) -> BreadthFigures:
    """Bring one center up and measure each breadth."""
    steps = len(effort.breadths) * effort.slices
    with awake(), progress("bench breadth: CPU a call", total=steps) as task:
        async with staged(effort.agents, media=False, queues=effort.most_queues) as stage:
            found = [await _one(stage, effort, each, task) for each in effort.breadths]
    return BreadthFigures(effort=effort, found=tuple(found))


async def _one(stage: Stage, effort: Effort, breadth: Breadth, task: Task) -> Found:
    await stage.edge_up(servers.DIRECT)
    slices = []
    async with contextlib.AsyncExitStack() as block:
        if breadth.waiting:
            await block.enter_async_context(held(WAITING, agents=0, waiting=breadth.waiting))
        idle_ms = 1e3 * await stage.edge_idle_s(IDLE_S) / IDLE_S
        for _ in range(effort.slices):
            measured = await stage.measure(
                effort.rate, effort.seconds, dids=breadth.queues, talk_s=breadth.talk_s
            )
            slices.append(measured)
            task.advance(f"{breadth.name}: {measured.cpu_ms:.2f} ms {measured.summary.dirt}")
    await stage.edge_down()
    return Found(breadth=breadth, slices=tuple(slices), idle_ms=idle_ms)
