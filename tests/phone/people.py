"""Phones on loopback, their reports, and a registrar for them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from edge.phone.config import read
from edge.phone.fleet import Fleet
from edge.phone.report import Report
from edge.sip.endpoint import SipEndpoint
from edge.sip.events import Address, Event, RequestReceived
from state.clock import SystemClock
from tests.media.servers import HOST, until
from tests.ports import free_udp_port

_PAIR = re.compile(r'(\w+)="?([^",]*)"?')


class Phones:
    """A fleet whose report is kept as dictionaries."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.fleet = Fleet(HOST, Report(SystemClock(), self._take), seed=1)

    def _take(self, line: bytes) -> None:
        self.lines.append(json.loads(line))

    def agent(self, name: str, *, registrar: Address, **behaviour: object) -> str:
        """Bring an agent; return where they are called."""
        port = free_udp_port()
        entry = {"id": name, "registrar": str(registrar), "port": port, **behaviour}
        self.fleet.add(read(json.dumps({"agents": [entry]}).encode()))
        return f"{HOST}:{port}"

    def caller(self, name: str, carrier: str, **behaviour: object) -> None:
        """Bring a caller."""
        entry = {"id": name, "carrier": carrier, "did": "15550100", **behaviour}
        self.fleet.add(read(json.dumps({"callers": [entry]}).encode()))

    def events(self, event: str, phone: str) -> list[dict[str, Any]]:
        """Return the events of one name that one phone reported."""
        return [line for line in self.lines if (line["event"], line.get("phone")) == (event, phone)]

    async def event(self, event: str, phone: str, *, within_s: float = 5.0) -> dict[str, Any]:
        """Wait for such an event; return the first."""
        await until(
            lambda: bool(self.events(event, phone)), f"{event} of {phone}", within_s=within_s
        )
        return self.events(event, phone)[0]

    async def call(self, phone: str, *, within_s: float = 8.0) -> dict[str, Any]:
        """Wait for the summary of a phone's first call."""
        return await self.event("call", phone, within_s=within_s)


class Registrar:
    """Accepts REGISTER with the right digest, as Kamailio does. Counts what it saw."""

    def __init__(self, passwords: Mapping[str, str], *, grants_s: int = 60, port: int = 0) -> None:
        self.passwords = passwords
        self.grants_s = grants_s
        self.bindings: dict[str, str] = {}
        self.accepted = 0
        self.refused = 0
        self.busy = 0
        """So many are sent away before it has time again."""
        self.asked = 0
        """How often it was asked whether it is there."""
        self.endpoint = SipEndpoint.open(
            local=Address(HOST, port),
            product="test",
            on_event=self._asked,
            handles={"REGISTER", "OPTIONS"},
        )

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.endpoint.local

    def close(self) -> None:
        """Fall silent."""
        self.endpoint.close()

    def _asked(self, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        if event.method == "OPTIONS":
            self.asked += 1
            if not self.accepted:
                return  # a proxy that was restarted knows nobody, and answers no stranger
            status, headers = 200, dict[str, str]()
        else:
            status, headers = self._judge(event)
        self.endpoint.stack.respond(event.transaction, status, self.endpoint.now(), headers=headers)

    def _judge(self, event: RequestReceived) -> tuple[int, dict[str, str]]:
        proof = dict(_PAIR.findall(event.headers.get("authorization", "").removeprefix("Digest ")))
        if not proof and self.busy:
            self.busy -= 1
            return 503, {"Retry-After": "1"}
        if not proof:
            return 401, {"WWW-Authenticate": 'Digest realm="everline", nonce="n0nce", qop="auth"'}
        if proof["response"] != self._expected(proof):
            self.refused += 1
            return 403, {}
        self.accepted += 1
        contact = event.headers["contact"]
        expires_s = min(int(event.headers["expires"]), self.grants_s)
        if expires_s:
            self.bindings[proof["username"]] = contact
        else:
            self.bindings.pop(proof["username"], None)
        return 200, {"Contact": f"{contact};expires={expires_s}"}

    def _expected(self, proof: Mapping[str, str]) -> str:
        """RFC 2617 §3.2.2, written down once more."""
        password = self.passwords.get(proof["username"], "")
        ha1 = _md5(f"{proof['username']}:everline:{password}")
        ha2 = _md5(f"REGISTER:{proof['uri']}")
        return _md5(f"{ha1}:n0nce:{proof['nc']}:{proof['cnonce']}:auth:{ha2}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
