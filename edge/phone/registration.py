"""Keeping a phone registered: in time, with backoff, at one of two registrars."""

from __future__ import annotations

import asyncio
import random
import re

from edge.phone.config import AgentPlan, address
from edge.phone.line import Line
from edge.phone.report import Report, Role

_OK = 200
_TIMEOUT_S = 2.0
_GOODBYE_TIMEOUT_S = 1.0
_EARLY = (0.5, 0.8)
"""When to register again, as a share of what was granted: drawn, so that phones do not gather."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
_GRANTED = re.compile(r";\s*expires\s*=\s*(\d+)", re.IGNORECASE)


class Registration:
    """One phone's binding at its registrar."""

    def __init__(self, plan: AgentPlan, line: Line, report: Report, dice: random.Random) -> None:
        self._plan = plan
        self._line = line
        self._report = report
        self._dice = dice
        self._registrars = [
            address(text) for text in (plan.registrar, plan.second_registrar) if text
        ]
        self.is_registered = False
        self._may_be_bound = False
        """A REGISTER has gone out, and nothing since says that it came to nothing."""

    async def keep(self) -> None:
        """Register again and again, until cancelled; a plain telephone is called by its number."""
        if not self._registrars:
            await asyncio.Event().wait()
        failures = 0
        while True:
            self._may_be_bound = True
            status, granted_s = await self._register(self._plan.expires_s, _TIMEOUT_S)
            if status == _OK:
                self._registered(granted_s)
                failures = 0
                await asyncio.sleep(granted_s * self._dice.uniform(*_EARLY))
            else:
                self._failed(status, failures)
                failures += 1
                await asyncio.sleep(self._wait_s(failures))

    async def leave(self) -> None:
        """Take the binding back; whether it worked is told, not raised."""
        if self._may_be_bound:
            status, _ = await self._register(0, _GOODBYE_TIMEOUT_S)
            self._tell("unregistered", status=status)
            self.is_registered = self._may_be_bound = False

    async def _register(self, expires_s: int, timeout_s: float) -> tuple[int, int]:
        """Return the status and for how long we are registered."""
        plan = self._plan
        response = await self._line.ask(
            "REGISTER",
            f"sip:{plan.domain}",
            f"sip:{plan.id}@{plan.domain}",
            self._registrars[0],
            headers={"Contact": f"<{self._line.contact}>", "Expires": str(expires_s)},
            credentials=(plan.id, plan.password),
            timeout_s=timeout_s,
        )
        return response.status, self._granted_s(response.headers.get("contact", ""))

    def _granted_s(self, contacts: str) -> int:
        """Find our own contact among those that the registrar lists."""
        for contact in contacts.split(","):
            found = _GRANTED.search(contact)
            if self._line.contact in contact and found is not None:
                return max(1, int(found[1]))
        return self._plan.expires_s

    def _registered(self, granted_s: int) -> None:
        if not self.is_registered:
            self._tell("registered", expires_s=granted_s)
        self.is_registered = True

    def _failed(self, status: int, failures: int) -> None:
        if failures == 0:
            self._tell("registration_failed", status=status)
        self.is_registered = self._may_be_bound = False
        self._registrars.append(self._registrars.pop(0))

    def _wait_s(self, failures: int) -> float:
        """Wait twice as long each time, jittered from half to whole."""
        longest_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**failures)
        return longest_s * self._dice.uniform(0.5, 1.0)

    def _tell(self, event: str, **fields: object) -> None:
        registrar = str(self._registrars[0])
        self._report.event(
            event, phone=self._plan.id, role=Role.AGENT, registrar=registrar, **fields
        )
