"""Whatever is sent to a site gets the answer it deserves; nothing dies, nobody else notices."""

from __future__ import annotations

import os
import socket

import pytest

from edge.sip import events as sip
from state import keys
from state.model import AgentId
from state.store import Delete, Put
from tests.integration.center import SALES, Center, eventually
from tests.integration.people import sdp, until

pytestmark = [pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]


async def a_call_works(center: Center) -> None:
    """Make sure that a call is served as ever."""
    caller = center.caller()
    leg = center.dial(caller)
    await leg.wait(sip.Answered)
    await caller.hang_up(leg)
    await center.nothing_is_left()


def pids(center: Center) -> dict[str, int | None]:
    """Return who runs."""
    return {name: center.lab.supervisor.pid(name) for name in center.lab.supervisor.names("a")}


async def test_an_unknown_number_is_404(center: Center) -> None:
    leg = center.caller().dial("19995550199", center.site())
    assert (await leg.wait(sip.Rejected)).status == 404
    await center.nothing_is_left()


@pytest.mark.parametrize(
    ("offer", "status"),
    [
        (b"this is no session description", 488),
        (b"v=0\r\no=- 1 1 IN IP4 198.18.10.1\r\ns=-\r\nt=0 0\r\n", 488),
        (sdp("198.18.10.1", codec=18), 488),
        (sdp("198.18.10.1").replace(b"m=audio", b"m=video"), 488),
        (b"\x00\xff" * 300, 488),
    ],
    ids=["garbage", "no medium", "no codec of ours", "video alone", "binary"],
)
async def test_an_offer_that_cannot_be_used_is_488(
    center: Center, offer: bytes, status: int
) -> None:
    leg = center.dial(center.caller(), offer=offer)
    assert (await leg.wait(sip.Rejected)).status == status
    await center.nothing_is_left()


async def test_a_stranger_gets_no_call(center: Center) -> None:
    stranger = center.stranger()
    leg = center.dial(stranger)
    await until(lambda: leg.is_over, "an answer", within_s=40)
    rejected = await leg.wait(sip.Rejected)
    assert rejected.timeout or rejected.status in {401, 403, 407}
    await a_call_works(center)


async def test_an_edge_is_not_to_be_reached_past_its_kamailio(center: Center) -> None:
    # A known trunk that speaks to the edge itself is a stranger to it as to who it is, no more: the
    # edges' ports are closed by the network on a real host. Here it must at least do no harm.
    before = pids(center)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((center.lab.plan.host("callers").router, 0))
        for port in (5081, 5082):
            for datagram in RUBBISH:
                sock.sendto(datagram, (center.lab.addresses["a"], port))
    await a_call_works(center)
    assert pids(center) == before


async def test_rubbish_at_the_door_harms_nobody(center: Center) -> None:
    before = pids(center)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((center.lab.plan.host("carrier").router, 0))
        for datagram in RUBBISH:
            sock.sendto(datagram, (center.lab.addresses["a"], 5060))
    await a_call_works(center)
    assert pids(center) == before


@pytest.mark.parametrize(
    "value",
    [b"{", b"null", b'{"v": 99, "agent": "ann"}', b"\xff\xfe", b'{"v": 1, "agent": 7}'],
    ids=["torn", "null", "from the future", "binary", "wrong type"],
)
async def test_a_record_that_cannot_be_read_is_named_and_harms_nobody(
    center: Center, value: bytes
) -> None:
    key = keys.presence(AgentId("gus"))
    await center.store.txn((), (Put(key=key, value=value),))

    async def is_named() -> bool:
        answers = [await center.ask(edge, "status") for edge in center.edges()]
        return all(key in answer["bad_records"] for answer in answers)

    await eventually(is_named, "every edge names the record")
    await a_call_works(center)
    await center.store.txn((), (Delete(key=key),))

    async def is_forgotten() -> bool:
        answers = [await center.ask(edge, "status") for edge in center.edges()]
        return not any(answer["bad_records"] for answer in answers)

    await eventually(is_forgotten, "the record is forgotten")


async def test_a_full_disk_under_the_snapshot_costs_the_copy_and_no_call(center: Center) -> None:
    run = center.lab.paths.of(center.lab.plan.sites[0])
    parts = [run / f"snapshot-{edge}.json.part" for edge in center.edges()]
    for part in parts:
        # Whatever is written there meets a full disk, and nothing else of the site does.
        part.unlink(missing_ok=True)
        part.symlink_to("/dev/full")
    try:
        await a_call_works(center)
        await eventually(lambda: _has_noticed(center), "every edge counts it")
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    await a_call_works(center)


async def _has_noticed(center: Center) -> bool:
    # Not by the log: that is on the same disk.
    answers = [await center.ask(edge, "status") for edge in center.edges()]
    return all(answer["mirror"]["save_errors"] > 0 for answer in answers)


_HEAD = f"INVITE sip:{SALES}@198.18.1.10 SIP/2.0\r\n"
_VIA = "Via: SIP/2.0/UDP 198.18.10.1:5060;branch=z9hG4bKrubbish\r\n"
RUBBISH = (
    b"",
    b"\r\n\r\n",
    b"\0" * 1000,
    os.urandom(1400),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"INVITE",
    _HEAD.encode(),
    f"{_HEAD}{_VIA}\r\n".encode(),
    f"{_HEAD}{_VIA}Call-ID: \r\nCSeq: x INVITE\r\nFrom: \r\nTo: \r\n\r\n".encode(),
    f"{_HEAD}{_VIA}Content-Length: 99999\r\n\r\nshort".encode(),
    f"{_HEAD}{_VIA}Content-Length: -1\r\n\r\n".encode(),
    f"{_HEAD}{_VIA}{'X-Long: ' + 'a' * 60_000}\r\n\r\n".encode(),
    f"{_HEAD}{_VIA}{''.join(f'X-{n}: y{chr(13)}{chr(10)}' for n in range(2000))}\r\n".encode(),
    b"SIP/2.0 200 OK\r\n\r\n",
    f"SIP/2.0 999 ?\r\n{_VIA}\r\n".encode(),
    f"BYE sip:nobody@198.18.1.10 SIP/2.0\r\n{_VIA}Call-ID: x\r\nCSeq: 1 BYE\r\n"
    "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nMax-Forwards: 0\r\n\r\n".encode(),
)
