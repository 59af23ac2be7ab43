"""`bench relay`: paired slices at one rate, then how far each of the two goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from drills.lab.enter import RUN_ROOT
from drills.lab.errors import LabError
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.cpu import CpuMeter, session_members
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Climbs, Rungs, TryRate, one_more
from loadtests.bench.relay import proxies, sipp
from loadtests.bench.relay.proxies import ALL, CONTROL, KEMI, PLAIN, Proxy
from loadtests.bench.stats import Spread, paired_ratio, spread

SETTLE_S: Final = 1.2
"""After a rung: the edges say once a second what they have sent again."""
CALM_S: Final = 3.0
"""After a rung that did not hold, until the proxy has given up what it was still repeating."""


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int = 9
    """Slices of each proxy, one round after the other, each in another order."""
    seconds: float = 1.0
    rate: float = 1000.0
    first_rate: float = 1000.0
    growth: float = 1.3
    rung_s: float = 1.5
    most: float = 20_000.0
    climbs: int = 5
    """Looks for each of the two highest clean rates, in turn."""


QUICK: Final = Effort(
    rounds=2, seconds=0.4, rate=200.0, first_rate=100.0, growth=2.0, rung_s=0.5, tries=1,
    most=100.0, climbs=1,
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class RelayFigures(Struct, frozen=True, kw_only=True):
    """What came out; lists by round."""

    effort: Effort
    cpu_us: Mapping[str, list[float]]
    """By proxy: CPU microseconds a call."""
    sipp_us: list[float]
    """The carrier's SIPp."""
    climbs: Mapping[str, Climbs]

    def ratio(self, over: Proxy) -> Spread:
        """Return the ratio of a proxy's cost to the native one's, round by round."""
        return paired_ratio(self.cpu_us[over.name], self.cpu_us[PLAIN.name])

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read."""
        return {
            "cpu_ratio": round(self.ratio(KEMI).median, 3),
            "control_ratio": round(self.ratio(CONTROL).median, 3),
            "clean_rate": {
                proxy.name: round(self.climbs[proxy.name].highest.median, 1)
                for proxy in (KEMI, PLAIN)
            },
            "spread": {
                "cpu_ratio": self.ratio(KEMI).as_json(),
                "control_ratio": self.ratio(CONTROL).as_json(),
                "clean_rate": {name: each.highest.as_json(1) for name, each in self.climbs.items()},
            },
            "cpu_us": {name: spread(each).as_json(1) for name, each in self.cpu_us.items()},
            "sipp_us": spread(self.sipp_us).as_json(1),
            "rate": self.effort.rate,
            "climbs": self.effort.climbs,
            "ended_the_ladder": {name: each.ended_by for name, each in self.climbs.items()},
        }


async def measure(effort: Effort) -> RelayFigures:
    """Bring all up and measure."""
    run = RUN_ROOT
    servers.clear(run)
    supervisor = Supervisor(run / "log")
    try:
        await supervisor.start([proxies.specification(each, run) for each in ALL])
        await supervisor.start([sipp.edge(address, run) for address in proxies.EDGES])
        for each in ALL:
            proxies.tell(each, run)
        bench = _Bench(run, supervisor)
        for each in ALL:
            await bench.warm_up(each, effort)
        with progress("bench relay: CPU a call", total=3 * effort.rounds) as task:
            costs, own = await _rounds(bench, effort, task)
        looks: dict[str, list[Climb]] = {each.name: [] for each in (KEMI, PLAIN)}
        for turn in range(effort.climbs):
            for each in (KEMI, PLAIN):
                title = f"bench relay: highest clean rate, {each.name}, {turn + 1}"
                with progress(f"{title} of {effort.climbs}") as task:
                    found = looks[each.name]
                    rung = bench.rung(each, effort.rung_s)
                    found.append(await one_more(found, rung, effort, task.advance))
    except LabError as error:
        raise BenchError(str(error)) from error
    finally:
        await supervisor.close()
    climbs = {name: Climbs(each=tuple(each)) for name, each in looks.items()}
    return RelayFigures(effort=effort, cpu_us=costs, sipp_us=own, climbs=climbs)


class _Bench:
    """The proxies that are up, and a meter on each."""

    def __init__(self, run: Path, supervisor: Supervisor) -> None:
        self._run = run
        self._supervisor = supervisor
        self._meters = {}
        for each in ALL:
            leader = supervisor.pid(each.name)
            members = session_members(leader) if leader is not None else []
            self._meters[each.name] = CpuMeter(members)

    async def warm_up(self, proxy: Proxy, effort: Effort) -> None:
        """Let a proxy take some calls, which must go well."""
        calls = round(effort.rate / 5)
        tally = (await sipp.carrier(proxy, self._run, rate=200, calls=calls)).tally
        if tally.failed or not tally.succeeded:
            raise BenchError(f"{proxy.name} does not relay: {tally.dirt}")

    async def cost(self, proxy: Proxy, rate: float, seconds: float) -> tuple[float, float]:
        """Return CPU microseconds a call: the proxy's, and SIPp's."""
        meter, calls = self._meters[proxy.name], round(rate * seconds)
        before = meter.read_s()
        run = await sipp.carrier(proxy, self._run, rate=rate, calls=calls)
        return 1e6 * (meter.read_s() - before) / calls, 1e6 * run.own_s / calls

    def rung(self, proxy: Proxy, seconds: float) -> TryRate:
        """Return what tries a rate of one proxy for so long."""
        return lambda rate: self._dirt(proxy, rate, seconds)

    async def _dirt(self, proxy: Proxy, rate: float, seconds: float) -> str:
        """Run a rung; say what was not clean. The next one finds nothing of it."""
        before = sipp.edges_retransmissions(self._run)
        calls = round(rate * seconds)
        tally = (await sipp.carrier(proxy, self._run, rate=rate, calls=calls)).tally
        await asyncio.sleep(SETTLE_S)
        more = sipp.edges_retransmissions(self._run) - before
        found = tally.plus_retransmissions(more).dirt
        if found:
            await self._supervisor.stop(*(sipp.name_of(edge) for edge in proxies.EDGES))
            await asyncio.sleep(CALM_S)
            await self._supervisor.start([sipp.edge(edge, self._run) for edge in proxies.EDGES])
        return found


async def _rounds(
    bench: _Bench, effort: Effort, task: Task
) -> tuple[dict[str, list[float]], list[float]]:
    costs: dict[str, list[float]] = {each.name: [] for each in ALL}
    own: list[float] = []
    for turn in range(effort.rounds):
        at = turn % len(ALL)
        for each in (*ALL[at:], *ALL[:at]):
            cost_us, own_us = await bench.cost(each, effort.rate, effort.seconds)
            costs[each.name].append(cost_us)
            own.append(own_us)
            task.advance(f"{each.name} {cost_us:.0f} us")
    return costs, own
