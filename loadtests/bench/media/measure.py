"""`bench media`: how long packets stay in the media relay, by number of calls.

The delay is what fails first: long before a packet is lost, conversations become awkward. One
rtpengine in user space, set up as a site's is; calls made by offer and answer, as an edge makes
them; one process that plays everybody who talks, on the same cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from drills.cli.progress import progress
from drills.lab.enter import RUN_ROOT
from drills.lab.errors import LabError
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from loadtests.bench.media.sender import HOST, PROBE_PORT, SINK_PORT, Order, Told
from loadtests.bench.stats import Spread, percentile, spread

GOAL_MS: Final = 20.0
_ANSWERS_S: Final = 2.0
_SLACK_S: Final = 20.0
_LINE: Final = 64 * 1024 * 1024
_PORT: Final = re.compile(r"m=audio (\d+) ")


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    calls: tuple[int, ...] = (100, 200, 400, 600, 800)
    probes: int = 10
    """Calls among them that are listened to."""
    rounds: int = 5
    """Of all numbers of calls, one after the other."""
    seconds: float = 3.0


QUICK: Final = Effort(calls=(4, 8), probes=2, rounds=1, seconds=0.5)
"""Shows that it works; the figures mean little."""


class Slice(Struct, frozen=True, kw_only=True):
    """One slice."""

    told: Told
    cores: float
    """CPU seconds of the relay, a second."""


class Rung(Struct, frozen=True, kw_only=True):
    """What was found with so many calls."""

    calls: int
    slices: tuple[Slice, ...]

    @property
    def cores(self) -> Spread:
        """Return what the relay took."""
        return spread(each.cores for each in self.slices)

    def delay_ms(self, share: float) -> Spread:
        """Return the relay's delay that so many packets do not exceed."""
        return spread(percentile(each.told.delays_ms, share) for each in self.slices)

    @property
    def lost_share(self) -> float:
        """Return the share of the probes' packets that never came."""
        return spread(1 - len(each.told.delays_ms) / each.told.sent for each in self.slices).median

    @property
    def late_ms(self) -> float:
        """Return how late the sender was at most."""
        return spread(each.told.late_ms for each in self.slices).median

    @property
    def calls_a_core(self) -> float:
        """Return how many calls would fill a core at this cost."""
        return self.calls / self.cores.median

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
        return {
            "delay_ms": {name: self.delay_ms(share).as_json() for name, share in shares.items()},
            "cores": self.cores.as_json(),
            "lost_share": round(self.lost_share, 5),
            "sender_late_ms": round(self.late_ms, 2),
        }


class MediaFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    rungs: tuple[Rung, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`: by number of calls."""
        held = [each for each in self.rungs if each.delay_ms(0.99).median < GOAL_MS]
        return {
            "by_calls": {str(each.calls): each.as_json() for each in self.rungs},
            "calls_under_20_ms": max((each.calls for each in held), default=0),
            "calls_a_core": round(max((each.calls_a_core for each in held), default=0.0)),
        }


async def measure(effort: Effort) -> MediaFigures:
    """Bring the relay up, and load it with more and more calls, again and again."""
    supervisor = Supervisor(RUN_ROOT / "log")
    found: dict[int, list[Slice]] = {calls: [] for calls in effort.calls}
    try:
        await supervisor.start([servers.rtpengine(RUN_ROOT)])
        ports = [
            await asyncio.to_thread(_call, number, is_probe=number < effort.probes)
            for number in range(max(effort.calls))
        ]
        pid = supervisor.pid("rtpengine")
        meter = CpuMeter([] if pid is None else [pid])
        with awake(), progress("bench media", len(found) * effort.rounds) as task:
            async with _sender() as sender:
                for _ in range(effort.rounds):
                    for calls in effort.calls:
                        one = await _slice(sender, meter, effort, ports[:calls])
                        found[calls].append(one)
                        p99 = percentile(one.told.delays_ms, 0.99)
                        task.advance(f"{calls} calls: p99 {p99:.1f} ms, {one.cores:.2f} cores")
    except LabError as error:
        raise BenchError(str(error)) from error
    finally:
        await supervisor.close()
    rungs = tuple(Rung(calls=calls, slices=tuple(each)) for calls, each in found.items())
    return MediaFigures(effort=effort, rungs=rungs)


async def _slice(
    sender: asyncio.subprocess.Process,
    meter: CpuMeter,
    effort: Effort,
    ports: list[tuple[int, int]],
) -> Slice:
    order = Order(
        probes=tuple(port for call in ports[: effort.probes] for port in call),
        ports=tuple(port for call in ports[effort.probes :] for port in call),
        seconds=effort.seconds,
    )
    before_s = meter.read_s()
    told = await _send(sender, order)
    if not told.delays_ms:
        raise BenchError("no packet has come through the relay")
    return Slice(told=told, cores=(meter.read_s() - before_s) / effort.seconds)


async def _send(sender: asyncio.subprocess.Process, order: Order) -> Told:
    if sender.stdin is None or sender.stdout is None:
        raise BenchError("the sender has no pipes")
    sender.stdin.write(msgspec.json.encode(order) + b"\n")
    await sender.stdin.drain()
    try:
        async with asyncio.timeout(order.seconds + _SLACK_S):
            line = await sender.stdout.readline()
    except TimeoutError as error:
        raise BenchError("the sender of audio has not ended in time") from error
    if not line:
        raise BenchError("the sender of audio died; what it said is above")
    return msgspec.json.decode(line, type=Told)


@contextlib.asynccontextmanager
async def _sender() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.bench.media.sender"),
        cwd=servers.PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


# ---- calls


def _call(number: int, *, is_probe: bool) -> tuple[int, int]:
    """Make a call of two parties; return the relay's ports for what they send."""
    port = PROBE_PORT if is_probe else SINK_PORT
    words = {"call-id": f"bench-{number}", "from-tag": "a"}
    to_callee = _ask({"command": "offer", "sdp": _sdp(port), **words})
    to_caller = _ask({"command": "answer", "sdp": _sdp(port), "to-tag": "b", **words})
    # What the caller sends goes to the port that the answer names, the callee's to the offer's.
    return _port_in(to_caller), _port_in(to_callee)


def _ask(command: dict[str, Any]) -> str:
    host, _, port = servers.NG.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(_ANSWERS_S)
        cookie = f"{command['command']}-{command['call-id']} "
        end.sendto(cookie.encode() + json.dumps(command).encode(), (host, int(port)))
        try:
            answer = json.loads(end.recv(65536).partition(b" ")[2])
        except TimeoutError as error:
            raise BenchError(f"rtpengine does not answer {command['command']}") from error
    if answer.get("result") != "ok":
        raise BenchError(f"rtpengine refused {command['command']}: {answer}")
    return str(answer["sdp"])


def _port_in(sdp: str) -> int:
    found = _PORT.search(sdp)
    if found is None:
        raise BenchError(f"rtpengine gave no port: {sdp!r}")
    return int(found[1])


def _sdp(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
