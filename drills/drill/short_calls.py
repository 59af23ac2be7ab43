"""Short test calls beside those of the plan: so many that the 99th percentile of set-up is one.

Answered, and over at once, in the greeting: no agent is given to them, and they are in no ledger.
How long each took to be answered is read from the packets.
"""

from __future__ import annotations

import asyncio
from typing import Final

from drills.demo.people import CALLERS
from drills.demo.programs import Program, Task
from drills.demo.run import Stage
from drills.lab.lab import PROJECT

SCENARIO: Final = PROJECT / "drills" / "demo" / "sipp" / "short_call.xml"
PREFIX: Final = "short-"
"""Of their Call-IDs: by this they are told from the calls of the plan."""
SIP_PORT: Final = 5070
MEDIA_PORT: Final = 7000
OVER_WITHIN_S: Final = 10.0
_NUMBERS: Final = 900


def is_short(sip_call_id: str) -> bool:
    """Tell whether a call is one of these."""
    return sip_call_id.startswith(PREFIX)


class ShortCalls:
    """Comes at an even pace until it is told to end."""

    def __init__(self, stage: Stage, per_s: float) -> None:
        self._stage = stage
        self._per_s = per_s
        self._program: Program | None = None

    async def begin(self) -> None:
        """Let them come; nobody does where a drill wants none."""
        if not self._per_s:
            return
        lab = self._stage.lab
        run = lab.paths.of(CALLERS)
        (run / "short.csv").write_text(_injection(self._stage))
        own = lab.addresses[CALLERS]
        argv = (
            *("sipp", "-sf", str(SCENARIO), f"{lab.addresses['carrier']}:5060"),
            *("-i", own, "-p", str(SIP_PORT), "-mi", own, "-mp", str(MEDIA_PORT)),
            *("-inf", "short.csv", "-r", f"{self._per_s:g}", "-l", "1000"),
            *("-cid_str", f"{PREFIX}%u-%p@%s", "-aa", "-nostdin"),
        )
        log = lab.paths.run / "log" / "sipp-short.log"
        task = Task(name="short calls", host=CALLERS, argv=argv, cwd=run, log=log)
        self._program = await Program.start(task)

    async def over(self) -> None:
        """Let no more come, and those that stand end by themselves."""
        if self._program is None:
            return
        # SIPp takes SIGUSR1 for: place no more, and leave when the last has ended.
        self._program.wind_up()
        try:
            async with asyncio.timeout(OVER_WITHIN_S):
                await self._program.ended()
        except TimeoutError:
            await self._program.stop()

    def stop(self) -> None:
        """End it at once."""
        if self._program is not None:
            self._program.kill()


def _injection(stage: Stage) -> str:
    """Return one line a call: numbers that nobody else has, queues and first sites in turn."""
    scenario = stage.scenario
    lines = ["SEQUENTIAL"]
    for number in range(_NUMBERS):
        queue = scenario.queues[number // len(scenario.sites) % len(scenario.queues)]
        site = scenario.sites[number % len(scenario.sites)]
        lines.append(f"1555028{number:04d};{queue.did};{site}")
    return "\n".join(lines) + "\n"
