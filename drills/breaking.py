"""Each fault and its undoing, side by side: what is done to a lab. Keeps no time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from drills.fault import Fault, FaultKind
from drills.lab import recorders
from drills.lab.disks import Away, FullDisk
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from drills.lab.plan import HostKind
from drills.lab.wan import WanPart
from state.codec import UNREADABLE
from state.model import SiteId

STALLS_S, WORKS_S = 0.15, 0.05
ANSWER_TIMEOUT_S = 10.0
EDGE_ANSWERS_S = ANSWER_TIMEOUT_S / 2
"""Whoever asked for a drain waits for both: that it is refused, and that it is taken back."""
_STILL_DRAINS = """; an edge that drains takes no new calls: say {"cmd": "undrain"} on its socket \
again, or kill its process, whose next life does not drain"""

Act: TypeAlias = Callable[[], Awaitable[None]]


class Breaking(Struct, frozen=True, kw_only=True):
    """How a fault is made, and undone."""

    do: Act
    """LabError or OSError: it cannot be made, or not all of it."""
    undo: Act | None
    """Undoes all that there is of it, which may be a part, or nothing. None: nothing does.

    Whatever it raises, not all is undone; asked again, it goes on where it was."""


class Breaker:
    """Breaks one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def breaking(self, fault: Fault) -> Breaking:  # noqa: C901, PLR0911, PLR0912 - one case a kind
        """Return how a fault is made, of which nothing is yet. LabError: there is no such target.

        The undoing is there before anything is broken, so that a timer can have it first.
        """
        lab, target = self._lab, fault.target
        match fault.kind:
            case FaultKind.KILL_SITE:
                site = SiteId(lab.plan.host(target).name)
                # What was done is over then; how long it takes to be well, the steady state says.
                return Breaking(
                    do=_soon(partial(lab.kill_site, site)), undo=partial(lab.let_site_start, site)
                )
            case FaultKind.FREEZE_SITE:
                return self._freezing(lab.supervisor.names(lab.plan.host(target).name))
            case FaultKind.KILL:
                return Breaking(do=_soon(partial(lab.supervisor.kill, target)), undo=None)
            case FaultKind.HOLD_DOWN:
                lab.supervisor.pid(target)  # an unknown one is refused at once
                return Breaking(
                    do=_soon(partial(lab.supervisor.hold_down, target)),
                    undo=partial(lab.supervisor.release, target),
                )
            case FaultKind.FREEZE:
                return self._freezing([target])
            case FaultKind.STUTTER:
                lab.supervisor.pid(target)
                return self._again_and_again(partial(self._stutter, target), lab.wan)
            case FaultKind.SLOW_SYNC:
                return _sudden(
                    partial(lab.set_sync_delay, target, fault.delay_ms),
                    partial(lab.set_sync_delay, target, 0.0),
                )
            case FaultKind.DRAIN:
                site = SiteId(lab.plan.host(target).name)
                return Breaking(
                    do=partial(self._tell_edges, site, "drain"),
                    undo=partial(self._tell_edges, site, "undrain", _STILL_DRAINS),
                )
            case FaultKind.FILL_ETCD:
                return Breaking(
                    do=partial(lab.set_etcd_full, is_full=True),
                    undo=partial(lab.set_etcd_full, is_full=False),
                )
            case FaultKind.WRONG_CLOCK | FaultKind.EXPIRE:
                return self._misleading(fault)
            case FaultKind.LOSE_KEYS:
                return _taking(lab.paths.of(target) / recorders.PROVIDER)
            case FaultKind.LOSE_STORE:
                return _taking(recorders.store_of(lab.paths.of(target)))
            case FaultKind.FILL_STORE:
                return self._filling(SiteId(target))
            case _:
                return self._on_links(fault)

    def _on_links(self, fault: Fault) -> Breaking:
        # Its own part of the network: what another fault has broken of the same link stays broken.
        wan, target = self._lab.wan.apart(), fault.target
        match fault.kind:
            case FaultKind.ISOLATE | FaultKind.CUT_ETCD | FaultKind.MUTE:
                host = self._lab.plan.host(target).name
                do, undo = {
                    FaultKind.ISOLATE: (wan.isolate, wan.reconnect),
                    FaultKind.CUT_ETCD: (wan.part_etcd, wan.rejoin_etcd),
                    FaultKind.MUTE: (wan.mute, wan.unmute),
                }[fault.kind]
                return _sudden(partial(do, host), partial(undo, host))
            case FaultKind.CUT_ONE_WAY:
                source, _, sink = target.partition(">")
                link = self._link(source, sink)
                return _sudden(partial(wan.cut, *link), partial(wan.heal, *link))
            case FaultKind.FLAP:
                one, _, other = target.partition("-")
                return self._again_and_again(
                    partial(_flap, wan, one, other, fault.period_s), wan, [self._link(one, other)]
                )
            case FaultKind.SHAPE:
                return self._shaping(fault, wan)
            case _:
                pairs = self._pairs(target)
                return _sudden(partial(_cut_all, wan, pairs), partial(_heal_all, wan, pairs))

    def _misleading(self, fault: Fault) -> Breaking:
        """Return how a site is told a wrong time, or that its edges are no longer themselves."""
        lab, site = self._lab, SiteId(self._lab.plan.host(fault.target).name)
        if fault.kind is FaultKind.WRONG_CLOCK:
            return _sudden(
                partial(lab.set_clock, site, fault.off_s), partial(lab.set_clock, site, 0.0)
            )
        return _sudden(partial(self._expire, site), partial(lab.renew_certificates, site))

    async def _tell_edges(self, site: SiteId, command: str, remedy: str = "") -> None:
        """Tell each of a site's edges, whether the others answer or not. LabError: who did not."""
        folder, edges = self._lab.paths.of(site), self._lab.plan.edges(site)
        telling = (_complaint(folder / f"edge-{edge}.sock", command) for edge in edges)
        complaints = [each for each in await asyncio.gather(*telling) if each]
        if complaints:
            raise LabError("; ".join(complaints) + remedy)

    def _expire(self, site: SiteId) -> None:
        self._lab.renew_certificates(site, are_expired=True)
        for edge in self._lab.plan.edges(site):
            self._lab.supervisor.kill(f"edge-{edge}")

    def _link(self, one: str, other: str) -> tuple[str, str]:
        """Return a link that there is."""
        return self._lab.plan.host(one).name, self._lab.plan.host(other).name

    def _pairs(self, target: str) -> list[tuple[str, str]]:
        one, dash, other = target.partition("-")
        if dash and target not in {host.name for host in self._lab.plan.hosts}:
            return [self._link(one, other)]
        return [self._link(target, site) for site in self._lab.plan.sites if site != target]

    def _freezing(self, names: Iterable[str]) -> Breaking:
        supervisor = self._lab.supervisor
        frozen = {name: supervisor.pid(name) for name in names}

        def freeze() -> None:
            for name, pid in frozen.items():
                if pid is not None:
                    supervisor.freeze(name)

        def thaw() -> None:
            for name, pid in frozen.items():
                if pid is not None and supervisor.pid(name) == pid:
                    supervisor.thaw(name)

        return _sudden(freeze, thaw)

    def _shaping(self, fault: Fault, wan: WanPart) -> Breaking:
        one, dash, other = fault.target.partition("-")
        hosts = {host.name for host in self._lab.plan.hosts}
        if dash and fault.target not in hosts:
            pairs = [self._link(one, other)]
        else:
            kinds = (HostKind.SITE, HostKind.CALLERS, HostKind.AGENTS)
            others = [host.name for host in self._lab.plan.hosts if host.kind in kinds]
            pairs = [self._link(fault.target, each) for each in others if each != fault.target]

        def shape() -> None:
            for source, sink in [pair for one, two in pairs for pair in ((one, two), (two, one))]:
                wan.shape(
                    source,
                    sink,
                    delay_ms=fault.delay_ms,
                    jitter_ms=fault.jitter_ms,
                    loss_pct=fault.loss_pct,
                )

        return _sudden(shape, partial(_heal_all, wan, pairs))

    def _again_and_again(
        self, going_on: Act, wan: WanPart, pairs: Iterable[tuple[str, str]] = ()
    ) -> Breaking:
        pairs, going = tuple(pairs), list[asyncio.Future[None]]()

        async def begin() -> None:
            _cut_all(wan, pairs)
            going.append(asyncio.ensure_future(going_on()))

        async def stop() -> None:
            for each in going:
                each.cancel()
            # What it could not go on with is undone all the same.
            await asyncio.gather(*going, return_exceptions=True)
            _heal_all(wan, pairs)

        return Breaking(do=begin, undo=stop)

    async def _stutter(self, process: str) -> None:
        while True:
            # Its PID is another one when it was killed meanwhile.
            async with self._frozen(process):
                await asyncio.sleep(STALLS_S)
            await asyncio.sleep(WORKS_S)

    @asynccontextmanager
    async def _frozen(self, process: str) -> AsyncIterator[None]:
        freezing = self._freezing([process])
        try:
            await freezing.do()
            yield
        finally:
            if freezing.undo is not None:
                await freezing.undo()

    def _filling(self, site: SiteId) -> Breaking:
        """Return how a site's store comes to be on a disk that is full."""
        disk = FullDisk(recorders.store_of(self._lab.paths.of(site)))
        writer = recorders.process_name(site)

        # What is written while the disk comes or goes would be gone. Whoever writes stands still
        # for no longer than that: recordings that should begin then begin late.
        async def lay() -> None:
            await asyncio.to_thread(disk.bring)
            async with self._frozen(writer):
                await asyncio.to_thread(disk.lay)

        async def give_back() -> None:
            async with self._frozen(writer):
                await asyncio.to_thread(disk.take_away)

        return Breaking(do=lay, undo=give_back)


async def tell_edge(path: Path, command: str) -> None:
    """Tell an edge to do something. LabError when it does not say that it has."""
    try:
        async with asyncio.timeout(EDGE_ANSWERS_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(msgspec.json.encode({"cmd": command}) + b"\n")
                await writer.drain()
                answer = msgspec.json.decode(await reader.readline())
            finally:
                writer.close()
    except TimeoutError as error:
        why = f"no answer in {EDGE_ANSWERS_S:g} s"
        raise LabError(f"the edge at {path} did not {command}: {why}") from error
    except (OSError, ValueError, *UNREADABLE) as error:
        raise LabError(f"the edge at {path} did not {command}: {error}") from error
    if not (isinstance(answer, dict) and answer.get("ok")):
        raise LabError(f"the edge at {path} would not {command}: {answer}")


async def _complaint(path: Path, command: str) -> str:
    try:
        await tell_edge(path, command)
    except LabError as error:
        return str(error)
    return ""


def _cut_all(wan: WanPart, pairs: Iterable[tuple[str, str]]) -> None:
    for one, other in pairs:
        wan.cut_between(one, other)


def _heal_all(wan: WanPart, pairs: Iterable[tuple[str, str]]) -> None:
    for one, other in pairs:
        wan.heal_between(one, other)


async def _flap(wan: WanPart, one: str, other: str, period_s: float) -> None:
    """Heal a link that has just been cut, and cut it again, and so on."""
    while True:
        await asyncio.sleep(period_s)
        wan.heal_between(one, other)
        await asyncio.sleep(period_s)
        wan.cut_between(one, other)


def _taking(path: Path) -> Breaking:
    away = Away(path)
    return _sudden(away.take, away.bring_back)


def _sudden(do: Callable[[], object], undo: Callable[[], object]) -> Breaking:
    return Breaking(do=_soon(do), undo=_soon(undo))


def _soon(act: Callable[[], object]) -> Act:
    async def run() -> None:
        act()

    return run
