"""`bench distance`: what the way between the sites does to a call, and to agents who wait for one.

Three etcd members, each the only one at its site: between them lie lines of 0 to 200 ms there and
back. The edge asks the member at its own site, which is no way. Where that one leads, what is
written takes one round trip to the nearest other site; where another leads, two. No media.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.distance.lines import LINES_READY_S, lines_up
from loadtests.bench.errors import BenchError
from loadtests.bench.queue.generator import Order, Told
from loadtests.bench.queue.measure import generate
from loadtests.bench.stage import SCENE, Stage, staged
from loadtests.bench.stats import Spread, percentile, spread

PATIENCE_S: Final = 900.0
LEADERS: Final = {"here": "m1", "elsewhere": "m2"}
"""Whether the member at the edge's own site leads."""
_SETTLE_S: Final = 0.5


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    round_trips_ms: tuple[float, ...] = (0.0, 20.0, 80.0, 200.0)
    leaders: tuple[str, ...] = tuple(LEADERS)
    rounds: int = 5
    """Of all distances, one after the other, each in another order."""
    rate: float = 10.0
    seconds: float = 2.0
    agents: int = 40
    waiting: int = 20
    talk_s: float = 1.0
    wrap_up_s: float = 1.0
    queue_s: float = 2.5
    """How long agents are watched who are never without a caller."""


QUICK: Final = Effort(
    round_trips_ms=(0.0, 40.0), leaders=("here",), rounds=1, rate=3.0, seconds=0.7, agents=6,
    waiting=3, talk_s=0.4, wrap_up_s=0.6, queue_s=1.5,
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class Slice(Struct, frozen=True, kw_only=True):
    """One time at one distance."""

    to_agent_ms: Mapping[str, float]
    """From the caller's INVITE to the agent's, by percentile."""
    dead_ms: tuple[float, ...]
    """From the end of wrap-up to the next INVITE."""
    dirt: str


Key = tuple[float, str]
"""There and back in ms, and who leads."""


class DistanceFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    slices: Mapping[Key, tuple[Slice, ...]]

    def to_agent_ms(self, key: Key, share: str) -> Spread:
        """Return the time from INVITE to INVITE."""
        return spread(each.to_agent_ms[share] for each in self.slices[key])

    def dead_ms(self, key: Key, share: float) -> Spread:
        """Return how long agents were free until they were rung."""
        return spread(percentile(each.dead_ms, share) for each in self.slices[key])

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`: by ms there and back, and by who leads."""
        found: dict[str, dict[str, object]] = {}
        for key in self.slices:
            round_trip_ms, leader = key
            found.setdefault(f"{round_trip_ms:g}", {})[leader] = {
                "to_agent_ms": {
                    share: self.to_agent_ms(key, share).as_json(1) for share in ("p50", "p99")
                },
                "dead_time_ms": {
                    "p50": self.dead_ms(key, 0.5).as_json(1),
                    "p99": self.dead_ms(key, 0.99).as_json(1),
                },
                "dirt": [each.dirt for each in self.slices[key] if each.dirt],
            }
        return {
            "round_trip_ms": found,
            "rate": self.effort.rate,
            "agents": self.effort.agents,
            "runs": self.effort.rounds,
        }


async def measure(effort: Effort) -> DistanceFigures:
    """Bring everything up and measure."""
    keys = [(ms, leader) for ms in effort.round_trips_ms for leader in effort.leaders]
    found: dict[Key, list[Slice]] = {key: [] for key in keys}
    with awake(), progress("bench distance", len(keys) * effort.rounds) as task:
        async with (
            lines_up() as lines,
            staged(effort.agents, media=False, wrap_up_s=effort.wrap_up_s, is_far=True) as stage,
        ):
            await stage.edge_up(servers.DIRECT)
            for turn in range(effort.rounds):
                for leader in effort.leaders:
                    await lines.let_take(0.0)
                    await stage.lead(LEADERS[leader])
                    at = turn % len(effort.round_trips_ms)
                    for ms in (*effort.round_trips_ms[at:], *effort.round_trips_ms[:at]):
                        await lines.let_take(ms / 2)
                        found[ms, leader].append(await _slice(stage, effort, task, (ms, leader)))
            await stage.edge_down()
    return DistanceFigures(effort=effort, slices={key: tuple(each) for key, each in found.items()})


async def _slice(stage: Stage, effort: Effort, task: Task, key: Key) -> Slice:
    await asyncio.sleep(_SETTLE_S)
    # First the many: by them the edge learns how far the store is now (`state.etcd.joined`).
    told = await _queue(stage, effort)
    await stage.settle()
    calls = (await stage.measure(effort.rate, effort.seconds)).summary
    await stage.settle()
    dead_ms = tuple(told.dead_ms)
    if not dead_ms:
        raise BenchError(f"no agent had a second call: {told.failures}; {stage.log_tail()}")
    p99 = percentile(dead_ms, 0.99)
    task.advance(f"{key[0]:g} ms, leader {key[1]}: dead time p99 {p99:.0f} ms")
    return Slice(
        to_agent_ms={"p50": calls.to_agent_p50_ms, "p99": calls.to_agent_p99_ms},
        dead_ms=dead_ms,
        dirt=calls.dirt,
    )


async def _queue(stage: Stage, effort: Effort) -> Told:
    cycle_s = SCENE.ring_s + effort.talk_s + effort.wrap_up_s
    order = Order(
        scene=replace(SCENE, talk_s=effort.talk_s, patience_s=PATIENCE_S),
        agents=effort.agents,
        waiting=effort.waiting,
        wrap_up_s=effort.wrap_up_s,
        warm_up_s=cycle_s,
        seconds=effort.queue_s,
        refills=0,
    )
    with stage.without_generator():
        return await generate(order, 3 * cycle_s + effort.queue_s + LINES_READY_S)
