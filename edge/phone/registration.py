"""Keeping a phone registered: in time, with backoff, at its home or, while that is dead, elsewhere.

A phone that knows of other registrars asks its own every few seconds whether it is there (OPTIONS;
RFC 5626 §4.4 asks for such a keepalive and leaves its form to the transport). Silence makes it
register anew, and, if that fails, at the next one; from there it goes home again once that has
answered for a while and nobody talks. Whatever rings by way of a registrar that is silent rings for
nobody: who called can neither be answered through it nor take the call back.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable

from edge.phone.config import AgentPlan, address
from edge.phone.line import Line
from edge.phone.report import Report, Role
from edge.sip.events import Address

_OK, _UNAVAILABLE = 200, 503
_TIMEOUT_S = 2.0
_GOODBYE_TIMEOUT_S = 1.0
_STRETCH = (1.0, 2.0)
"""By how much the time that a 503 names is drawn out, so that phones do not come back together."""
_MOST_PATIENCE = 8
"""So many times in a row a phone believes a registrar that it is only busy."""
_EARLY = (0.5, 0.8)
"""When to register again, as a share of what was granted: drawn, so that phones do not gather."""
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
_ASK_S = (2.0, 3.0)
"""How often a registrar is asked if it is there; drawn, like the above."""
_ANSWERS_WITHIN_S = 1.5
_WELL_AFTER = 3
"""So many answers in a row call a phone home."""
_GRANTED = re.compile(r";\s*expires\s*=\s*(\d+)", re.IGNORECASE)


class Registration:
    """One phone's binding at its registrar."""

    def __init__(  # noqa: PLR0913 - a phone's parts
        self,
        plan: AgentPlan,
        line: Line,
        report: Report,
        dice: random.Random,
        *,
        is_idle: Callable[[], bool],
        on_lost: Callable[[], None],
    ) -> None:
        """Wire the parts.

        `is_idle`: whether nobody talks or rings, so that the phone may go home. `on_lost`: the
        registrar in use is given up for another one.
        """
        self._plan = plan
        self._line = line
        self._report = report
        self._dice = dice
        self._is_idle = is_idle
        self._on_lost = on_lost
        self._registrars = [address(text) for text in (plan.registrar, *plan.backups) if text]
        """The first is the one in use."""
        self._home = self._registrars[0] if self._registrars else None
        self._home_answers = 0
        self.is_registered = False
        self._retry_after_s = 0
        """What the last answer to a REGISTER said of coming back; 0: nothing."""
        self._may_be_bound = False
        """A REGISTER has gone out, and nothing since says that it came to nothing."""

    async def keep(self) -> None:
        """Register again and again, until cancelled; a plain telephone is called by its number."""
        if not self._registrars:
            await asyncio.Event().wait()
        failures = sent_away = 0
        while True:
            self._may_be_bound = True
            status, granted_s = await self._register(self._plan.expires_s, _TIMEOUT_S)
            if status == _UNAVAILABLE and self._retry_after_s and sent_away < _MOST_PATIENCE:
                # It is there, and has too many at once: elsewhere there are as many.
                sent_away += 1
                await asyncio.sleep(self._retry_after_s * self._dice.uniform(*_STRETCH))
                continue
            sent_away = 0
            if status == _OK:
                self._registered(granted_s)
                failures = 0
                await self._until_due(granted_s * self._dice.uniform(*_EARLY))
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

    # -- while registered

    async def _until_due(self, left_s: float) -> None:
        """Wait until it is time to register again, for whatever reason."""
        if len(self._registrars) == 1:
            await asyncio.sleep(left_s)
            return
        loop = asyncio.get_running_loop()
        due_s = loop.time() + left_s
        while (wait_s := min(self._dice.uniform(*_ASK_S), due_s - loop.time())) > 0:
            await asyncio.sleep(wait_s)
            if not await self._is_there(self._registrars[0]):
                return
            if await self._is_home_well() and self._is_idle():
                await self._go_home()
                return

    async def _is_there(self, registrar: Address) -> bool:
        domain = f"sip:{self._plan.domain}"
        aor = f"sip:{self._plan.id}@{self._plan.domain}"
        response = await self._line.ask(
            "OPTIONS",
            domain,
            aor,
            registrar,
            headers={},
            credentials=None,
            timeout_s=_ANSWERS_WITHIN_S,
        )
        return response.status == _OK

    async def _is_home_well(self) -> bool:
        """Whether this phone is not at home, and its home has answered for a while."""
        if self._home is None or self._registrars[0] == self._home:
            return False
        if await self._is_there(self._home):
            self._home_answers += 1
        else:
            self._home_answers = 0
            # A proxy that was restarted knows nobody, and answers no stranger: sign in there, and
            # bind nothing.
            await self._register(0, _GOODBYE_TIMEOUT_S, at=self._home)
        return self._home_answers >= _WELL_AFTER

    async def _go_home(self) -> None:
        """Register at home, and take the binding at the other registrar back."""
        away = self._registrars[0]
        while self._registrars[0] != self._home:
            self._turn()
        self._home_answers = 0
        status, granted_s = await self._register(self._plan.expires_s, _TIMEOUT_S)
        if status == _OK:
            self._tell("registered", expires_s=granted_s)
            await self._register(0, _GOODBYE_TIMEOUT_S, at=away)
            return
        while self._registrars[0] != away:
            self._turn()

    # -- registering

    async def _register(
        self, expires_s: int, timeout_s: float, *, at: Address | None = None
    ) -> tuple[int, int]:
        """Return the status and for how long we are registered."""
        plan = self._plan
        response = await self._line.ask(
            "REGISTER",
            f"sip:{plan.domain}",
            f"sip:{plan.id}@{plan.domain}",
            at or self._registrars[0],
            headers={"Contact": f"<{self._line.contact}>", "Expires": str(expires_s)},
            credentials=(plan.id, plan.password),
            timeout_s=timeout_s,
        )
        after = response.headers.get("retry-after", "").partition(";")[0].strip()
        self._retry_after_s = int(after) if after.isdecimal() else 0
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
        if len(self._registrars) > 1:
            self._turn()
            self._on_lost()

    def _turn(self) -> None:
        """Let the next registrar be the one in use."""
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
