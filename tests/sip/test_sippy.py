"""Against sippy, a SIP stack that shares no line with ours: a call each way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.sip.events import (
    Address,
    Answered,
    Confirmed,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    OfferAnswered,
    Progress,
)
from tests.ports import free_udp_port
from tests.sip.shell import LOOPBACK, lossy_endpoint, run_out, until

pytestmark = pytest.mark.parts

SDP = (
    b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40002 RTP/AVP 0\r\n"
)


@asynccontextmanager
async def sippy(*arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run the peer until the test is over."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", str(Path(__file__).with_name("sippy_peer.py"))),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 10) == b"ready\n"
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def said(words: asyncio.StreamReader, word: str) -> None:
    """Read what the peer says until it says `word`."""
    async with asyncio.timeout(10):
        while (line := await words.readline()) != f"{word}\n".encode():
            assert line, f"the peer went away without saying {word}"


async def test_sippy_calls_us_is_answered_held_and_hangs_up() -> None:
    seen: list[Event] = []

    def on_event(event: Event) -> None:
        seen.append(event)
        if isinstance(event, IncomingInvite):
            endpoint.stack.progress(event.leg, 180, endpoint.now())
            endpoint.stack.answer(event.leg, SDP, endpoint.now())
        elif isinstance(event, Confirmed):
            endpoint.stack.reinvite(event.leg, SDP.replace(b"2 2", b"2 3"), endpoint.now())

    with lossy_endpoint(on_event, loss=0.0) as (endpoint, _):
        async with sippy("call", str(free_udp_port()), str(endpoint.local.port)) as words:
            await said(words, "connect")
            await until(lambda: any(isinstance(e, Ended) for e in seen), within_s=10)
        ended = next(e for e in seen if isinstance(e, Ended))
        assert (ended.by, ended.cause) == (EndedBy.REMOTE, "bye")
        assert any(isinstance(e, OfferAnswered) for e in seen)
        run_out(endpoint)


@pytest.mark.parametrize("who", ["we", "sippy"])
async def test_we_call_sippy_and_either_hangs_up(who: str) -> None:
    seen: list[Event] = []

    def on_event(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Answered) and who == "we":
            endpoint.stack.bye(event.leg, endpoint.now())

    port = free_udp_port()
    with lossy_endpoint(on_event, loss=0.0) as (endpoint, _):
        async with sippy("answer", str(port)) as words:
            endpoint.stack.invite(
                request_uri=f"sip:1000@{LOOPBACK}:{port}",
                from_uri="sip:everline@everline",
                to_uri="sip:1000@everline",
                next_hop=Address(LOOPBACK, port),
                sdp=SDP,
                now=endpoint.now(),
            )
            endpoint.flush()
            await said(words, "try")
            await until(lambda: any(isinstance(e, Ended) for e in seen), within_s=10)
        assert any(isinstance(e, Progress) for e in seen)
        ended = next(e for e in seen if isinstance(e, Ended))
        assert (ended.by, ended.cause) == (
            EndedBy.LOCAL if who == "we" else EndedBy.REMOTE,
            "bye",
        )
        run_out(endpoint)
