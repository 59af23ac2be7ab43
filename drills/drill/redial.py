"""Callers who were cut off, as they waited or as they talked, and dial again: as people do.

Whoever hears nothing any more hangs up, and dials the same number from the same number. They are no
calls of the plan: they have a book of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from drills.demo import phones
from drills.demo.people import CALLERS, PHONE
from drills.demo.programs import Program, Task
from drills.demo.reports import CallerReport
from drills.demo.run import Stage
from drills.demo.scenario import PATIENCE_S
from drills.lab.lab import PROJECT
from drills.seen import Redialled
from state.keys import call_id_for

LOOK_S = 0.1
TALK_S = 2.0
LONGEST_S = 90.0


class CutOff(Struct, frozen=True, kw_only=True):
    """A call in which nothing was heard any more."""

    number: str
    sip_call_id: str
    had_talked: bool
    """They had heard an agent."""


def cut_off(lines: Iterable[phones.Line]) -> dict[str, CutOff]:
    """PURE. Return, by their numbers, who has hung up since they heard nothing; the first time."""
    found: dict[str, CutOff] = {}
    joined: set[str] = set()
    for line in lines:
        if line.role != "caller":
            continue
        if line.event == "joined":
            joined.add(line.sip_call_id)
        if line.event == "hanging_up" and line.cause == phones.CUT_OFF:
            lost = CutOff(
                number=line.phone,
                sip_call_id=line.sip_call_id,
                had_talked=line.sip_call_id in joined,
            )
            found.setdefault(line.phone, lost)
    return found


class Redialler:
    """Watches the callers' telephones, and dials again for those who were cut off."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._programs: list[Program] = []
        self._lines: list[phones.Line] = []
        self._lost: dict[str, CutOff] = {}
        """By number."""

    async def run(self) -> None:
        """Look and dial until cancelled."""
        while True:
            lost = cut_off(self._stage.people.lines)
            new = {number: each for number, each in lost.items() if number not in self._lost}
            self._lost |= new
            if new:
                await self._dial(list(new))
            await asyncio.sleep(LOOK_S)

    async def over(self) -> None:
        """Wait until all of them have hung up; stop those who never do."""
        try:
            async with asyncio.timeout(LONGEST_S):
                for program in self._programs:
                    await program.ended()
        except TimeoutError:
            for program in self._programs:
                await program.stop()

    def stop(self) -> None:
        """End whatever still runs, at once."""
        for program in self._programs:
            program.kill()

    def calls(self) -> tuple[Redialled, ...]:
        """Return who dialled again."""
        found: dict[str, Redialled] = {}
        for line in self._lines:
            if not line.sip_call_id or line.role != "caller":
                continue
            lost = self._lost[line.phone]
            found[line.sip_call_id] = Redialled(
                lost_sip_call_id=lost.sip_call_id,
                sip_call_id=line.sip_call_id,
                call=call_id_for(line.sip_call_id, line.local_tag),
                joined_ms=line.joined_ms,
                had_talked=lost.had_talked,
            )
        return tuple(found.values())

    def reports(self) -> tuple[CallerReport, ...]:
        """Return what the telephones of these calls say."""
        return phones.caller_reports(self._lines)

    async def _dial(self, numbers: list[str]) -> None:
        """Let them dial again, by one program: a machine has better to do than to start many."""
        stage = self._stage
        task = Task(
            name="redial",
            host=CALLERS,
            argv=(*PHONE, "--host", stage.lab.addresses[CALLERS]),
            cwd=PROJECT,
            log=stage.lab.paths.run / "log" / f"redial-{numbers[0]}.log",
            stdin=msgspec.json.encode({"callers": [self._caller(each) for each in numbers]})
            + b"\n",
        )
        self._programs.append(await Program.start(task, self._hear))

    def _caller(self, number: str) -> dict[str, object]:
        stage = self._stage
        planned = next(call for call in stage.scenario.calls if call.number == number)
        first = next(site for site in stage.lab.plan.sites if site != planned.first_site)
        return {
            "id": number,
            "number": number,
            "carrier": f"{stage.lab.addresses['carrier']}:5060",
            "did": planned.did,
            "headers": {"X-First-Site": first},
            "patience_s": PATIENCE_S,
            "talk_s": TALK_S,
        }

    def _hear(self, text: bytes) -> None:
        line = phones.parse(text)
        if line is not None:
            self._lines.append(line)
