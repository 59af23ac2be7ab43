"""Each fault and its undoing, side by side: what is done to a lab. Keeps no time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from drills.experiment import Fault, FaultKind
from drills.lab import recorders
from drills.lab.disks import FullDisk, take_away
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from drills.lab.plan import HostKind
from state.codec import UNREADABLE
from state.model import SiteId

STALLS_S, WORKS_S = 0.15, 0.05
ANSWER_TIMEOUT_S = 10.0
EDGE_ANSWERS_S = ANSWER_TIMEOUT_S / 2
"""Whoever asked for a drain waits for both: that it is refused, and that it is taken back."""
_STILL_DRAINS = """; an edge that drains takes no new calls: say {"cmd": "undrain"} on its socket \
again, or kill its process, whose next life does not drain"""

Undo: TypeAlias = Callable[[], Awaitable[None]]


class Breaker:
    """Breaks one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def do(self, fault: Fault) -> Undo | None:  # noqa: C901, PLR0911, PLR0912 - one case a kind
        """Make a fault; return what undoes it, None when nothing does. LabError: it cannot be."""
        lab, target = self._lab, fault.target
        match fault.kind:
            case FaultKind.KILL_SITE:
                # What was done is over then; how long it takes to be well, the steady state says.
                undo = partial(lab.let_site_start, SiteId(target))
                return await _whole(partial(lab.kill_site, SiteId(target)), undo)
            case FaultKind.FREEZE_SITE:
                return self._freeze(lab.supervisor.names(lab.plan.host(target).name))
            case FaultKind.KILL:
                lab.supervisor.kill(target)
                return None
            case FaultKind.HOLD_DOWN:
                lab.supervisor.hold_down(target)
                return partial(lab.supervisor.release, target)
            case FaultKind.FREEZE:
                return self._freeze([target])
            case FaultKind.STUTTER:
                lab.supervisor.pid(target)  # an unknown one is refused at once
                return self._again_and_again(self._stutter(target))
            case FaultKind.CUT | FaultKind.CUT_OFF:
                pairs = self._pairs(target)
                return await _whole(partial(self._cut_all, pairs), self._healing(pairs))
            case FaultKind.DRAIN:
                return await self._drain(SiteId(target))
            case FaultKind.ISOLATE:
                lab.wan.isolate(target)
                return _later(partial(lab.wan.reconnect, target))
            case FaultKind.CUT_ONE_WAY:
                source, _, sink = target.partition(">")
                lab.wan.cut(source, sink)
                return _later(partial(lab.wan.heal, source, sink))
            case FaultKind.SHAPE:
                return await self._shape(fault)
            case FaultKind.CUT_ETCD:
                lab.wan.part_etcd(target)
                return _later(partial(lab.wan.rejoin_etcd, target))
            case FaultKind.WRONG_CLOCK:
                lab.set_clock(SiteId(target), fault.off_s)
                return _later(partial(lab.set_clock, SiteId(target), 0.0))
            case FaultKind.EXPIRE:
                renewing = _later(partial(lab.renew_certificates, SiteId(target)))
                return await _whole(partial(self._expire, SiteId(target)), renewing)
            case FaultKind.LOSE_KEYS:
                return _later(take_away(lab.paths.of(target) / recorders.PROVIDER))
            case FaultKind.LOSE_STORE:
                return _later(take_away(recorders.store_of(lab.paths.of(target))))
            case FaultKind.FILL_STORE:
                return await self._fill(SiteId(target))
            case FaultKind.FILL_ETCD:
                await lab.set_etcd_full(is_full=True)
                return partial(lab.set_etcd_full, is_full=False)
            case FaultKind.FLAP:
                one, _, other = target.partition("-")
                lab.wan.cut_between(one, other)
                return self._again_and_again(self._flap(one, other, fault.period_s), [(one, other)])

    async def _drain(self, site: SiteId) -> Undo:
        undrain = partial(self._tell_edges, site, "undrain", _STILL_DRAINS)
        try:
            await self._tell_edges(site, "drain")
        except BaseException as error:
            # Nobody would end the draining of those that did.
            await _taken_back(undrain, error)
            raise
        return undrain

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

    def _cut_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        for one, other in pairs:
            self._lab.wan.cut_between(one, other)

    def _pairs(self, target: str) -> list[tuple[str, str]]:
        one, dash, other = target.partition("-")
        if dash and target not in {host.name for host in self._lab.plan.hosts}:
            return [(one, other)]
        return [(target, site) for site in self._lab.plan.sites if site != target]

    def _healing(self, pairs: Iterable[tuple[str, str]]) -> Undo:
        def heal() -> None:
            for one, other in pairs:
                self._lab.wan.heal_between(one, other)

        return _later(heal)

    def _freeze(self, names: Iterable[str]) -> Undo:
        supervisor = self._lab.supervisor
        frozen = {name: supervisor.pid(name) for name in names}
        for name, pid in frozen.items():
            if pid is not None:
                supervisor.freeze(name)

        def thaw() -> None:
            for name, pid in frozen.items():
                if pid is not None and supervisor.pid(name) == pid:
                    supervisor.thaw(name)

        return _later(thaw)

    async def _shape(self, fault: Fault) -> Undo:
        one, dash, other = fault.target.partition("-")
        hosts = {host.name for host in self._lab.plan.hosts}
        if dash and fault.target not in hosts:
            pairs = [(one, other)]
        else:
            kinds = (HostKind.SITE, HostKind.CALLERS, HostKind.AGENTS)
            others = [host.name for host in self._lab.plan.hosts if host.kind in kinds]
            pairs = [(fault.target, each) for each in others if each != fault.target]

        def shape() -> None:
            for source, sink in [pair for one, two in pairs for pair in ((one, two), (two, one))]:
                self._lab.wan.shape(
                    source,
                    sink,
                    delay_ms=fault.delay_ms,
                    jitter_ms=fault.jitter_ms,
                    loss_pct=fault.loss_pct,
                )

        return await _whole(shape, self._healing(pairs))

    def _again_and_again(
        self, doing: Awaitable[None], pairs: Iterable[tuple[str, str]] = ()
    ) -> Undo:
        task = asyncio.ensure_future(doing)
        heal = self._healing(tuple(pairs))

        async def stop() -> None:
            task.cancel()
            # What it could not go on with is undone all the same.
            await asyncio.gather(task, return_exceptions=True)
            await heal()

        return stop

    async def _flap(self, one: str, other: str, period_s: float) -> None:
        """Heal a link that has just been cut, and cut it again, and so on."""
        while True:
            await asyncio.sleep(period_s)
            self._lab.wan.heal_between(one, other)
            await asyncio.sleep(period_s)
            self._lab.wan.cut_between(one, other)

    async def _stutter(self, process: str) -> None:
        while True:
            thaw = self._freeze([process])
            try:
                await asyncio.sleep(STALLS_S)
            finally:
                await thaw()
            await asyncio.sleep(WORKS_S)

    async def _fill(self, site: SiteId) -> Undo:
        """Put a site's store on a disk that is full."""
        store, writer = recorders.store_of(self._lab.paths.of(site)), recorders.process_name(site)
        # What is written while the disk comes or goes would be gone.
        thaw = self._freeze([writer])
        try:
            disk = await asyncio.to_thread(FullDisk, store)
        finally:
            await thaw()

        async def give_back() -> None:
            thaw = self._freeze([writer])
            try:
                await asyncio.to_thread(disk.take_away)
            finally:
                await thaw()

        return give_back


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


async def _whole(do: Callable[[], object], undo: Undo) -> Undo:
    """Do what has several steps, and return its undoing; none of it stays where one cannot be."""
    try:
        do()
    except BaseException as error:
        await _taken_back(undo, error)
        raise
    return undo


async def _taken_back(undo: Undo, error: BaseException) -> None:
    """Undo what was done before an error. LabError with both, where that cannot be either."""
    try:
        await undo()
    except LabError as left:
        if str(left) != str(error):
            raise LabError(f"{error}; {left}") from error


def _later(undo: Callable[[], None]) -> Undo:
    async def run() -> None:
        undo()

    return run
