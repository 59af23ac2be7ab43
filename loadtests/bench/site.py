"""`bench site` and `bench overload`: a whole site on this machine's cores.

Kamailio with our routes, an edge, rtpengine, three etcd members; SIPp is the carrier. A call is
INVITE, 200 (queued, music from the relay), ACK, BYE. Everything shares the cores with SIPp, which
takes its part of them: what comes out is what this machine carries, not what a site could.

The highest clean rate is the median of several looks for it (`loadtests.bench.ladder`).

Overload is five times that rate for some seconds. `kept` is what was served in all of
these but the first, as a share of that rate; `recovery_s` how long after its end the first clean
slice begins, at half of that rate; null: none did. Its end is that of SIPp, which has waited for
the last answers by then: for how long after the last call, `drained_s` says, so that the site is
clean again no later than both together. SIPp and the refusals take their part of the cores
meanwhile, which `cores` shows: what is left of two for the calls that are served is less than at
the peak. `kept_per_cpu` leaves SIPp, and cores that nobody used, out of that: calls served for each
second of the site's own CPU, its refusals included, as a share of what that is at the peak.
`site.cores` are those that each part takes at the peak: with `overload.cores` they say how much of
the machine SIPp had in either, and how much nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from drills.cli.progress import progress
from drills.lab.certs import make_authority
from drills.lab.enter import RUN_ROOT
from drills.lab.errors import LabError
from drills.lab.process import ProcessSpec
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.center import DID, agent_id, configuration, furnish
from loadtests.bench.cpu import CpuMeter, session_members
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Climbs, Rungs, TryRate, one_more
from loadtests.bench.relay import proxies, sipp
from loadtests.bench.relay.proxies import KEMI, TRUNK
from loadtests.bench.relay.sipp import SIPP
from loadtests.bench.stats import Spread, spread
from state.clock import SystemClock
from state.configuration import Configuration
from state.etcd import Tls
from state.model import Trunk, TrunkId

READY_S: Final = 60.0
CALM_S: Final = 2.0
RECOVERS_WITHIN_S: Final = 20.0
SLICE_S: Final = 0.5
COST_TRIES: Final = 5
AGENTS: Final = "127.0.0.30:5070"
"""Where the telephones of all agents are."""
_REGISTERED_S: Final = 3600
PARTS: Final = ("kamailio", "edge", "rtpengine", "etcd")
_NO_METERS: Final[Mapping[str, CpuMeter]] = MappingProxyType({})


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    first_rate: float = 60.0
    growth: float = 1.25
    rung_s: float = 4.0
    """Long enough that what waits at a rate that is too high shows: SIPp repeats after 0.5 s."""
    most: float = 1000.0
    climbs: int = 5
    """Looks for the highest clean rate."""
    rounds: int = 5
    """Times that the site is overloaded."""
    times: float = 5.0
    over_s: float = 6.0


QUICK: Final = Effort(
    first_rate=20.0, growth=2.0, rung_s=0.5, tries=1, most=20.0, climbs=1, rounds=1, over_s=4.0
)
"""Shows that it works; the figures mean little."""


class Overload(Struct, frozen=True, kw_only=True):
    """One time."""

    offered_per_s: float
    """That SIPp placed: on full cores it may place fewer than it was told to."""
    served_per_s: float
    recovery_s: float
    """Endless: it was not clean again within `RECOVERS_WITHIN_S`."""
    drained_s: float
    """How long SIPp waited for its last answers, a second too much at most."""
    cores: dict[str, float]
    """That each part took while calls were placed; `sipp` too."""
    cpu_ms: float
    """CPU milliseconds of all parts of the site, what they refused included, for each call that was
    served; not a number: none was."""


class SiteFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    climbs: Climbs
    cpu_ms: dict[str, float]
    """CPU ms a call by part, in a clean slice at the highest clean rate; empty: there was none."""
    peak_cores: dict[str, float]
    """That each part took in that slice while calls were placed, `sipp` too; empty: no such slice,
    or it was too short."""
    overloads: tuple[Overload, ...]

    @property
    def peak(self) -> float:
        """Return the highest clean rate, which overload is measured by."""
        return self.climbs.highest.median

    @property
    def kept(self) -> Spread:
        """Return the share of the highest clean rate that is served under overload."""
        return spread(each.served_per_s / self.peak for each in self.overloads)

    @property
    def offered(self) -> Spread:
        """Return how many times the highest clean rate was really placed."""
        return spread(each.offered_per_s / self.peak for each in self.overloads)

    @property
    def recovery_s(self) -> Spread:
        """Return how long it takes to serve cleanly again."""
        return spread(each.recovery_s for each in self.overloads)

    @property
    def drained_s(self) -> Spread:
        """Return how long SIPp waited for its last answers."""
        return spread(each.drained_s for each in self.overloads)

    @property
    def kept_per_cpu(self) -> Spread | None:
        """Return what a CPU second of the site serves, as a share of that at the peak.

        None: there was no clean slice at the peak to compare with, or nothing was served.
        """
        peak_ms = sum(self.cpu_ms.values())
        shares = [peak_ms / each.cpu_ms for each in self.overloads if not math.isnan(each.cpu_ms)]
        return spread(shares) if self.cpu_ms and shares else None

    def cores(self, part: str) -> Spread:
        """Return how much of the cores a part took under overload."""
        return spread(each.cores[part] for each in self.overloads)

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "site": {
                "calls_per_s": round(self.peak, 1),
                "cpu_ms": {part: round(ms, 3) for part, ms in self.cpu_ms.items()},
                "cores": {part: round(each, 2) for part, each in self.peak_cores.items()},
                "ended_the_ladder": self.climbs.ended_by,
                "spread": {"calls_per_s": self.climbs.highest.as_json(1)},
            },
            "overload": {
                "kept": round(self.kept.median, 3),
                "kept_per_cpu": _or_none(self.kept_per_cpu),
                "recovery_s": round(self.recovery_s.median, 2),
                "drained_s": round(self.drained_s.median, 2),
                "times": self.effort.times,
                "times_placed": round(self.offered.median, 2),
                "cores": {part: round(self.cores(part).median, 2) for part in (*PARTS, SIPP)},
                "spread": {"kept": self.kept.as_json(), "recovery_s": self.recovery_s.as_json(2)},
            },
        }


def _or_none(share: Spread | None) -> float | None:
    return None if share is None else round(share.median, 3)


class Site:
    """A site that is up."""

    def __init__(
        self,
        supervisor: Supervisor,
        make_edge: Callable[[int], ProcessSpec],
        calling: Path = sipp.SCENARIOS / "uac.xml",
    ) -> None:
        """`make_edge` returns the edge of a number, 1 and up; `calling`: SIPp's scenario."""
        self._run = RUN_ROOT
        self._supervisor = supervisor
        self._make_edge = make_edge
        self._calling = calling
        self.edges = 0

    async def have_edges(self, count: int) -> None:
        """Let so many edge processes serve, and wait until Kamailio gives calls to each of them."""
        for number in range(self.edges + 1, count + 1):
            await self._supervisor.start([self._make_edge(number)])
        for number in range(self.edges, count, -1):
            await self._supervisor.stop(servers.edge_name(number), grace_s=5.0)
        self.edges = count
        ends_s = time.monotonic() + READY_S
        while (served := self._targets()) != count:
            if time.monotonic() > ends_s:
                raise BenchError(f"{served} of {count} edges get calls; see {self._run / 'log'}")
            await asyncio.sleep(SLICE_S)

    def _targets(self) -> int:
        """Return how many edges stand in the first group of the steering row."""
        row = proxies.ask(KEMI, self._run, "htable.get", "steer", DID).get("result")
        if row is None:
            return 0
        return len(row["item"]["value"].partition("|")[0].split(","))

    async def slice(self, rate: float, seconds: float) -> sipp.Tally:
        """Let the carrier send so many calls a second."""
        return (await self._run_sipp(rate, seconds)).tally

    async def paid_slice(self, rate: float, seconds: float) -> tuple[sipp.Run, dict[str, float]]:
        """Return also the CPU seconds of each part, and of SIPp."""
        meters = self.meters()
        before = {part: meter.read_s() for part, meter in meters.items()}
        run = await self._run_sipp(rate, seconds, meters)
        spent = {part: meter.read_s() - before[part] for part, meter in meters.items()}
        return run, spent | {SIPP: run.own_s}

    async def _run_sipp(
        self, rate: float, seconds: float, meters: Mapping[str, CpuMeter] = _NO_METERS
    ) -> sipp.Run:
        calls = max(1, round(rate * seconds))
        return await sipp.carrier(
            KEMI, self._run, rate=rate, calls=calls, scenario=self._calling, meters=meters
        )

    def rung(self, seconds: float) -> TryRate:
        """Return what tries a rate for so long, and says what was not clean."""

        async def try_rate(rate: float) -> str:
            return (await self.slice(rate, seconds)).dirt

        return try_rate

    async def ready(self) -> None:
        """Wait until the site takes calls. BenchError if it never does."""
        ends_s = time.monotonic() + READY_S
        while dirt := (await self.slice(10, SLICE_S)).dirt:
            if time.monotonic() > ends_s:
                raise BenchError(f"the site takes no calls: {dirt}; see {self._run / 'log'}")

    def meters(self) -> dict[str, CpuMeter]:
        """Return a meter on each part."""
        found = {}
        edges = tuple(servers.edge_name(number) for number in range(1, self.edges + 1))
        for part, names in zip(
            PARTS, ((KEMI.name,), edges, ("rtpengine",), tuple(servers.MEMBERS)), strict=True
        ):
            leaders = (self._supervisor.pid(name) for name in names)
            pids = [pid for each in leaders if each for pid in session_members(each)]
            found[part] = CpuMeter(pids)
        return found


async def measure(effort: Effort) -> SiteFigures:
    """Bring the site up, climb, then overload it."""
    async with site_up() as site:
        looks: list[Climb] = []
        with progress("bench site: highest clean rate") as task:
            for _ in range(effort.climbs):
                looks.append(await one_more(looks, site.rung(effort.rung_s), effort, task.advance))
        climbs = Climbs(each=tuple(looks))
        peak = climbs.highest.median
        if not peak:
            raise BenchError(f"the site serves no rate cleanly: {climbs.ended_by}")
        cpu_ms, peak_cores = await costs(site, peak, effort.rung_s)
        overloads = []
        with progress("bench site: overload", total=effort.rounds) as task:
            for _ in range(effort.rounds):
                overloads.append(await overload(site, peak, effort))
                last = overloads[-1]
                task.advance(f"{last.served_per_s:.0f}/s of {last.offered_per_s:.0f}")
    return SiteFigures(
        effort=effort,
        climbs=climbs,
        cpu_ms=cpu_ms,
        peak_cores=peak_cores,
        overloads=tuple(overloads),
    )


async def costs(
    site: Site, rate: float, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return CPU ms a call by part, and cores, in a slice that is clean; empty: none was."""
    for _ in range(COST_TRIES):
        run, spent = await site.paid_slice(rate, seconds)
        if not run.tally.dirt:
            a_call = {part: 1e3 * spent[part] / run.tally.created for part in PARTS}
            return a_call, run.steady_cores()
        await asyncio.sleep(CALM_S)
    return {}, {}


async def overload(site: Site, peak: float, effort: Effort) -> Overload:
    """Send so many times the peak for some seconds; wait until the site is clean again."""
    run, spent = await site.paid_slice(effort.times * peak, effort.over_s)
    cores = run.steady_cores()
    if not cores:
        raise BenchError(f"calls were not placed for long enough: {effort.over_s:g} s")
    over_s = time.monotonic()
    recovery_s = math.inf
    while math.isinf(recovery_s) and (at_s := time.monotonic()) - over_s <= RECOVERS_WITHIN_S:
        if not (await site.slice(peak / 2, SLICE_S)).dirt:
            recovery_s = at_s - over_s
    return Overload(
        offered_per_s=run.tally.steady.placed_per_s,
        served_per_s=run.tally.steady.succeeded_per_s,
        recovery_s=recovery_s,
        drained_s=max(0.0, run.took_s - run.tally.steady.last_s),
        cores=cores,
        cpu_ms=1e3 * sum(spent[part] for part in PARTS) / (run.tally.succeeded or math.nan),
    )


@contextlib.asynccontextmanager
async def site_up(
    agents: int = 0,
    *,
    answering: Path | None = None,
    calling: Path = sipp.SCENARIOS / "uac.xml",
    configured: Configuration | None = None,
) -> AsyncIterator[Site]:
    """Bring up a site of one edge.

    With `agents` they are there, at one SIPp that answers for all of them by `answering`; with
    another configuration nobody is.
    """
    run = RUN_ROOT
    servers.clear(run)
    supervisor = Supervisor(run / "log")
    now = dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)
    identity = make_authority(run / "certs", now=now).issue(
        "bench", addresses=("127.0.0.1", *servers.MEMBERS.values())
    )
    proxy = servers.ProxyRef(
        rpc=KEMI.run(run) / "kamailio.rpc", evapi=f"{KEMI.address}:{proxies.EVENTS_PORT}"
    )
    try:
        await supervisor.start(
            [
                *(servers.etcd(name, run, identity) for name in servers.MEMBERS),
                servers.rtpengine(run),
                proxies.specification(KEMI, run),
            ]
        )
        tls = Tls(ca=identity.ca, cert=identity.cert, key=identity.key)
        await furnish(servers.ENDPOINTS, tls, configured or _configuration(agents))

        def edge(number: int) -> ProcessSpec:
            return servers.edge(run, identity, ng=servers.NG, proxy=proxy, number=number)

        if answering is not None:
            await supervisor.start([sipp.edge(AGENTS, run, answering)])
        site = Site(supervisor, edge, calling)
        await site.have_edges(1)
        for number in range(agents):
            _register(agent_id(number), run)
        await site.ready()
        yield site
    except LabError as error:
        raise BenchError(str(error)) from error
    finally:
        await supervisor.close()


def _register(agent: str, run: Path) -> None:
    """Put an agent's telephone into Kamailio's location table, as their REGISTER would."""
    contact = f"sip:{agent}@{AGENTS}"
    added = proxies.ask(
        KEMI, run, "ul.add", "location", agent, contact, _REGISTERED_S, 1.0, "0", 0, 0, 0
    )
    if "error" in added:
        raise BenchError(f"Kamailio does not take the telephone of {agent}: {added['error']}")


def _configuration(agents: int) -> Configuration:
    """Return a site with a trunk, and a queue with so many agents."""
    made = configuration(agents, f"{KEMI.address}:5060")
    return Configuration(
        sites=made.sites,
        trunks=(Trunk(id=TrunkId("bench"), addresses=(TRUNK,)),),
        queues=made.queues,
        dids=made.dids,
        agents=made.agents,
    )
