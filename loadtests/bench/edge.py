"""`bench edge`: what one edge process takes for a call, and how many a second it can do.

A call is answered, queued (no greeting), given to a free agent, bridged, and ended after 0.2 s. And
calls that end sooner: answered ones, whose callers hang up 0.2 s into the greeting, and queued
ones, whose callers hang up after 0.2 s in a queue that nobody serves (`loadtests.bench.reach`).
Slices with and without a media relay alternate, each with a fresh edge on the same etcd. CPU is the
edge's own, over all its threads, of a whole slice: also of its probes, its lease and its watch. The
processors are kept awake meanwhile (`loadtests.bench.awake`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.ladder import Climb, Climbs, Rungs, one_more
from loadtests.bench.reach import ANSWERED, BRIDGED, QUEUED, REACHES, Reach, Reached
from loadtests.bench.stage import Slice, Stage, staged
from loadtests.bench.stats import Spread, spread


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    reaches: tuple[str, ...] = (BRIDGED.name, ANSWERED.name, QUEUED.name)
    """How far calls go: which of these, in this order."""
    agents: int = 200
    slices: int = 5
    """Of each kind."""
    seconds: float = 3.0
    rate: float = 250.0
    """Calls a second at which CPU is measured: about half of what one edge can do on two cores."""
    low_rate: float = 50.0
    """And once more where little comes in bunches."""
    first_rate: float = 100.0
    growth: float = 1.25
    most: float = 5000.0
    climbs: int = 5
    """Looks for each of the highest clean rates, in turn, each with a fresh edge."""


QUICK: Final = Effort(
    agents=50,
    slices=1,
    seconds=0.5,
    rate=40.0,
    low_rate=20.0,
    first_rate=40.0,
    growth=2.0,
    most=40.0,
    tries=1,
    climbs=1,
)
"""Shows that it works; the figures mean little."""


class AtEase(Struct, frozen=True, kw_only=True):
    """Slices of bridged calls, without media, at rates that are no trouble."""

    low: tuple[Slice, ...]
    """At the low rate."""
    waits: tuple[Slice, ...]
    """At half of the highest clean rate."""
    wait_rate: float

    def cpu_at_low_rate(self) -> Spread:
        """Return CPU ms a call at the low rate."""
        return spread(each.cpu_ms for each in self.low)

    def to_agent(self, share: str) -> Spread:
        """Return ms from INVITE in to INVITE out, of the slices' `p50` or `p99`."""
        return spread(getattr(each.summary, f"to_agent_{share}_ms") for each in self.waits)


class EdgeFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    reached: Mapping[str, Reached]
    """By how far calls go."""
    at_ease: AtEase | None
    """None: bridged calls were not measured."""

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read; beside these, of bridged calls."""
        told: dict[str, object] = {
            name: found.as_json() | {"rate": self.effort.rate}
            for name, found in self.reached.items()
        }
        if self.at_ease is None:
            return told
        bridged, ease = self.reached[BRIDGED.name], self.at_ease
        return {
            **told,
            **bridged.as_json(),
            "spread": {
                **{name: each and each.as_json() for name, each in bridged.spreads().items()},
                "to_agent_ms": {share: ease.to_agent(share).as_json() for share in ("p50", "p99")},
            },
            "cpu_ms_at_low_rate": round(ease.cpu_at_low_rate().median, 3),
            "to_agent_ms": {
                share: round(ease.to_agent(share).median, 2) for share in ("p50", "p99")
            },
            "cpu_ms_of_loop": _others(bridged.costs[servers.DIRECT], "edge_loop_s"),
            "cpu_ms_of_loop_at_low_rate": _others(ease.low, "edge_loop_s"),
            "of_others_ms": {
                "generator": _others(bridged.costs[servers.DIRECT], "generator_s"),
                "etcd": _others(bridged.costs[servers.DIRECT], "etcd_s"),
                "rtpengine": _others(bridged.costs[servers.NG], "relay_s"),
            },
            "rate": self.effort.rate,
            "to_agent_rate": round(ease.wait_rate, 1),
            "agents": self.effort.agents,
            "climbs": self.effort.climbs,
        }


def _others(slices: Sequence[Slice], name: str) -> float:
    return round(spread(1e3 * getattr(s, name) / s.summary.offered for s in slices).median, 3)


async def measure(effort: Effort) -> EdgeFigures:
    """Bring everything up and measure."""
    with awake():
        async with staged(effort.agents, media=True, unserved=True) as stage:
            return await _measure(stage, effort)


async def _measure(stage: Stage, effort: Effort) -> EdgeFigures:
    reached = {name: await _reached(stage, effort, REACHES[name]) for name in effort.reaches}
    at_ease = None
    if BRIDGED.name in reached:
        highest = reached[BRIDGED.name].climbs[servers.DIRECT].highest
        at_ease = await _at_ease(stage, effort, max(effort.first_rate / 2, highest.median / 2))
    return EdgeFigures(effort=effort, reached=reached, at_ease=at_ease)


async def _reached(stage: Stage, effort: Effort, reach: Reach) -> Reached:
    steps = len(reach.ngs) * effort.slices
    with progress(f"bench edge: CPU a call that is {reach.name}", total=steps) as task:
        costs = await _costs(stage, effort, reach, task)
    looks: dict[str, list[Climb]] = {ng: [] for ng in reach.ngs}
    at_highest_ms: dict[str, list[float]] = {ng: [] for ng in reach.ngs}
    for turn in range(effort.climbs):
        for ng in reach.ngs:
            name = "without media" if ng == servers.DIRECT else "with media"
            title = f"bench edge: highest clean rate, {reach.name} {name}, {turn + 1}"
            with progress(f"{title} of {effort.climbs}") as task:
                found, cost_ms = await _climb(stage, effort, (ng, reach), looks[ng], task)
            looks[ng].append(found)
            at_highest_ms[ng].extend(cost_ms)
    climbs = {ng: Climbs(each=tuple(each)) for ng, each in looks.items()}
    return Reached(costs=costs, climbs=climbs, at_highest_ms=at_highest_ms)


async def _at_ease(stage: Stage, effort: Effort, wait_rate: float) -> AtEase:
    with progress("bench edge: CPU a call at a low rate", total=effort.slices) as task:
        low = await _slices(stage, effort, effort.low_rate, task)
    with progress("bench edge: time to the agent", total=effort.slices) as task:
        waits = await _slices(stage, effort, wait_rate, task)
    return AtEase(low=low, waits=waits, wait_rate=wait_rate)


async def sample(effort: Effort, ng: str, out: Path) -> Slice:
    """Run one long slice under the sampler, which leaves what it found in `out`.

    At a rate that no edge has trouble with: the steps of a call are to be its own, not a queue's.
    """
    with awake():
        async with staged(effort.agents, media=ng != servers.DIRECT) as stage:
            await stage.edge_up(ng, profile=out)
            stage.begin_profile()
            measured = await stage.measure(effort.first_rate, effort.seconds * effort.slices)
            await stage.edge_down()
            return measured


async def _costs(
    stage: Stage, effort: Effort, reach: Reach, task: Task
) -> Mapping[str, list[Slice]]:
    found: dict[str, list[Slice]] = {ng: [] for ng in reach.ngs}
    for _ in range(effort.slices):
        for ng in reach.ngs:
            await stage.edge_up(ng)
            measured = await stage.measure(effort.rate, effort.seconds, **reach.scene)
            await stage.edge_down()
            found[ng].append(measured)
            task.advance(f"{ng} {measured.cpu_ms:.2f} ms {measured.summary.dirt}")
    return found


async def _climb(
    stage: Stage, effort: Effort, kind: tuple[str, Reach], before: Sequence[Climb], task: Task
) -> tuple[Climb, list[float]]:
    """Look once more; return also CPU ms a call at the rate found, if there was one."""
    ng, reach = kind
    await stage.edge_up(ng)
    clean_ms: dict[float, float] = {}

    async def try_rate(rate: float) -> str:
        measured = await stage.measure(rate, effort.seconds, **reach.scene)
        if measured.summary.is_clean:
            clean_ms[rate] = measured.cpu_ms
        else:
            await stage.settle()
        return measured.summary.dirt

    found = await one_more(before, try_rate, effort, task.advance)
    await stage.edge_down()
    return found, [clean_ms[found.highest]] if found.highest in clean_ms else []


async def _slices(stage: Stage, effort: Effort, rate: float, task: Task) -> tuple[Slice, ...]:
    await stage.edge_up(servers.DIRECT)
    found = []
    for _ in range(effort.slices):
        found.append(await stage.measure(rate, effort.seconds))
        task.advance(
            f"{found[-1].cpu_ms:.2f} ms of CPU, p99 {found[-1].summary.to_agent_p99_ms:.1f} ms"
        )
    await stage.edge_down()
    return tuple(found)
