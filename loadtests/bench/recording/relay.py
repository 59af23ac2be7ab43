"""Plays the media relay for a recorder: answers its NG commands and sends what a fork would.

A call is two streams of G.711, a packet of 20 ms each, from ports of their own.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import struct
from typing import Any, Final

HOST: Final = "127.0.0.1"
PACKET_S: Final = 0.02
BLOCK: Final = 160
_HEAD: Final = struct.Struct("!BBHII")
_PORT: Final = re.compile(r"m=audio (\d+) ")


class Stream:
    """One party of one call."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)  # noqa: FBT003 - the socket module's signature
        self.socket.bind((HOST, 0))
        self.port: int = self.socket.getsockname()[1]
        self.goal: tuple[str, int] | None = None
        self.sent = 0
        self._packet = bytearray(_HEAD.size) + secrets.token_bytes(BLOCK)
        self._ssrc = secrets.randbits(32)

    def send(self) -> None:
        """Send the next packet."""
        if self.goal is None:
            return
        number = self.sent
        _HEAD.pack_into(
            self._packet, 0, 0x80, 0, number & 0xFFFF, number * BLOCK & 0xFFFFFFFF, self._ssrc
        )
        self.socket.sendto(self._packet, self.goal)
        self.sent = number + 1


class Relay(asyncio.DatagramProtocol):
    """The NG port, and all streams on one clock."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.sent = 0
        """By streams that have ended."""
        self.behind_s = 0.0
        """How late the clock has been at most: a sender that cannot keep up proves nothing."""
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> int:
        """Listen; return the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        """Stop."""
        if self._transport is not None:
            self._transport.close()
        for stream in self.streams.values():
            stream.socket.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - asyncio's
        """Answer a command."""
        cookie, _, text = data.partition(b" ")
        answer = self._answer(json.loads(text))
        if self._transport is not None:
            self._transport.sendto(cookie + b" " + json.dumps(answer).encode(), addr)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        match asked["command"]:
            case "subscribe request":
                tag, stream = secrets.token_hex(8), Stream()
                self.streams[tag] = stream
                sdp = (
                    f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
                    f"m=audio {stream.port} RTP/AVP 0 101\r\na=sendonly\r\n"
                    "a=rtpmap:101 telephone-event/8000\r\n"
                )
                return {"result": "ok", "sdp": sdp, "to-tag": tag}
            case "subscribe answer":
                found = _PORT.search(asked["sdp"])
                if found is not None:
                    self.streams[asked["to-tag"]].goal = (HOST, int(found[1]))
            case "unsubscribe":
                stream = self.streams.pop(asked["to-tag"])
                self.sent += stream.sent
                stream.socket.close()
            case _:
                pass
        return {"result": "ok"}

    async def run(self) -> None:
        """Send, 50 packets a second and stream, until cancelled."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            streams = list(self.streams.values())
            # Spread over the 20 ms, as streams that began at different times are.
            for part in range(4):
                for stream in streams[part::4]:
                    stream.send()
                due_s += PACKET_S / 4
                left_s = due_s - loop.time()
                self.behind_s = max(self.behind_s, -left_s)
                await asyncio.sleep(max(0.0, left_s))
