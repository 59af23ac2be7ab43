"""The callers' own telephones, at which those are called back who do not dial again.

They are no calls of the plan: they have a book of their own. What comes to whom is the edges'
business; here somebody lifts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from drills.again import called_as_caller
from drills.demo import phones
from drills.demo.people import CALLERS, PHONE
from drills.demo.programs import Program, Task
from drills.demo.reports import CallerReport
from drills.demo.run import Stage
from drills.lab.lab import PROJECT
from drills.seen import CalledBack
from state import keys
from state.codec import decode
from state.listing import read_all
from state.model import Place, Ticket

LOOK_S = 0.5
LONGEST_S = 60.0
"""Since the last caller has hung up: two tries with their pause, and a wait for an agent."""


class Called:
    """Telephones that lift when they are called; none where a drill calls nobody back."""

    def __init__(self, stage: Stage, *, is_wanted: bool) -> None:
        self._stage = stage
        self._is_wanted = is_wanted
        self._program: Program | None = None
        self._lines: list[phones.Line] = []

    async def begin(self) -> None:
        """Let them be reached."""
        if not self._is_wanted:
            return
        lab = self._stage.lab
        task = Task(
            name="called telephones",
            host=CALLERS,
            argv=(*PHONE, "--host", lab.addresses[CALLERS]),
            cwd=PROJECT,
            log=lab.paths.run / "log" / "phones-called.log",
            stdin=phones.called_plan(self._stage.scenario) + b"\n",
        )
        self._program = await Program.start(task, partial(hear, self._lines))

    async def over(self) -> bool:
        """Wait until nobody is to be called back any more; False when somebody still is."""
        if self._program is None:
            return True
        try:
            async with asyncio.timeout(LONGEST_S):
                while await self._is_anybody_left():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return False
        finally:
            await self._program.stop()
        return True

    def stop(self) -> None:
        """End them at once."""
        if self._program is not None:
            self._program.kill()

    def calls(self) -> tuple[CalledBack, ...] | None:
        """Return what came to them; None: they were not there."""
        return None if self._program is None else called(self._lines)

    def reports(self) -> tuple[CallerReport, ...]:
        """Return the same as a caller's telephone says of a call of its own."""
        return reports(self._lines)

    async def _is_anybody_left(self) -> bool:
        places = await read_all(self._stage.store, keys.PLACE)
        tickets = await read_all(self._stage.store, keys.TICKET)
        return is_anybody_left(
            [decode(Place, each.value, each.key) for each in places.records],
            [decode(Ticket, each.value, each.key) for each in tickets.records],
        )


def hear(lines: list[phones.Line], text: bytes) -> None:
    """Take a line of theirs in, if it is one."""
    line = phones.parse(text)
    if line is not None:
        lines.append(line)


def is_anybody_left(places: Iterable[Place], tickets: Iterable[Ticket]) -> bool:
    """PURE. Tell whether somebody is to be called back, or is just being called, or talks."""
    return any(each.due_s is not None for each in places) or any(
        each.callback_of is not None for each in tickets
    )


def reports(lines: Iterable[phones.Line]) -> tuple[CallerReport, ...]:
    """PURE. Return what each says of its call, by our name for it: who lifts is the caller."""
    as_callers = [replace(line, role="caller") for line in lines]
    return tuple(called_as_caller(each) for each in phones.caller_reports(as_callers))


def called(lines: Iterable[phones.Line]) -> tuple[CalledBack, ...]:
    """PURE. Return each call that came to a telephone, also one without an end."""
    found: dict[tuple[str, str], CalledBack] = {}
    for line in lines:
        key = (line.phone, line.sip_call_id)
        if not line.sip_call_id or (line.event != "call" and key in found):
            continue
        is_over = line.event == "call"
        found[key] = CalledBack(
            number=line.phone,
            sip_call_id=line.sip_call_id,
            came_ms=line.invite_ms or line.wall_ms,
            answered_ms=line.answered_ms,
            joined_ms=line.joined_ms,
            ended_ms=line.ended_ms if is_over else None,
        )
    return tuple(found.values())
