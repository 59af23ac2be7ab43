"""The people of the demo: agents at home, callers behind the carrier. Starts them, hears them out.

Owns their programs and what these have said so far. What it means is in `phones` and `sipp_log`.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from drills.demo import phones, sipp_log
from drills.demo.programs import Program, Task
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import PATIENCE_S, Dialler, Scenario
from drills.lab.lab import PROJECT, Lab
from state.model import AgentId, SiteId

CALLERS = "callers"
SIPP_SCENARIO = PROJECT / "drills" / "demo" / "sipp" / "caller.xml"
SIPP_PORT = 5060
SIPP_MEDIA_PORT = 6000
LONGEST_CALL_S = PATIENCE_S + 60.0
"""A caller who has not ended by then, after the last was placed, is not going to."""
LOOK_EVERY_S = 0.2
LATE_S = 2.0
"""A call that has not been placed so long after its time is late: a busy machine needs less."""
PHONE = (sys.executable, "-m", "edge.phone", "--stdin")


@dataclass(slots=True)
class People:
    """Everybody who holds a phone."""

    lab: Lab
    scenario: Scenario
    agents: list[Program] = field(default_factory=list)
    callers: list[Program] = field(default_factory=list)
    lines: list[phones.Line] = field(default_factory=list)
    """What phones have said, agents' and callers'."""
    last_turn_s: float = 0.0
    """When a phone was last answered or put down, on the event loop's clock."""
    call_from_s: float = math.inf
    """When the plan of calls begins, on the event loop's clock."""
    transcripts: dict[str, BinaryIO] = field(default_factory=dict)
    """The same, word for word, in the folder of the logs."""

    async def seat_agents(self, passwords: Mapping[AgentId, str]) -> None:
        """Start the agents' phones, each site's in one process; they register by themselves."""
        for site in self.scenario.sites:
            host = f"agents-{site}"
            plan = phones.agents_plan(
                self.scenario,
                site,
                registrar=self._proxy(site),
                backups=[self._proxy(other) for other in self.scenario.sites if other != site],
                passwords=passwords,
            )
            self.agents.append(await self._phone(host, plan))

    def _proxy(self, site: SiteId) -> str:
        return f"{self.lab.addresses[site]}:5060"

    def begin_anew(self, scenario: Scenario) -> None:
        """Let other callers come: what was said so far is forgotten, the agents keep their seats.

        Both scenarios have the same agents, and nobody calls at this moment.
        """
        self.scenario = scenario
        self.call_from_s = math.inf
        self.callers.clear()
        self.lines.clear()
        self._sipp_log_path().unlink(missing_ok=True)

    async def let_call(self, start_mono_s: float) -> None:
        """Start all callers; their calls are placed by the plan, counted from `start_mono_s`."""
        self.call_from_s = start_mono_s
        plan = phones.callers_plan(
            self.scenario,
            carrier=f"{self.lab.addresses['carrier']}:5060",
            start_mono_s=start_mono_s,
        )
        self.callers.append(await self._phone(CALLERS, plan))
        delay_s = start_mono_s - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, delay_s))
        self.callers.append(await self._sipp())

    async def callers_over(self) -> bool:
        """Wait until every caller has hung up; False when some had to be stopped."""
        try:
            async with asyncio.timeout(self.scenario.calls[-1].at_s + LONGEST_CALL_S):
                for program in self.callers:
                    await program.ended()
        except TimeoutError:
            for program in self.callers:
                await program.stop()
            return False
        return True

    async def agents_free(self, within_s: float) -> bool:
        """Wait until every call that reached an agent's phone is over there too."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while any(each.end is End.UNFINISHED for each in self.agent_reports()):
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    async def send_home(self) -> None:
        """Stop the agents' phones; they sign out."""
        await asyncio.gather(*(program.stop() for program in self.agents))

    def kill(self) -> None:
        """End whatever still runs, at once."""
        for program in (*self.agents, *self.callers):
            program.kill()
        for transcript in self.transcripts.values():
            transcript.close()

    # -- what they say

    def caller_reports(self) -> tuple[CallerReport, ...]:
        """Return what every caller has seen."""
        return (
            *phones.caller_reports(self.lines),
            *sipp_log.reports(sipp_log.parse(self._sipp_log())),
        )

    def agent_reports(self) -> tuple[AgentReport, ...]:
        """Return what every agent has seen."""
        return phones.agent_reports(self.lines)

    def is_anybody_unanswered(self) -> bool:
        """Tell whether somebody has called, or hung up, and waits for the answer."""
        by_sipp = sipp_log.reports(sipp_log.parse(self._sipp_log()))
        return bool(phones.unanswered(self.lines)) or any(
            each.end is End.UNFINISHED and (each.ok_ms is None or each.hung_up_ms is not None)
            for each in by_sipp
        )

    def late(self, reports: Iterable[CallerReport]) -> int:
        """Return how many calls should have been placed by now, and of whom there is no report."""
        due_s = asyncio.get_running_loop().time() - self.call_from_s - LATE_S
        placed = {each.number for each in reports}
        return sum(each.at_s <= due_s and each.number not in placed for each in self.scenario.calls)

    def placed(self) -> int:
        """Return how many calls have been placed so far."""
        return len(self.caller_reports())

    def _sipp_log(self) -> str:
        path = self._sipp_log_path()
        return path.read_text(errors="replace") if path.exists() else ""

    def _transcript(self, host: str) -> BinaryIO:
        if host not in self.transcripts:
            path = self.lab.paths.run / "log" / f"phones-{host}.jsonl"
            self.transcripts[host] = path.open("wb", buffering=0)
        return self.transcripts[host]

    def _sipp_log_path(self) -> Path:
        return self.lab.paths.run / "log" / "sipp-calls.log"

    def _hear(self, host: str, text: bytes) -> None:
        self._transcript(host).write(text)
        line = phones.parse(text)
        if line is None:
            return
        self.lines.append(line)
        if line.event in {"answered", "hanging_up", "ended"}:
            self.last_turn_s = asyncio.get_running_loop().time()

    async def _phone(self, host: str, plan: bytes) -> Program:
        seed = str(self.scenario.seed)
        return await Program.start(
            Task(
                name=f"phones of {host}",
                host=host,
                argv=(*PHONE, "--host", self.lab.addresses[host], "--seed", seed),
                cwd=PROJECT,
                log=self.lab.paths.run / "log" / f"phones-{host}.log",
                stdin=plan + b"\n",
            ),
            partial(self._hear, host),
        )

    async def _sipp(self) -> Program:
        run = self.lab.paths.of(CALLERS)
        calls = [call for call in self.scenario.calls if call.dialler is Dialler.SIPP]
        (run / "calls.csv").write_text(sipp_log.injection(calls))
        argv = sipp_command(
            own=self.lab.addresses[CALLERS],
            carrier=f"{self.lab.addresses['carrier']}:5060",
            sip_port=SIPP_PORT,
            media_port=SIPP_MEDIA_PORT,
            calls=len(calls),
            log=self._sipp_log_path(),
        )
        log = self.lab.paths.run / "log" / "sipp.log"
        return await Program.start(Task(name="SIPp", host=CALLERS, argv=argv, cwd=run, log=log))


def sipp_command(  # noqa: PLR0913 - what is said on its command line
    *, own: str, carrier: str, sip_port: int, media_port: int, calls: int, log: Path
) -> tuple[str, ...]:
    """Return the command that places the calls of `calls.csv` in its working directory."""
    return (
        *("sipp", "-sf", str(SIPP_SCENARIO), carrier),
        *("-i", own, "-p", str(sip_port), "-mi", own, "-mp", str(media_port), "-rtp_echo"),
        # All calls begin at once, and each waits until it is due.
        *("-inf", "calls.csv", "-m", str(calls), "-r", "1000", "-l", "10000"),
        # An edge's next life asks after each dialog that it takes up: OPTIONS is answered 200.
        "-aa",
        # What comes while it is about to answer something else is said again, and not the end.
        *("-default_behaviors", "all,-abortunexp"),
        *("-nostdin", "-trace_logs", "-log_file", str(log)),
        *("-trace_err", "-error_file", str(log.with_name("sipp-errors.log"))),
    )
