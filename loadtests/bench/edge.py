"""`bench edge`: what one edge process takes for a call, and how many a second it can do.

A call is answered, queued (no greeting), given to a free agent, bridged, and ended after 0.2 s.
Slices with and without a media relay alternate, each with a fresh edge on the same etcd. CPU is the
edge's own, over all its threads, of a whole slice: also of its probes, its lease and its watch. The
processors are kept awake meanwhile (`loadtests.bench.awake`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.ladder import Climb, Climbs, Rungs, one_more
from loadtests.bench.stage import Slice, Stage, staged
from loadtests.bench.stats import Spread, spread

NGS: Final = (servers.DIRECT, servers.NG)
"""Without media, with media."""


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

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
    """Looks for each of the two highest clean rates, in turn, each with a fresh edge."""


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


class EdgeFigures(Struct, frozen=True, kw_only=True):
    """What came out; of each pair, the first is without media."""

    effort: Effort
    costs: tuple[tuple[Slice, ...], tuple[Slice, ...]]
    low: tuple[Slice, ...]
    """Slices at the low rate, without media."""
    climbs: tuple[Climbs, Climbs]
    at_highest_ms: tuple[tuple[float, ...], tuple[float, ...]]
    """CPU ms a call in each look's clean slice at its highest rate: work comes in bunches there."""
    waits: tuple[Slice, ...]
    """Slices at half of the highest clean rate, without media."""
    wait_rate: float

    def cpu(self, kind: int) -> Spread:
        """Return CPU ms a call, of the clean slices: calls that fail cost something else."""
        clean = [each for each in self.costs[kind] if each.summary.is_clean]
        return spread(each.cpu_ms for each in clean or self.costs[kind])

    def cpu_at_low_rate(self) -> Spread:
        """Return CPU ms a call at the low rate."""
        return spread(each.cpu_ms for each in self.low)

    def to_agent(self, share: str) -> Spread:
        """Return ms from INVITE in to INVITE out, of the slices' `p50` or `p99`."""
        return spread(getattr(each.summary, f"to_agent_{share}_ms") for each in self.waits)

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read."""
        return {
            "cpu_ms": round(self.cpu(0).median, 3),
            "cpu_ms_media": round(self.cpu(1).median, 3),
            "cpu_ms_at_low_rate": round(self.cpu_at_low_rate().median, 3),
            "cpu_ms_at_highest": _median_or_none(self.at_highest_ms[0]),
            "cpu_ms_media_at_highest": _median_or_none(self.at_highest_ms[1]),
            "calls_per_s": round(self.climbs[0].highest.median, 1),
            "calls_per_s_media": round(self.climbs[1].highest.median, 1),
            "to_agent_ms": {
                share: round(self.to_agent(share).median, 2) for share in ("p50", "p99")
            },
            "spread": {
                "cpu_ms": self.cpu(0).as_json(),
                "cpu_ms_media": self.cpu(1).as_json(),
                "to_agent_ms": {s: self.to_agent(s).as_json() for s in ("p50", "p99")},
                "calls_per_s": self.climbs[0].highest.as_json(1),
                "calls_per_s_media": self.climbs[1].highest.as_json(1),
            },
            "cpu_ms_of_loop": _others(self.costs[0], "edge_loop_s"),
            "cpu_ms_of_loop_at_low_rate": _others(self.low, "edge_loop_s"),
            "of_others_ms": {
                "generator": _others(self.costs[0], "generator_s"),
                "etcd": _others(self.costs[0], "etcd_s"),
                "rtpengine": _others(self.costs[1], "relay_s"),
            },
            "rate": self.effort.rate,
            "to_agent_rate": round(self.wait_rate, 1),
            "agents": self.effort.agents,
            "climbs": self.effort.climbs,
            "ended_the_ladder": [each.ended_by for each in self.climbs],
        }


def _median_or_none(values: Sequence[float]) -> float | None:
    return round(spread(values).median, 3) if values else None


def _others(slices: Sequence[Slice], name: str) -> float:
    return round(spread(1e3 * getattr(s, name) / s.summary.offered for s in slices).median, 3)


async def measure(effort: Effort) -> EdgeFigures:
    """Bring everything up and measure."""
    with awake():
        async with staged(effort.agents, media=True) as stage:
            return await _measure(stage, effort)


async def _measure(stage: Stage, effort: Effort) -> EdgeFigures:
    with progress("bench edge: CPU a call", total=2 * effort.slices) as task:
        costs = await _costs(stage, effort, task)
    with progress("bench edge: CPU a call at a low rate", total=effort.slices) as task:
        low = await _slices(stage, effort, effort.low_rate, task)
    looks: tuple[list[Climb], list[Climb]] = ([], [])
    at_highest_ms: tuple[list[float], list[float]] = ([], [])
    for turn in range(effort.climbs):
        for kind, ng in enumerate(NGS):
            name = "without media" if ng == servers.DIRECT else "with media"
            title = f"bench edge: highest clean rate {name}, {turn + 1} of {effort.climbs}"
            with progress(title) as task:
                found, cost_ms = await _climb(stage, effort, ng, looks[kind], task)
            looks[kind].append(found)
            at_highest_ms[kind].extend(cost_ms)
    climbs = (Climbs(each=tuple(looks[0])), Climbs(each=tuple(looks[1])))
    wait_rate = max(effort.first_rate / 2, climbs[0].highest.median / 2)
    with progress("bench edge: time to the agent", total=effort.slices) as task:
        waits = await _slices(stage, effort, wait_rate, task)
    return EdgeFigures(
        effort=effort,
        costs=(tuple(costs[0]), tuple(costs[1])),
        low=low,
        climbs=climbs,
        at_highest_ms=(tuple(at_highest_ms[0]), tuple(at_highest_ms[1])),
        waits=waits,
        wait_rate=wait_rate,
    )


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


async def _costs(stage: Stage, effort: Effort, task: Task) -> tuple[list[Slice], list[Slice]]:
    found: tuple[list[Slice], list[Slice]] = ([], [])
    for _ in range(effort.slices):
        for kind, ng in enumerate(NGS):
            await stage.edge_up(ng)
            measured = await stage.measure(effort.rate, effort.seconds)
            await stage.edge_down()
            found[kind].append(measured)
            task.advance(f"{ng} {measured.cpu_ms:.2f} ms {measured.summary.dirt}")
    return found


async def _climb(
    stage: Stage, effort: Effort, ng: str, before: Sequence[Climb], task: Task
) -> tuple[Climb, list[float]]:
    """Look once more; return also CPU ms a call at the rate found, if there was one."""
    await stage.edge_up(ng)
    clean_ms: dict[float, float] = {}

    async def try_rate(rate: float) -> str:
        measured = await stage.measure(rate, effort.seconds)
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
