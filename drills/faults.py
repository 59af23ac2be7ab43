"""Breaks one lab, and mends it when the time of a fault is over: the fault agent.

It runs where the faults are made, and so does each fault's dead-man timer: whoever asked for a
fault may die, it ends by its time to live. Asked over a Unix socket, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Container
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from drills.breaking import ANSWER_TIMEOUT_S, Act, Breaker
from drills.course import FaultError, Made
from drills.fault import Fault
from drills.lab.errors import LabError
from drills.lab.lab import Lab
from drills.lever import Lever
from state.clock import Clock
from state.codec import UNREADABLE

LEVER_EVERY_S = 0.5
AGAIN_S = 5.0
"""After which what could not be undone is tried again: a disk may be busy, an edge not be there."""
LETS_GO_S = 1.0
"""So long what is told to make no more of a fault may take to stop, before it is undone."""


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
        self._breaker = Breaker(lab)
        self._lever = lever
        self._clock = clock
        self._numbers = itertools.count(1)
        self._made: dict[int, Made] = {}
        self._undos: dict[int, Act] = {}
        self._timers: dict[int, asyncio.Task[None]] = {}
        self._undoing: dict[int, asyncio.Task[None]] = {}
        """What is just being undone, by whomever."""
        self._making: tuple[int, asyncio.Future[None]] | None = None
        """What is just being made: it stands with the others, whatever there is of it."""
        self._lock = asyncio.Lock()

    @property
    def made(self) -> tuple[Made, ...]:
        """All faults so far, in order."""
        return tuple(self._made.values())

    async def make(self, fault: Fault) -> Made:
        """Make a fault, its timer first. FaultError when it cannot be made in its time to live.

        What there is of it is undone then. Where that cannot be it stands, as one that was made.
        """
        wrong = fault.wrong_because()
        if wrong is not None:
            raise FaultError(wrong)
        self._check_lever()
        async with self._lock:
            # It may have been pulled while another fault was being made.
            self._check_lever()
            return await self._make(fault)

    async def _make(self, fault: Fault) -> Made:
        try:
            breaking = self._breaker.breaking(fault)
        except LabError as error:
            raise FaultError(f"{fault.told()}: {error}") from error
        number, timer = self._begin(fault, breaking.undo)
        doing = asyncio.ensure_future(breaking.do())
        self._making = number, doing
        try:
            await _first_of(doing, timer)
            is_late = timer is not None and (doing.cancelled() or not doing.done())
            if not is_late:
                doing.result()
                self._made[number] = msgspec.structs.replace(
                    self._made[number], done_ms=self._clock.now().wall_ms
                )
        except (LabError, OSError) as error:
            left = await self._take_back(number)
            raise FaultError(f"{fault.told()}: {error}{left}") from error
        except BaseException:
            await _let_go(doing)
            await self._take_back(number)
            raise
        finally:
            self._making = None
        if timer is not None and is_late:
            await asyncio.wait((timer,))
            late = "it was not made within its time to live; its timer undid what there was of it"
            raise FaultError(f"{fault.told()}: {late}")
        return self._made[number]

    def _begin(self, fault: Fault, undo: Act | None) -> tuple[int, asyncio.Task[None] | None]:
        """Have a fault that is now made stand, and its time run."""
        number = next(self._numbers)
        now_ms = self._clock.now().wall_ms
        self._made[number] = Made(
            id=number,
            fault=fault,
            at_ms=now_ms,
            until_ms=now_ms + round(fault.ttl_s * 1000),
            healed_ms=None if undo else now_ms,
            by="" if undo else "nothing to undo",
        )
        if undo is None:
            return number, None
        self._undos[number] = undo
        timer = self._timers[number] = asyncio.create_task(self._expire(number, fault.ttl_s))
        return number, timer

    async def _take_back(self, number: int) -> str:
        """Forget a fault that could not be made. Return why some of it stands, or nothing."""
        undo = self._undos.get(number)
        if undo is not None:
            try:
                await undo()
            except Exception as error:  # noqa: BLE001 - its timer tries again, whatever it is
                return f"; and what was made of it stands until its timer tries again: {error}"
            if self._undos.pop(number, None) is None:
                return "; its timer undid what was made of it"
            if (timer := self._timers.pop(number, None)) is not None:
                timer.cancel()
        del self._made[number]
        return ""

    def _check_lever(self) -> None:
        if self._lever is not None and self._lever.is_pulled:
            raise FaultError("the safety lever is pulled: ./everline drill lever release")

    async def heal_all(self, by: str) -> None:
        """Undo all that is broken, the last first; what is just being made as soon as it is.

        What a timer, or somebody else, has begun to undo is waited for. What cannot be undone
        stands, and its timer tries again.
        """
        tried = await self._heal_standing(by)
        async with self._lock:
            await self._heal_standing(by, but=tried)

    async def _heal_standing(self, by: str, but: Container[int] = ()) -> frozenset[int]:
        """Undo what is made as a whole; return which were tried."""
        due = [number for number in sorted(self._undos, reverse=True) if number not in but]
        tried = set()
        for number in due:
            if self._making is None or self._making[0] != number:
                tried.add(number)
                await self._heal(number, by)
        for undoing in tuple(self._undoing.values()):
            await asyncio.shield(undoing)
        return frozenset(tried)

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
        except (FaultError, *UNREADABLE) as error:
            return Answer(error=str(error))
        return Answer(made=self.made)

    async def _expire(self, number: int, ttl_s: float) -> None:
        await asyncio.sleep(ttl_s)
        del self._timers[number]
        if self._making is not None and self._making[0] == number:
            await _let_go(self._making[1])
        await self._heal(number, "timer")

    async def _heal(self, number: int, by: str) -> None:
        undo = self._undos.pop(number, None)
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        if undo is not None:
            self._undoing[number] = asyncio.create_task(self._undo(number, undo, by))
        if (undoing := self._undoing.get(number)) is not None:
            # Whoever asked may leave: what was begun is done.
            await asyncio.shield(undoing)

    async def _undo(self, number: int, undo: Act, by: str) -> None:
        healed_ms: int | None = None
        try:
            await undo()
            healed_ms = self._clock.now().wall_ms
        except LabError as error:
            by = f"{by}, but: {error}".splitlines()[0]
        except Exception as error:  # noqa: BLE001 - no fault may keep another from being undone
            by = f"{by}, but: {type(error).__name__}: {error}".splitlines()[0]
        self._made[number] = msgspec.structs.replace(self._made[number], healed_ms=healed_ms, by=by)
        if healed_ms is None:
            self._undos[number] = undo
            self._timers[number] = asyncio.create_task(self._expire(number, AGAIN_S))
        del self._undoing[number]


async def _first_of(doing: asyncio.Future[None], timer: asyncio.Task[None] | None) -> None:
    """Wait until one of them is over: the timer waits for no breaking that cannot be stopped."""
    both = (doing,) if timer is None else (doing, timer)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)


async def _let_go(doing: asyncio.Future[None]) -> None:
    """Stop making a fault; not for long, if it will not stop."""
    doing.cancel()
    await asyncio.wait((doing,), timeout=LETS_GO_S)


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
        except (OSError, ValueError, *UNREADABLE) as error:
            raise FaultError(f"the fault agent at {self.path} does not answer: {error}") from error
        if answer.error:
            raise FaultError(answer.error)
        return answer.made
