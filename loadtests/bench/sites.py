"""`bench sites`: what a call costs as the center has more sites, with lines between them.

One edge for each site, of which the first has all agents and gets all calls; three members of etcd,
the first of which leads, with lines of 20 or 200 ms there and back between them. Every edge sees
every call, asks every site whether it lives and sends it packets as large as audio's: what a call
costs the edges that only look on, what each edge does without calls, and how long a caller waits.
All share this machine's cores, so the rate is low.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.center import SITES
from loadtests.bench.distance.lines import Lines, lines_up
from loadtests.bench.stage import Slice, Stage, counted, staged
from loadtests.bench.stats import Spread, spread

IDLE_S: Final = 2.0
LEADER: Final = "m1"


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    counts: tuple[int, ...] = (1, 3, 6, 9)
    """Of sites, fewest first."""
    round_trips_ms: tuple[float, ...] = (20.0, 200.0)
    slices: int = 5
    seconds: float = 2.0
    rate: float = 30.0
    agents: int = 300


QUICK: Final = Effort(
    counts=(1, 2), round_trips_ms=(20.0,), slices=1, seconds=0.5, rate=10.0, agents=20
)
"""Shows that it works; the figures mean little."""


class Sites(Struct, frozen=True, kw_only=True):
    """What was found with so many sites."""

    edge_idle_ms: float
    """CPU milliseconds a second of the edge that gets the calls, without any."""
    idle_ms: float
    """The same of all edges that look on."""
    slices: Mapping[float, tuple[Slice, ...]]
    """By ms there and back."""

    @property
    def cpu_ms(self) -> Spread:
        """Return the CPU milliseconds a call of the edge that has it, whatever the distance."""
        return spread(each.cpu_ms for each in self._counted)

    @property
    def onlookers_ms(self) -> Spread:
        """Return what a call costs all edges that have no part in it, together."""
        return spread(
            (1e3 * each.second_s - self.idle_ms * each.summary.took_s) / each.summary.offered
            for each in self._counted
        )

    @property
    def _counted(self) -> tuple[Slice, ...]:
        return counted(each for some in self.slices.values() for each in some)

    def to_agent_ms(self, round_trip_ms: float) -> Spread:
        """Return the median time from the caller's INVITE to the agent's."""
        return spread(each.summary.to_agent_p50_ms for each in counted(self.slices[round_trip_ms]))

    @property
    def dirt(self) -> list[str]:
        """What was not clean."""
        some = (each.summary.dirt for some in self.slices.values() for each in some)
        return [each for each in some if each]


class SitesFigures(Struct, frozen=True, kw_only=True):
    """What came out, by number of sites."""

    effort: Effort
    sites: Mapping[int, Sites]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "sites": {
                str(count): {
                    "cpu_ms": found.cpu_ms.as_json(),
                    "onlookers_ms": found.onlookers_ms.as_json(),
                    "edge_idle_ms": round(found.edge_idle_ms, 1),
                    "onlookers_idle_ms": round(found.idle_ms, 1),
                    "to_agent_p50_ms": {
                        f"{ms:g}": found.to_agent_ms(ms).as_json(1) for ms in found.slices
                    },
                    "dirt": found.dirt,
                }
                for count, found in self.sites.items()
            },
            "rate": self.effort.rate,
        }


async def measure(effort: Effort) -> SitesFigures:
    """Bring up a center of the most sites, and one edge after the other."""
    found: dict[int, Sites] = {}
    steps = len(effort.counts) * len(effort.round_trips_ms) * effort.slices
    with awake(), progress("bench sites: CPU a call", steps) as task:
        async with (
            lines_up() as lines,
            staged(effort.agents, media=False, is_far=True, sites=max(effort.counts)) as stage,
        ):
            await stage.edge_up(servers.DIRECT)
            await stage.lead(LEADER)
            there = 1
            for count in effort.counts:
                await lines.let_take(0.0)
                for site in SITES[there:count]:
                    await stage.onlooker_up(site)
                there = count
                found[count] = await _sites(stage, lines, effort, task, count)
            await stage.onlookers_down()
            await stage.edge_down()
    return SitesFigures(effort=effort, sites=found)


async def _sites(stage: Stage, lines: Lines, effort: Effort, task: Task, count: int) -> Sites:
    idle_ms = 1e3 * await stage.onlookers_idle_s(IDLE_S) / IDLE_S
    edge_idle_ms = 1e3 * await stage.edge_idle_s(IDLE_S) / IDLE_S
    slices: dict[float, list[Slice]] = {ms: [] for ms in effort.round_trips_ms}
    for _ in range(effort.slices):
        for ms, some in slices.items():
            await lines.let_take(ms / 2)
            some.append(await stage.measure(effort.rate, effort.seconds))
            await stage.settle()
            last = some[-1]
            task.advance(f"{count} sites, {ms:g} ms: {last.cpu_ms:.2f} ms {last.summary.dirt}")
    return Sites(
        edge_idle_ms=edge_idle_ms,
        idle_ms=idle_ms,
        slices={ms: tuple(some) for ms, some in slices.items()},
    )
