"""Breaks one lab, and mends it when the time of a fault is over: the fault agent.

It runs where the faults are made, and so does each fault's dead-man timer: whoever asked for a
fault may die, it ends by its time to live. One piece of code for each fault, undo beside do. Asked
over a Unix socket, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from drills.course import FaultError, Made
from drills.experiment import Fault, FaultKind
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from drills.lab.plan import HostKind
from drills.lever import Lever
from state.clock import Clock
from state.model import SiteId

STALLS_S, WORKS_S = 0.15, 0.05
ANSWER_TIMEOUT_S = 10.0
LEVER_EVERY_S = 0.5

Undo: TypeAlias = Callable[[], Awaitable[None]]


class BreakAsk(Struct, frozen=True, kw_only=True, tag_field="do", tag="break"):
    """Make a fault. Answer: `Made`."""

    fault: Fault


class HealAsk(Struct, frozen=True, kw_only=True, tag_field="do", tag="heal"):
    """Undo all that is broken. Answer: all that was ever made."""

    by: str


class StandingAsk(Struct, frozen=True, kw_only=True, tag_field="do", tag="standing"):
    """Answer: all that was ever made."""


Ask: TypeAlias = BreakAsk | HealAsk | StandingAsk


class Answer(Struct, frozen=True, kw_only=True):
    """What the agent says."""

    made: tuple[Made, ...] = ()
    error: str = ""


_asks: msgspec.json.Decoder[Ask] = msgspec.json.Decoder(Ask)


class FaultAgent:
    """What is broken in one lab, and the timers that mend it."""

    def __init__(self, lab: Lab, clock: Clock, lever: Lever | None = None) -> None:
        """`lever`: while it is pulled nothing is broken, and what is gets mended."""
        self._lab = lab
        self._lever = lever
        self._clock = clock
        self._made: dict[int, Made] = {}
        self._undos: dict[int, Undo] = {}
        self._timers: dict[int, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()

    @property
    def made(self) -> tuple[Made, ...]:
        """All faults so far, in order."""
        return tuple(self._made.values())

    async def make(self, fault: Fault) -> Made:
        """Make a fault, its timer first. FaultError when it cannot be made."""
        wrong = fault.wrong_because()
        if wrong is not None:
            raise FaultError(wrong)
        if self._lever is not None and self._lever.is_pulled:
            raise FaultError("the safety lever is pulled: ./everline drill lever release")
        async with self._lock:
            number = len(self._made) + 1
            now_ms = self._clock.now().wall_ms
            try:
                undo = await self._do(fault)
            except LabError as error:
                raise FaultError(f"{fault.told()}: {error}") from error
            made = Made(
                id=number,
                fault=fault,
                at_ms=now_ms,
                until_ms=now_ms + round(fault.ttl_s * 1000),
                healed_ms=None if undo else now_ms,
                by="" if undo else "nothing to undo",
            )
            self._made[number] = made
            if undo is not None:
                self._undos[number] = undo
                self._timers[number] = asyncio.create_task(self._expire(number, fault.ttl_s))
            return made

    async def heal_all(self, by: str) -> None:
        """Undo all that is broken, the last first."""
        for number in sorted(self._undos, reverse=True):
            await self._heal(number, by)

    async def obey_lever(self) -> None:
        """Mend everything whenever the lever is pulled, until cancelled."""
        while self._lever is not None:
            await asyncio.sleep(LEVER_EVERY_S)
            if self._undos and self._lever.is_pulled:
                await self.heal_all("the safety lever")

    async def serve(self, path: Path) -> asyncio.Server:
        """Let others ask over a Unix socket; only ours may."""
        return await asyncio.start_unix_server(self._converse, path)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # killed, perhaps: its faults have their timers
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            match _asks.decode(line):
                case BreakAsk(fault=fault):
                    return Answer(made=(await self.make(fault),))
                case HealAsk(by=by):
                    await self.heal_all(by)
                case StandingAsk():
                    pass
        except (FaultError, msgspec.MsgspecError) as error:
            return Answer(error=str(error))
        return Answer(made=self.made)

    async def _expire(self, number: int, ttl_s: float) -> None:
        await asyncio.sleep(ttl_s)
        del self._timers[number]
        await self._heal(number, "timer")

    async def _heal(self, number: int, by: str) -> None:
        undo = self._undos.pop(number, None)
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        if undo is None:
            return
        try:
            await undo()
        except LabError as error:
            # A part that does not come up again: the steady state will not come back, which tells.
            by = f"{by}, but: {error}".splitlines()[0]
        healed_ms = self._clock.now().wall_ms
        self._made[number] = msgspec.structs.replace(self._made[number], healed_ms=healed_ms, by=by)

    # -- each fault, and its undoing

    async def _do(self, fault: Fault) -> Undo | None:  # noqa: C901, PLR0911, PLR0912 - one case a kind
        lab, target = self._lab, fault.target
        match fault.kind:
            case FaultKind.KILL_SITE:
                lab.kill_site(SiteId(target))
                return partial(lab.revive_site, SiteId(target))
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
                return self._again_and_again(self._stutter(target))
            case FaultKind.CUT | FaultKind.CUT_OFF:
                pairs = self._pairs(target)
                for one, other in pairs:
                    lab.wan.cut_between(one, other)
                return self._healing(pairs)
            case FaultKind.DRAIN:
                await self._tell_edges(SiteId(target), "drain")
                return partial(self._tell_edges, SiteId(target), "undrain")
            case FaultKind.ISOLATE:
                lab.wan.isolate(target)
                return _later(partial(lab.wan.reconnect, target))
            case FaultKind.CUT_ONE_WAY:
                source, _, sink = target.partition(">")
                lab.wan.cut(source, sink)
                return _later(partial(lab.wan.heal, source, sink))
            case FaultKind.SHAPE:
                return self._shape(fault)
            case FaultKind.FLAP:
                one, _, other = target.partition("-")
                return self._again_and_again(self._flap(one, other, fault.period_s), [(one, other)])

    async def _tell_edges(self, site: SiteId, command: str) -> None:
        for edge in self._lab.plan.edges(site):
            await tell_edge(self._lab.paths.of(site) / f"edge-{edge}.sock", command)

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

    def _shape(self, fault: Fault) -> Undo:
        one, dash, other = fault.target.partition("-")
        hosts = {host.name for host in self._lab.plan.hosts}
        if dash and fault.target not in hosts:
            pairs = [(one, other)]
        else:
            kinds = (HostKind.SITE, HostKind.CALLERS, HostKind.AGENTS)
            others = [host.name for host in self._lab.plan.hosts if host.kind in kinds]
            pairs = [(fault.target, each) for each in others if each != fault.target]
        for source, sink in [pair for one, two in pairs for pair in ((one, two), (two, one))]:
            self._lab.wan.shape(
                source,
                sink,
                delay_ms=fault.delay_ms,
                jitter_ms=fault.jitter_ms,
                loss_pct=fault.loss_pct,
            )
        return self._healing(pairs)

    def _again_and_again(
        self, doing: Awaitable[None], pairs: Iterable[tuple[str, str]] = ()
    ) -> Undo:
        task = asyncio.ensure_future(doing)
        heal = self._healing(tuple(pairs))

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await heal()

        return stop

    async def _flap(self, one: str, other: str, period_s: float) -> None:
        while True:
            self._lab.wan.cut_between(one, other)
            await asyncio.sleep(period_s)
            self._lab.wan.heal_between(one, other)
            await asyncio.sleep(period_s)

    async def _stutter(self, process: str) -> None:
        while True:
            thaw = self._freeze([process])
            try:
                await asyncio.sleep(STALLS_S)
            finally:
                await thaw()
            await asyncio.sleep(WORKS_S)


async def tell_edge(path: Path, command: str) -> None:
    """Tell an edge to do something. LabError when it does not say that it has."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(msgspec.json.encode({"cmd": command}) + b"\n")
                await writer.drain()
                answer = msgspec.json.decode(await reader.readline())
            finally:
                writer.close()
    except (OSError, msgspec.MsgspecError) as error:
        raise LabError(f"the edge at {path.name} did not {command}: {error}") from error
    if not (isinstance(answer, dict) and answer.get("ok")):
        raise LabError(f"the edge at {path.name} would not {command}: {answer}")


def _later(undo: Callable[[], None]) -> Undo:
    async def run() -> None:
        undo()

    return run


class FaultClient:
    """Asks a fault agent over its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def make(self, fault: Fault) -> Made:
        """Have a fault made. FaultError when it cannot be, or nobody answers."""
        return (await self._ask(BreakAsk(fault=fault)))[0]

    async def heal_all(self, by: str) -> tuple[Made, ...]:
        """Have all undone; return all that was ever made."""
        return await self._ask(HealAsk(by=by))

    async def standing(self) -> tuple[Made, ...]:
        """Return all that was ever made."""
        return await self._ask(StandingAsk())

    async def _ask(self, ask: Ask) -> tuple[Made, ...]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self.path)
                try:
                    writer.write(msgspec.json.encode(ask) + b"\n")
                    await writer.drain()
                    answer = msgspec.json.decode(await reader.readline(), type=Answer)
                finally:
                    writer.close()
        except (OSError, msgspec.MsgspecError) as error:
            raise FaultError(f"the fault agent at {self.path} does not answer: {error}") from error
        if answer.error:
            raise FaultError(answer.error)
        return answer.made
