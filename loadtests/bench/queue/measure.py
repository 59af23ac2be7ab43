"""`bench queue`: dead time, efficiency and refill of a saturated queue of many agents.

One edge, three etcd members with mTLS, no media: what is judged is the way from an agent who is
free again to the INVITE that rings them. Each run has a fresh edge.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from drills.cli.progress import progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.errors import BenchError
from loadtests.bench.queue.generator import FILL_WITHIN_S, REFILL_WITHIN_S, Order, Told
from loadtests.bench.queue.reading import seen
from loadtests.bench.queue.steps import STEPS, table
from loadtests.bench.stage import SCENE, Stage, staged
from loadtests.bench.stats import Spread, percentile, spread

PATIENCE_S: Final = 900.0
_SLACK_S: Final = 30.0


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    agents: int = 200
    waiting: int = 100
    talk_s: float = 5.0
    wrap_up_s: float = 1.0
    seconds: float = 8.0
    runs: int = 5
    refills: int = 1
    """In each run."""


QUICK: Final = Effort(
    agents=10, waiting=5, talk_s=0.5, wrap_up_s=0.2, seconds=1.0, runs=1, refills=1
)
"""Shows that it works; the figures mean little."""


class QueueFigures(Struct, frozen=True, kw_only=True):
    """What came out, run by run."""

    effort: Effort
    runs: tuple[Told, ...]
    steps: tuple[Mapping[str, list[float]], ...]
    """Where the dead time went, run by run: each step's times, in ms."""

    def dead_ms(self, share: float) -> Spread:
        """Return the dead time that `share` of the calls do not exceed."""
        return spread(percentile(run.dead_ms, share) for run in self.runs)

    @property
    def efficiency(self) -> Spread:
        """Return the share of the agents' time that was of use."""
        return spread(run.efficiency for run in self.runs)

    @property
    def refill_s(self) -> Spread:
        """Return after how many seconds the last of all who were freed at once was rung.

        Endless: not all were, in time.
        """
        return spread(each.took_s for run in self.runs for each in run.refills)

    def steps_ms(self, share: float) -> Mapping[str, Spread]:
        """Return how long each step took that `share` of the calls do not exceed."""
        return {
            step: spread(percentile(run[step], share) for run in self.steps if run[step])
            for step in STEPS
            if any(run[step] for run in self.steps)
        }

    @property
    def failures(self) -> dict[str, int]:
        """Return what went wrong, over all runs."""
        found: dict[str, int] = {}
        for run in self.runs:
            for why, count in run.failures.items():
                found[why] = found.get(why, 0) + count
        return found

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read."""
        return {
            "dead_time_ms": {
                "p50": round(self.dead_ms(0.5).median, 1),
                "p99": round(self.dead_ms(0.99).median, 1),
            },
            "efficiency": round(self.efficiency.median, 4),
            f"refill_{self.effort.agents}_s": round(self.refill_s.median, 3),
            "spread": {
                "dead_time_ms_p99": self.dead_ms(0.99).as_json(1),
                "efficiency": self.efficiency.as_json(4),
                "refill_s": self.refill_s.as_json(),
            },
            "steps_ms": {
                step: {
                    "p50": round(p50.median, 2),
                    "p99": round(self.steps_ms(0.99)[step].median, 2),
                }
                for step, p50 in self.steps_ms(0.5).items()
            },
            "agents": self.effort.agents,
            "waiting": self.effort.waiting,
            "talk_s": self.effort.talk_s,
            "wrap_up_s": self.effort.wrap_up_s,
            "calls": sum(run.calls for run in self.runs),
            "failures": self.failures,
        }


async def measure(effort: Effort) -> QueueFigures:
    """Bring everything up and measure."""
    with awake():
        async with staged(effort.agents, media=False, wrap_up_s=effort.wrap_up_s) as stage:
            found, steps = [], []
            with progress(
                "bench queue: agents in a queue that is never empty", effort.runs
            ) as task:
                for _ in range(effort.runs):
                    found.append(await _run(stage, effort))
                    steps.append(table(found[-1].idles, seen(*stage.edge_has_left())))
                    p99 = percentile(found[-1].dead_ms, 0.99)
                    task.advance(f"p99 {p99:.0f} ms, efficiency {found[-1].efficiency:.3f}")
            return QueueFigures(effort=effort, runs=tuple(found), steps=tuple(steps))


async def _run(stage: Stage, effort: Effort) -> Told:
    await stage.edge_up(servers.DIRECT)
    cycle_s = SCENE.ring_s + effort.talk_s + effort.wrap_up_s
    order = Order(
        scene=replace(SCENE, talk_s=effort.talk_s, patience_s=PATIENCE_S),
        agents=effort.agents,
        waiting=effort.waiting,
        wrap_up_s=effort.wrap_up_s,
        warm_up_s=cycle_s,
        seconds=effort.seconds,
        refills=effort.refills,
    )
    refill_s = FILL_WITHIN_S + REFILL_WITHIN_S + effort.wrap_up_s
    limit_s = 3 * cycle_s + effort.seconds + effort.refills * refill_s + _SLACK_S
    with stage.without_generator():
        told = await generate(order, limit_s)
    await stage.edge_down()
    if not told.idles or math.isnan(told.efficiency):
        raise BenchError(f"no agent had a second call: {told.failures}; {stage.log_tail()}")
    return told


async def generate(order: Order, limit_s: float) -> Told:
    """Let the generator carry an order out. BenchError: it does not, in so many seconds."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.bench.queue.generator"),
        msgspec.json.encode(order).decode(),
        cwd=servers.PROJECT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit_s):
            line, _ = await process.communicate()
    except TimeoutError as error:
        raise BenchError(f"the generator of the queue has not ended in {limit_s:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not line:
        raise BenchError("the generator of the queue died; what it said is above")
    return msgspec.json.decode(line, type=Told)
