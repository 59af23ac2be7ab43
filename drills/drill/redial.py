"""Callers who were cut off while they waited, and dial again: as people do.

Whoever hears nothing any more before an agent has answered hangs up, and dials the same number from
the same number. They are no calls of the plan: they have a book of their own.
"""

from __future__ import annotations

import asyncio

import msgspec

from drills.demo import phones
from drills.demo.people import CALLERS, PHONE
from drills.demo.programs import Program, Task
from drills.demo.run import Stage
from drills.demo.scenario import PATIENCE_S
from drills.lab.lab import PROJECT
from drills.seen import Redialled
from state.keys import call_id_for

LOOK_S = 0.1
TALK_S = 2.0
LONGEST_S = 90.0


class Redialler:
    """Watches the callers' telephones, and dials again for those who were cut off."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._programs: list[Program] = []
        self._lines: list[phones.Line] = []
        self._lost: dict[str, str] = {}
        """Number -> the SIP Call-ID that was cut off."""

    async def run(self) -> None:
        """Look and dial until cancelled."""
        read = 0
        joined: set[str] = set()
        while True:
            lines = self._stage.people.lines[read:]
            read += len(lines)
            joined |= {line.sip_call_id for line in lines if line.event == "joined"}
            for line in lines:
                if (
                    line.event == "hanging_up"
                    and line.cause == phones.CUT_OFF
                    and line.role == "caller"
                    and line.sip_call_id not in joined
                    and line.phone not in self._lost
                ):
                    self._lost[line.phone] = line.sip_call_id
                    await self._dial(line.phone)
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
            found[line.sip_call_id] = Redialled(
                lost_sip_call_id=self._lost[line.phone],
                sip_call_id=line.sip_call_id,
                call=call_id_for(line.sip_call_id, line.local_tag),
                joined_ms=line.joined_ms,
            )
        return tuple(found.values())

    async def _dial(self, number: str) -> None:
        stage = self._stage
        planned = next(call for call in stage.scenario.calls if call.number == number)
        first = next(site for site in stage.lab.plan.sites if site != planned.first_site)
        caller = {
            "id": number,
            "number": number,
            "carrier": f"{stage.lab.addresses['carrier']}:5060",
            "did": planned.did,
            "headers": {"X-First-Site": first},
            "patience_s": PATIENCE_S,
            "talk_s": TALK_S,
        }
        task = Task(
            name="redial",
            host=CALLERS,
            argv=(*PHONE, "--host", stage.lab.addresses[CALLERS]),
            cwd=PROJECT,
            log=stage.lab.paths.run / "log" / f"redial-{number}.log",
            stdin=msgspec.json.encode({"callers": [caller]}) + b"\n",
        )
        self._programs.append(await Program.start(task, self._hear))

    def _hear(self, text: bytes) -> None:
        line = phones.parse(text)
        if line is not None:
            self._lines.append(line)
