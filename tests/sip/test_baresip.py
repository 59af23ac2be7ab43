"""Against baresip, a phone: it registers with digest, calls, is called, holds and resumes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.sip.endpoint import SipEndpoint
from edge.sip.events import (
    Address,
    Answered,
    Confirmed,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    OfferAnswered,
    OfferReceived,
    Progress,
    RequestReceived,
)
from tests.ports import free_udp_port
from tests.sip.shell import LOOPBACK, run_out, until

pytestmark = [
    pytest.mark.parts,
    pytest.mark.skipif(
        shutil.which("baresip") is None, reason="Debian's baresip-core is not installed"
    ),
]

CONFIG = """
poll_method epoll
sip_listen 127.0.0.1:{sip}
audio_player aufile,{folder}/heard.wav
audio_source aufile,{folder}/said.wav
audio_alert aufile,{folder}/alert.wav
ausrc_srate 8000
auplay_srate 8000
rtp_ports {rtp}-{rtp_end}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""
ACCOUNT = "<sip:bob@127.0.0.1:{port}>;auth_user=bob;auth_pass=secret;regint=60;answermode=manual\n"
NONCE = "0a4f113b"


def sdp(version: int) -> bytes:
    return (
        f"v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio 40998 RTP/AVP 0\r\na=sendrecv\r\n"
    ).encode()


class Phone:
    """baresip's control port: netstrings of JSON."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def tell(self, command: str, params: str = "") -> None:
        """Give a command."""
        text = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))

    async def hears(self, kind: str) -> None:
        """Read until baresip reports an event of this kind."""
        async with asyncio.timeout(10):
            while (await self._next()).get("type") != kind:
                pass

    async def _next(self) -> dict[str, Any]:
        size = int((await self._reader.readuntil(b":"))[:-1])
        found: dict[str, Any] = json.loads((await self._reader.readexactly(size + 1))[:-1])
        return found


class Site:
    """A small registrar and a user agent in one, made of one stack."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.contact = ""
        self.endpoint = SipEndpoint.open(
            local=Address(LOOPBACK, 0), product="test", on_event=self._on, handles={"REGISTER"}
        )

    def _on(self, event: Event) -> None:
        self.events.append(event)
        now = self.endpoint.now()
        match event:
            case RequestReceived(transaction=transaction, headers=headers):
                if not proved(headers.get("authorization", "")):
                    challenge = f'Digest realm="everline", nonce="{NONCE}", qop="auth"'
                    more = {"WWW-Authenticate": challenge}
                    self.endpoint.stack.respond(transaction, 401, now, headers=more)
                    return
                contact = headers.get("contact", "")
                found = re.search(r"<([^>]+)>", contact)
                self.contact = found[1] if found else ""
                more = {"Contact": contact, "Expires": "60"}
                self.endpoint.stack.respond(transaction, 200, now, headers=more)
            case IncomingInvite(leg=leg):
                self.endpoint.stack.answer(leg, sdp(1), now)
            case OfferReceived(leg=leg):
                self.endpoint.stack.answer_offer(leg, sdp(2), now)
            case _:
                pass

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def proved(authorization: str) -> bool:
    found = dict(re.findall(r'(\w+)="?([^",]+)"?', authorization))
    if "response" not in found:
        return False

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - RFC 2617's

    ha1, ha2 = md5("bob:everline:secret"), md5(f"REGISTER:{found['uri']}")
    text = f"{ha1}:{NONCE}:{found['nc']}:{found['cnonce']}:auth:{ha2}"
    return bool(found["response"] == md5(text))


@asynccontextmanager
async def baresip(folder: Path, registrar: Address) -> AsyncIterator[Phone]:
    """Run a phone that registers as bob, until the test is over."""
    control, rtp = free_udp_port(), free_udp_port() & ~1
    ports = {"sip": free_udp_port(), "control": control, "rtp": rtp, "rtp_end": rtp + 10}
    with wave.open(str(folder / "said.wav"), "wb") as said:
        said.setparams((1, 2, 8000, 0, "NONE", ""))
        said.writeframes(bytes(2 * 8000 * 20))
    (folder / "config").write_text(CONFIG.format(folder=folder, **ports))
    (folder / "accounts").write_text(ACCOUNT.format(port=registrar.port))
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    writer = None
    try:
        reader, writer = await connected(control)
        yield Phone(reader, writer)
    finally:
        if writer is not None:
            writer.close()
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def closing(endpoint: SipEndpoint) -> AsyncIterator[None]:
    try:
        yield
    finally:
        endpoint.close()


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        try:
            return await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            assert asyncio.get_running_loop().time() < deadline, "baresip does not listen"
            await asyncio.sleep(0.05)


async def test_baresip_registers_is_called_holds_resumes_and_hangs_up(tmp_path: Path) -> None:
    site = Site()
    endpoint = site.endpoint
    async with closing(endpoint), baresip(tmp_path, endpoint.local) as phone:
        await until(lambda: bool(site.contact), within_s=10, what="registration")
        port = int(site.contact.split("@")[1].split(";")[0].rpartition(":")[2])
        endpoint.stack.invite(
            request_uri=site.contact,
            from_uri="sip:everline@everline",
            to_uri="sip:bob@everline",
            next_hop=Address(LOOPBACK, port),
            sdp=sdp(1),
            now=endpoint.now(),
        )
        endpoint.flush()
        await until(lambda: bool(site.of(Progress)), within_s=5, what="ringing")
        phone.tell("accept")
        await until(lambda: bool(site.of(Answered)), within_s=5, what="the answer")
        phone.tell("hold")
        await until(lambda: len(site.of(OfferReceived)) == 1, within_s=5, what="hold")
        assert b"a=sendonly" in site.of(OfferReceived)[0].sdp
        phone.tell("resume")
        await until(lambda: len(site.of(OfferReceived)) == 2, within_s=5, what="resume")
        assert b"a=sendrecv" in site.of(OfferReceived)[1].sdp
        phone.tell("hangup")
        await until(lambda: bool(site.of(Ended)), within_s=5, what="hanging up")
        assert site.of(Ended)[0].by is EndedBy.REMOTE
    run_out(endpoint)


async def test_baresip_calls_and_gets_a_new_offer_and_bye(tmp_path: Path) -> None:
    site = Site()
    endpoint = site.endpoint
    async with closing(endpoint), baresip(tmp_path, endpoint.local) as phone:
        await until(lambda: bool(site.contact), within_s=10, what="registration")
        phone.tell("dial", f"sip:1000@{LOOPBACK}:{endpoint.local.port}")
        await until(lambda: bool(site.of(Confirmed)), within_s=5, what="the call")
        leg = site.of(IncomingInvite)[0].leg
        endpoint.stack.reinvite(leg, sdp(3), endpoint.now())
        endpoint.flush()
        await until(lambda: bool(site.of(OfferAnswered)), within_s=5, what="the new offer")
        endpoint.stack.bye(leg, endpoint.now())
        endpoint.flush()
        await phone.hears("CALL_CLOSED")
        await until(lambda: bool(site.of(Ended)), within_s=5, what="the end")
        assert site.of(Ended)[0].by is EndedBy.LOCAL
    run_out(endpoint)
