"""Callers who were cut off, as they waited or as they talked, and come again.

They dial, as people do: whoever hears nothing any more hangs up, and dials the same number from the
same number. Or their carrier sends them in again, as soon as it has taken the site out by which
they came, and nobody dials: their telephone has not noticed yet. They are no calls of the plan, and
have a book of their own (`drills.again`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from drills.demo import phones
from drills.demo.observer import sites_out
from drills.demo.people import CALLERS, PHONE
from drills.demo.programs import Program, Task
from drills.demo.reports import CallerReport
from drills.demo.run import Stage
from drills.demo.scenario import PATIENCE_S
from drills.lab.lab import PROJECT
from drills.seen import Redialled
from state.keys import call_id_for
from state.model import SiteId, Ticket

LOOK_S = 0.1
TALK_S = 2.0
LONGEST_S = 90.0


class CutOff(Struct, frozen=True, kw_only=True):
    """A call in which nothing was heard any more."""

    number: str
    sip_call_id: str
    had_talked: bool
    """They had heard an agent."""
    by_carrier: bool = False
    """Their carrier sends them in again."""


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


def sent_again(
    lines: Iterable[phones.Line], tickets: Mapping[str, Ticket], site: SiteId
) -> dict[str, CutOff]:
    """PURE. Return, by their numbers, whom a carrier sends in again that has taken a site out.

    Every second one who is on there, of those who wait and of those who talk: the others dial by
    themselves. Who is served elsewhere is left alone, though they came by that site.
    """
    found: dict[bool, list[CutOff]] = {False: [], True: []}
    for each, call in _on(lines):
        ticket = tickets.get(call)
        if ticket is not None and ticket.site == ticket.via == site:
            found[each.had_talked].append(each)
    return {each.number: each for some in found.values() for each in some[::2]}


def _on(lines: Iterable[phones.Line]) -> Iterable[tuple[CutOff, str]]:
    """Yield who has been answered and not hung up yet, and our name for their call."""
    names: dict[str, str] = {}
    on: dict[str, CutOff] = {}
    for line in lines:
        if line.role != "caller" or not line.sip_call_id:
            continue
        call = line.sip_call_id
        if line.event == "invite":
            names[call] = call_id_for(call, line.local_tag)
        elif line.event in {"answered", "joined"}:
            has_talked = line.event == "joined"
            on[call] = CutOff(
                number=line.phone, sip_call_id=call, had_talked=has_talked, by_carrier=True
            )
        elif line.event in {"hanging_up", "call"}:
            on.pop(call, None)
    return [(each, names.get(call, "")) for call, each in on.items()]


class Redialler:
    """Watches the callers' telephones, and dials again for those who were cut off.

    `has_carrier`: it plays their carrier, too, and watches which sites that one has taken out.
    """

    def __init__(self, stage: Stage, *, has_carrier: bool) -> None:
        self._stage = stage
        self._has_carrier = has_carrier
        self._out: set[SiteId] = set()
        """Sites that the carrier has taken out, and whose callers it has sent in again."""
        self._programs: list[Program] = []
        self._lines: list[phones.Line] = []
        self._lost: dict[str, CutOff] = {}
        """By number."""

    async def run(self) -> None:
        """Look and dial until cancelled."""
        while True:
            # Whom the carrier sends in does not notice, and dials for no second time.
            for lost in (await self._sent_again(), cut_off(self._stage.people.lines)):
                new = {number: each for number, each in lost.items() if number not in self._lost}
                self._lost |= new
                if new:
                    await self._dial(list(new))
            await asyncio.sleep(LOOK_S)

    async def _sent_again(self) -> dict[str, CutOff]:
        if not self._has_carrier:
            return {}
        lab, found = self._stage.lab, dict[str, CutOff]()
        sites = {site: lab.addresses[site] for site in lab.plan.sites if site not in self._out}
        for site in await sites_out(lab.paths.of("carrier") / "kamailio.rpc", sites):
            self._out.add(site)
            found |= sent_again(self._stage.people.lines, self._stage.screen.wall.tickets, site)
        return found

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
        """Return who came again."""
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
                by_carrier=lost.by_carrier,
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
