"""The callers' scenario and a proxy that wakes up: what it had not read comes all at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.demo.people import sipp_command
from drills.demo.reports import CallerReport, End
from drills.demo.scenario import Behaviour
from drills.demo.sipp_log import injection, parse, reports
from tests.demo import invented
from tests.ports import free_udp_port

pytestmark = pytest.mark.parts

HOST = "127.0.0.1"
TIMEOUT_S = 30.0
LATER_S = 0.3
"""SIPp waits for an agent by then."""
Plot = Callable[["OtherSide", str], None]
"""What is done when a request of this method has come."""


class OtherSide(asyncio.DatagramProtocol):
    """Answers one call, and plays the rest by a plot."""

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        self._transport: asyncio.DatagramTransport | None = None
        self._invite: dict[str, str] = {}
        self._there: tuple[str, int] = (HOST, 0)
        self._last: dict[str, str] = {}
        self.answers: list[str] = []
        """Status and CSeq of each response that came."""
        self.byes = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Take the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one message."""
        first, *lines = data.decode().split("\r\n")
        fields = dict(re.findall(r"(?m)^([\w-]+): *(.*)$", "\n".join(lines)))
        self._there = addr
        if first.startswith("SIP/2.0"):
            self.answers.append(f"{first.split()[1]} {fields['CSeq']}")
            return
        method = first.split()[0]
        self._last = fields
        if method == "INVITE":
            self._invite = fields
            self.answer(200)
        self.byes += method == "BYE"
        self._plot(self, method)

    def answer(self, status: int) -> None:
        """Answer what came last."""
        said = self._last
        to = said["To"] if "tag=" in said["To"] else f"{said['To']};tag=there"
        lines = [f"{name}: {said[name]}" for name in ("Via", "From", "Call-ID", "CSeq")]
        self._send(f"SIP/2.0 {status} So It Is", [*lines, f"To: {to}", self._contact()])

    def ask(self, method: str, number: int) -> None:
        """Send a request within the call."""
        there = self._invite
        uri = there["Contact"].strip("<>")
        lines = [
            f"Via: SIP/2.0/UDP {HOST}:{self._port()};branch=z9hG4bK{number}",
            "Max-Forwards: 70",
            f"From: {there['To']};tag=there",
            f"To: {there['From']}",
            f"Call-ID: {there['Call-ID']}",
            f"CSeq: {number} {method}",
            self._contact(),
        ]
        self._send(f"{method} {uri} SIP/2.0", lines)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a while."""
        asyncio.get_running_loop().call_later(seconds, act)

    def _contact(self) -> str:
        return f"Contact: <sip:{HOST}:{self._port()}>"

    def _port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def _send(self, first: str, lines: list[str]) -> None:
        assert self._transport is not None
        text = "\r\n".join([first, *lines, "Content-Length: 0", "", ""])
        self._transport.sendto(text.encode(), self._there)


async def call(folder: Path, behaviour: Behaviour, plot: Plot) -> tuple[CallerReport, OtherSide]:
    """Let SIPp place one call; return its report and what the other side has seen."""
    planned = replace(invented.SCENARIO.calls[0], at_s=0.0, behaviour=behaviour)
    (folder / "calls.csv").write_text(injection([planned]))
    log, loop = folder / "callers.log", asyncio.get_running_loop()
    transport, other = await loop.create_datagram_endpoint(
        lambda: OtherSide(plot), local_addr=(HOST, 0)
    )
    command = sipp_command(
        own=HOST,
        carrier=f"{HOST}:{transport.get_extra_info('sockname')[1]}",
        sip_port=free_udp_port(),
        media_port=free_udp_port(),
        calls=1,
        log=log,
    )
    quiet = asyncio.subprocess.DEVNULL
    sipp = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await sipp.wait()
    finally:
        transport.close()
        if sipp.returncode is None:
            sipp.kill()
            await sipp.wait()
    (report,) = reports(parse(log.read_text()))
    return report, other


async def test_a_goodbye_right_behind_a_re_invite_ends_the_call(tmp_path: Path) -> None:
    """Both stood in the proxy's socket: SIPp has read the second before it answers the first."""

    def plot(other: OtherSide, method: str) -> None:
        if method != "ACK":
            return

        def both() -> None:
            other.ask("INVITE", 1)
            other.ask("BYE", 2)

        def again() -> None:
            if not any(each.endswith("2 BYE") for each in other.answers):
                other.ask("BYE", 2)

        other.later(LATER_S, both)
        for number in range(1, 5):
            other.later(LATER_S + 0.5 * number, again)

    report, other = await call(tmp_path, Behaviour.AGENT_ENDS, plot)
    assert report.end is End.FAR_END
    assert "200 2 BYE" in other.answers


async def test_a_re_invite_after_the_caller_s_goodbye_is_refused_and_the_goodbye_waits_on(
    tmp_path: Path,
) -> None:
    """It is acknowledged (ACK), and the answer to the BYE comes later than T2, or 408, would."""

    def plot(other: OtherSide, method: str) -> None:
        if method == "BYE" and other.byes == 1:
            other.ask("INVITE", 1)
            other.later(LATER_S, lambda: other.ask("ACK", 1))
        elif method == "BYE" and other.byes > 8:
            other.answer(200)

    report, other = await call(tmp_path, Behaviour.IMPATIENT, plot)
    assert report.end is End.HUNG_UP
    assert other.answers == ["481 1 INVITE"]
    assert report.ended_ms is not None
    assert report.hung_up_ms is not None
    assert report.ended_ms - report.hung_up_ms > 6000, "longer than it waited once"


async def test_a_goodbye_is_said_though_nobody_acknowledges_our_answer(tmp_path: Path) -> None:
    """The 200 to a re-INVITE stands in the proxy's socket, and no ACK comes."""

    def plot(other: OtherSide, method: str) -> None:
        if method == "ACK":
            other.later(LATER_S, lambda: other.ask("INVITE", 1))
        elif method == "BYE":
            other.answer(200)

    report, other = await call(tmp_path, Behaviour.CALLER_ENDS, plot)
    assert report.end is End.HUNG_UP
    assert other.byes == 1
