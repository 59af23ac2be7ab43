"""Two edges answer one INVITE, on the real proxy: the caller's acknowledgement decides.

Kamailio's receivers stand still as the first edge answers, its timers do not: they find that edge
silent and give the INVITE to its sister. Both answers then wait in Kamailio's socket, and of the
silent edge's it lets none through.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.acd.yielding import ACKNOWLEDGED_ELSEWHERE, LATE_S
from edge.sip import events as sip
from state.model import EdgeId, Outcome
from tests.integration.center import Center
from tests.integration.people import Leg, Telephone

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

SILENT_S = 0.6
"""Kamailio waits half a second for the first edge, and then 0.35 s for the second."""
DOWN_S = 3.5
"""For so long Kamailio leaves out who was silent."""


def _receivers(center: Center, folder: Path) -> Sequence[int]:
    """Return the processes of site a's Kamailio that read from UDP sockets.

    It answers to a path: an abstract name, as the edges have, is not known in another namespace.
    """
    question = {"jsonrpc": "2.0", "method": "core.psx", "id": 1}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asks:
        asks.bind(str(folder / "asks"))
        asks.settimeout(2.0)
        asks.sendto(json.dumps(question).encode(), str(center.lab.paths.of("a") / "kamailio.rpc"))
        processes = json.loads(asks.recv(1 << 20))["result"]
    found = [int(each["PID"]) for each in processes if "udp receiver" in each["DSC"]]
    assert found, processes
    return found


@asynccontextmanager
async def deaf(receivers: Sequence[int]) -> AsyncIterator[None]:
    """Let a Kamailio hear nothing over UDP, while its timers run."""
    for pid in receivers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in receivers:
            os.kill(pid, signal.SIGCONT)


async def _answered_twice(center: Center, caller: Telephone, folder: Path, *, late_s: float) -> Leg:
    """Return the leg of a caller whose INVITE both edges have answered, `late_s` late."""
    supervisor, receivers = center.lab.supervisor, _receivers(center, folder)
    for edge in ("edge-a1", "edge-a2"):
        supervisor.freeze(edge)
    leg = center.dial(caller)
    await asyncio.sleep(late_s)
    async with deaf(receivers):
        for edge in ("edge-a1", "edge-a2"):
            supervisor.thaw(edge)
        await asyncio.sleep(SILENT_S - late_s)
        said = await asyncio.gather(*(center.ask(EdgeId(edge), "status") for edge in ("a1", "a2")))
    assert all(each["calls"] for each in said), "both have it"
    await leg.wait(sip.Answered)
    return leg


async def test_the_edge_whose_answer_the_caller_has_serves_them_and_rings_alone(
    center: Center, tmp_path: Path
) -> None:
    ann, caller = await center.agent("ann"), center.caller()
    theirs = await _answered_twice(center, caller, tmp_path, late_s=2 * LATE_S)
    await ann.answer(await ann.rung())
    await center.connected()
    assert not ann.incoming, "rung once"
    assert not theirs.is_over
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).outcome is Outcome.ANSWERED
    assert ACKNOWLEDGED_ELSEWHERE not in {each.cause for each in await center.records()}
    await center.nothing_is_left()


async def test_a_caller_who_waits_keeps_waiting_though_both_had_answered_in_time(
    center: Center, tmp_path: Path
) -> None:
    caller = center.caller()
    await asyncio.sleep(DOWN_S)
    theirs = await _answered_twice(center, caller, tmp_path, late_s=LATE_S / 2)
    await asyncio.sleep(2.0)
    assert not theirs.is_over
    await center.in_queue(1)
    await caller.hang_up(theirs)
    assert (await center.record(theirs)).cause == "caller_hung_up"
    await center.nothing_is_left()
