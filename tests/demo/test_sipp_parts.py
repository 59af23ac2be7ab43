"""The callers' scenario against a SIPp that plays the other side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.demo.people import sipp_command
from drills.demo.reports import CallerReport, End
from drills.demo.scenario import Behaviour, PlannedCall
from drills.demo.sipp_log import injection, parse, reports
from state.model import DidNumber, SiteId
from tests.demo import invented
from tests.ports import free_udp_port

pytestmark = pytest.mark.parts

HOST = "127.0.0.1"
PEER = Path(__file__).with_name("peer.xml")
TIMEOUT_S = 30.0


def call(index: int, did: str, behaviour: Behaviour, first: str = "a") -> PlannedCall:
    planned = invented.SCENARIO.calls[index]
    return replace(
        planned,
        number=f"1555020000{index}",
        did=DidNumber(did),
        at_s=0.1 * index,
        behaviour=behaviour,
        first_site=SiteId(first),
    )


async def place(folder: Path, calls: list[PlannedCall]) -> tuple[list[CallerReport], str]:
    """Let SIPp place the calls; return its reports by number, and what the peer noted."""
    peer_port, peer_log = free_udp_port(), folder / "peer.log"
    peer = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(PEER), HOST, "-i", HOST, "-p", str(peer_port)),
        *("-m", str(len(calls)), "-nostdin", "-trace_logs", "-log_file", str(peer_log)),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    (folder / "calls.csv").write_text(injection(calls))
    log = folder / "callers.log"
    command = sipp_command(
        own=HOST,
        carrier=f"{HOST}:{peer_port}",
        sip_port=free_udp_port(),
        media_port=free_udp_port(),
        calls=len(calls),
        log=log,
    )
    callers = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await callers.wait()
            await peer.wait()
    finally:
        for process in (callers, peer):
            if process.returncode is None:
                process.kill()
                await process.wait()
    found = sorted(reports(parse(log.read_text())), key=lambda each: each.number)
    return found, peer_log.read_text()


async def test_each_behaviour_and_each_fate_is_told_as_it_was(tmp_path: Path) -> None:
    found, noted = await place(
        tmp_path,
        [
            call(1, "100", Behaviour.CALLER_ENDS, first="b"),
            call(2, "100", Behaviour.AGENT_ENDS),
            call(3, "101", Behaviour.IMPATIENT),
            call(4, "102", Behaviour.CALLER_ENDS),
            call(5, "103", Behaviour.CALLER_ENDS),
        ],
    )
    assert [each.end for each in found] == [
        End.HUNG_UP,
        End.FAR_END,
        End.HUNG_UP,
        End.REFUSED,
        End.UNHEARD,
    ]
    assert [each.joined_ms is not None for each in found] == [True, True, False, False, True]
    assert [each.ok_ms is not None for each in found] == [True, True, True, False, True]
    assert found[3].status == 503
    assert "agent_hung_up" in found[1].reason
    assert len({each.call for each in found}) == 5
    talker = found[0]
    assert talker.ended_ms is not None
    assert talker.joined_ms is not None
    assert 4900 < talker.ended_ms - talker.joined_ms < 6000
    assert "100 b" in noted, "the first choice reaches the carrier"
