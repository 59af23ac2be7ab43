"""`bench relay`: our KEMI route and the same in native configuration, without media and with it.

Each is compared by paired slices at one rate, then by how far each of the two goes; a second native
proxy is the control. With media Kamailio's own module lets rtpengine anchor each call (offer,
answer, delete), by the same commands at the same places of both routes. That is not what a site
does, where edges speak to rtpengine and the proxy does what is compared without media. A native
proxy that drives rtpengine against ours, which does not, would flatter ours, and against an edge
beside it, which ends, queues and writes down calls, it would be no comparison of routes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.cli.progress import Task, progress
from drills.lab.enter import RUN_ROOT
from drills.lab.errors import LabError
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.cpu import CpuMeter, session_members
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Climbs, Rungs, TryRate, one_more
from loadtests.bench.relay import anchored, proxies, sipp
from loadtests.bench.relay.compared import Compared, Cost
from loadtests.bench.relay.proxies import ALL, KEMI, PLAIN, Proxy

SETTLE_S: Final = 1.2
"""After a rung: the edges say once a second what they have sent again."""
CALM_S: Final = 3.0
"""After a rung that did not hold, until the proxy has given up what it was still repeating."""
ROOM_EVERY_S: Final = 0.25
"""As edges of a site say it."""
RTPENGINE: Final = "rtpengine"


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    media: tuple[bool, ...] = (False, True)
    """Without, with: which of these, in this order."""
    rounds: int = 9
    """Slices of each proxy, one round after the other, each in another order."""
    seconds: float = 1.0
    rate: float = 1000.0
    first_rate: float = 1000.0
    media_seconds: float = 2.0
    media_rate: float = 300.0
    """With media: a call takes rtpengine as much CPU as several Kamailio."""
    media_first_rate: float = 300.0
    growth: float = 1.3
    rung_s: float = 1.5
    most: float = 20_000.0
    climbs: int = 5
    """Looks for each of the two highest clean rates, in turn."""

    def of(self, *, media: bool) -> Effort:
        """Return the effort whose rates are those with media, or without."""
        if not media:
            return self
        return replace(
            self, seconds=self.media_seconds, rate=self.media_rate, first_rate=self.media_first_rate
        )


QUICK: Final = Effort(
    rounds=2, seconds=0.4, rate=200.0, first_rate=100.0, growth=2.0, rung_s=0.5, tries=1,
    media_seconds=0.4, media_rate=100.0, media_first_rate=100.0, most=100.0, climbs=1,
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class RelayFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    plain: Compared | None
    """Without media; None: not measured."""
    managed: Compared | None
    """With media; None: not measured."""

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read; with media, under `rtpengine`."""
        found = {} if self.plain is None else self.plain.as_json()
        return found if self.managed is None else found | {"rtpengine": self.managed.as_json()}


async def measure(effort: Effort) -> RelayFigures:
    """Bring all up and measure, without media and with it."""
    found = {media: await _compare(effort.of(media=media), media=media) for media in effort.media}
    return RelayFigures(effort=effort, plain=found.get(False), managed=found.get(True))


async def _compare(effort: Effort, *, media: bool) -> Compared:
    name = "bench relay with rtpengine" if media else "bench relay"
    try:
        async with _proxies_up(media=media) as bench:
            for each in ALL:
                await bench.warm_up(each, effort)
            with progress(f"{name}: CPU a call", total=3 * effort.rounds) as task:
                costs = await _rounds(bench, effort, task)
            looks: dict[str, list[Climb]] = {each.name: [] for each in (KEMI, PLAIN)}
            for turn in range(effort.climbs):
                for each in (KEMI, PLAIN):
                    title = f"{name}: highest clean rate, {each.name}, {turn + 1}"
                    with progress(f"{title} of {effort.climbs}") as task:
                        found = looks[each.name]
                        rung = bench.rung(each, effort.rung_s)
                        found.append(await one_more(found, rung, effort, task.advance))
    except LabError as error:
        raise BenchError(str(error)) from error
    climbs = {name: Climbs(each=tuple(each)) for name, each in looks.items()}
    return Compared(rate=effort.rate, has_media=media, costs=costs, climbs=climbs)


@contextlib.asynccontextmanager
async def _proxies_up(*, media: bool) -> AsyncIterator[_Bench]:
    run = RUN_ROOT
    servers.clear(run)
    supervisor = Supervisor(run / "log")
    try:
        if media:
            await supervisor.start([servers.rtpengine(run)])
        specifications = [proxies.specification(each, run, media=media) for each in ALL]
        await supervisor.start(specifications)
        await supervisor.start([sipp.edge(address, run) for address in proxies.EDGES])
        for each in ALL:
            proxies.tell(each, run)
            proxies.say_room(each, run)
        saying = asyncio.create_task(_say_room(run))
        try:
            yield _Bench(run, supervisor, media=media)
        finally:
            saying.cancel()
    finally:
        await supervisor.close()


async def _say_room(run: Path) -> None:
    """Say for the edges how many calls they take, as they do at a site: it is looked up."""
    while True:
        for each in ALL:
            # One that has no time to answer, or is just ending, is told again.
            with contextlib.suppress(OSError):
                await asyncio.to_thread(proxies.say_room, each, run)
        await asyncio.sleep(ROOM_EVERY_S)


class _Bench:
    """The proxies that are up, and a meter on each."""

    def __init__(self, run: Path, supervisor: Supervisor, *, media: bool) -> None:
        self._run = run
        self._supervisor = supervisor
        self._has_media = media
        self._meters = {}
        for name in (*(each.name for each in ALL), *((RTPENGINE,) if media else ())):
            leader = supervisor.pid(name)
            members = session_members(leader) if leader is not None else []
            self._meters[name] = CpuMeter(members)

    async def warm_up(self, proxy: Proxy, effort: Effort) -> None:
        """Let a proxy take some calls, which must go well: with media, by rtpengine."""
        calls = round(effort.rate / 5)
        before = anchored.counts() if self._has_media else {}
        tally = (await sipp.carrier(proxy, self._run, rate=200, calls=calls)).tally
        if tally.failed or not tally.succeeded:
            raise BenchError(f"{proxy.name} does not relay: {tally.dirt}")
        if self._has_media and not tally.retransmissions:
            anchored.check(before, anchored.counts(), calls)

    async def cost(self, proxy: Proxy, rate: float, seconds: float) -> Cost:
        """Return what a call costs in one slice, and what was not clean in it."""
        calls = round(rate * seconds)
        meters = {"proxy": self._meters[proxy.name]}
        if self._has_media:
            meters["relay"] = self._meters[RTPENGINE]
        before = {name: meter.read_s() for name, meter in meters.items()}
        run = await sipp.carrier(proxy, self._run, rate=rate, calls=calls)
        us = {name: 1e6 * (meter.read_s() - before[name]) / calls for name, meter in meters.items()}
        return Cost(
            proxy_us=us["proxy"],
            relay_us=us.get("relay", 0.0),
            sipp_us=1e6 * run.own_s / calls,
            dirt=run.tally.dirt,
        )

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


async def _rounds(bench: _Bench, effort: Effort, task: Task) -> Mapping[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {each.name: [] for each in ALL}
    for turn in range(effort.rounds):
        at = turn % len(ALL)
        for each in (*ALL[at:], *ALL[:at]):
            cost = await bench.cost(each, effort.rate, effort.seconds)
            costs[each.name].append(cost)
            task.advance(f"{each.name} {cost.proxy_us:.0f} us {cost.dirt}")
    return costs
