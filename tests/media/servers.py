"""A real rtpengine on loopback, and people who talk through it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from custody import g711
from edge.media.errors import MediaUnavailable
from edge.media.rtpengine import MediaEngine
from edge.media.sdp import audio
from edge.phone import tones
from edge.phone.rtp import RtpClock, RtpStream
from edge.phone.session import MediaSession
from tests.ports import free_udp_port

HOST = "127.0.0.1"
PROMPTS = Path(__file__).parents[2] / "edge/ivr/prompts"
_START_S = 30.0


@dataclass
class Rtpengine:
    """One process, in user space, on ports of its own."""

    ports: int = 300
    ng_port: int = field(default_factory=free_udp_port)
    digits_port: int = field(default_factory=free_udp_port)
    """Where it says which keys parties press."""
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        first_port = 10_000 + os.getpid() * 331 % 18_000
        self.log = Path(tempfile.mkdtemp(prefix="rtpengine-")) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - a test has time
                [
                    "rtpengine",
                    "--foreground",
                    "--log-stderr",
                    "--table=-1",
                    f"--listen-ng={HOST}:{self.ng_port}",
                    f"--interface={HOST}",
                    f"--port-min={first_port}",
                    f"--port-max={first_port + self.ports - 1}",
                    f"--dtmf-log-dest={HOST}:{self.digits_port}",
                    "--delete-delay=0",
                    "--endpoint-learning=off",
                    "--num-threads=2",
                    "--media-num-threads=1",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        engine = MediaEngine(owner="probe", host=HOST, port=self.ng_port, timeout_s=_START_S)
        await engine.start()
        try:
            await engine.ping()
        except MediaUnavailable as error:
            # Its port for commands on a terminal is always the same: the next one needs it.
            self.kill()
            raise AssertionError(self.log.read_text()) from error
        finally:
            engine.close()

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it and remove what it wrote."""
        self.kill()
        shutil.rmtree(self.log.parent)


class Person:
    """Someone with a phone: a stream, a session and a chord of their own."""

    def __init__(
        self, clock: RtpClock, name: str, *, payload_types: tuple[int, ...] = (0, 8)
    ) -> None:
        self.stream = RtpStream(clock, HOST)
        self.session = MediaSession(
            host=HOST, port=self.stream.port, session_id=1, payload_types=payload_types
        )
        self.chord = tones.chord_for(name)
        self.name = str(self.chord)

    @property
    def sdp(self) -> bytes:
        """Describe them as an offer."""
        return self.session.offer()

    def talk_to(self, sdp: bytes) -> None:
        """Send the chord where `sdp` wants it."""
        remote = self.session.remote(sdp)
        payload = g711.encode(tones.samples(self.chord), remote.payload_type)
        self.stream.send_to(remote.host, remote.port, payload, remote.payload_type)

    def hears(self) -> str:
        """Name what the latest packet held."""
        return self.stream.listener.now_hearing

    def count(self, name: str) -> int:
        """Count the packets of one name."""
        return self.stream.listener.packets(name)


def port_in(sdp: bytes) -> int:
    return audio(sdp).port


async def until(condition: Callable[[], bool], what: str, *, within_s: float = 3.0) -> None:
    """Wait for a condition; it fails by name."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    while not condition():
        assert loop.time() < ends, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)


async def packets_pass(person: Person, count: int) -> None:
    """Let `count` more packets reach someone, whatever they hold."""
    goal = person.stream.received + count
    await until(lambda: person.stream.received >= goal, f"{count} packets")


async def ticks(clock_packets: int = 15) -> None:
    """Let the time of some packets pass, where the point is that nothing arrives."""
    await asyncio.sleep(clock_packets * 0.02)
