"""Against SIPp, both ways, 3 % of the datagrams lost on each side: 600 of 600 calls end well."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.sip.events import (
    Address,
    Answered,
    Cancelled,
    Ended,
    EndedBy,
    Event,
    IncomingInvite,
    Rejected,
)
from tests.ports import free_udp_port
from tests.sip.shell import LOOPBACK, lossy_endpoint, run_out, until

pytestmark = [
    pytest.mark.parts,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="Debian's sip-tester is not installed"),
]

CALLS = 600
RATE = 60
LOSS = 0.03
"""On each side; the socket under the endpoint loses for both. (SIPp's own `-lost` forgets that it
lost a message and takes the retransmission for a repetition: its calls then fail by themselves.)"""
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0\r\n"
)


@asynccontextmanager
async def sipp(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run SIPp; it is killed if it outlives the test."""
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-nostdin", "-i", LOOPBACK, "-m", str(CALLS)),
        *("-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1"),
        *("-timeout", "60s", *arguments),
        cwd=folder,
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def outcome(folder: Path) -> tuple[int, int]:
    """Return SIPp's own count of good and failed calls."""
    with (folder / "stat.csv").open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


async def test_600_calls_from_sipp_end_as_they_should(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def on_event(event: Event) -> None:
        match event:
            case IncomingInvite(leg=leg):
                seen["arrived"] += 1
                endpoint.stack.progress(leg, 180, endpoint.now())
                endpoint.stack.answer(leg, SDP, endpoint.now())
            case Ended(by=by, cause=cause):
                seen[f"{by} {cause}"] += 1
            case Cancelled():
                seen["cancelled"] += 1
            case _:
                pass

    with lossy_endpoint(on_event, loss=LOSS) as (endpoint, sock):
        target = f"{LOOPBACK}:{endpoint.local.port}"
        scenario = str(Path(__file__).with_name("sipp_uac.xml"))
        options = ("-sf", scenario, "-p", str(free_udp_port()), "-r", str(RATE), target)
        async with sipp(tmp_path, *options) as process:
            code = await asyncio.wait_for(process.wait(), 50)
        assert outcome(tmp_path) == (CALLS, 0)
        assert code == 0
        await until(lambda: endpoint.stack.legs() == 0, within_s=5, what="the end of all calls")
        assert seen == {"arrived": CALLS, f"{EndedBy.REMOTE} bye": CALLS}
        assert sock.lost > CALLS * 7 * LOSS / 2, "the network was lossy"
        run_out(endpoint)


async def test_600_calls_to_sipp_end_as_they_should(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def on_event(event: Event) -> None:
        match event:
            case Answered(leg=leg):
                seen["answered"] += 1
                endpoint.stack.bye(leg, endpoint.now())
            case Ended(by=by, cause=cause):
                seen[f"{by} {cause}"] += 1
            case Rejected(status=status):
                seen[f"rejected {status}"] += 1
            case _:
                pass

    with lossy_endpoint(on_event, loss=LOSS, seed=2) as (endpoint, sock):
        port = free_udp_port()
        scenario = str(Path(__file__).with_name("sipp_uas.xml"))
        # An ACK sent again may come after BYE: SIPp must not call that a failure.
        options = ("-sf", scenario, "-p", str(port), "-default_behaviors", "all,-abortunexp")
        async with sipp(tmp_path, *options) as process:
            await ready(port)
            for _ in range(CALLS):
                endpoint.stack.invite(
                    request_uri=f"sip:service@{LOOPBACK}:{port}",
                    from_uri="sip:everline@everline",
                    to_uri="sip:service@everline",
                    next_hop=Address(LOOPBACK, port),
                    sdp=SDP,
                    now=endpoint.now(),
                )
                endpoint.flush()
                await asyncio.sleep(1 / RATE)
            await until(
                lambda: endpoint.stack.legs() == 0, within_s=33, what="the end of all calls"
            )
            assert seen == {"answered": CALLS, f"{EndedBy.LOCAL} bye": CALLS}
            code = await asyncio.wait_for(process.wait(), 25)
        assert outcome(tmp_path) == (CALLS, 0)
        assert code == 0
        assert sock.lost > CALLS * 7 * LOSS / 2, "the network was lossy"
        run_out(endpoint)


async def ready(port: int) -> None:
    """Wait until SIPp has bound its port."""

    def bound() -> bool:
        lines = Path("/proc/net/udp").read_text().splitlines()
        return any(f":{port:04X} " in line for line in lines)

    await until(bound, within_s=5, what="SIPp listening")
