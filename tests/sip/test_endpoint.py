"""The UDP shell on loopback: calls, registration with digest, datagrams that waited too long."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from edge.sip.endpoint import SipEndpoint
from edge.sip.events import (
    Address,
    Answered,
    Confirmed,
    Discarded,
    Ended,
    Event,
    IncomingInvite,
    RequestReceived,
    ResponseReceived,
)

pytestmark = pytest.mark.parts

ANY = Address("127.0.0.1", 0)


@asynccontextmanager
async def endpoint(
    on_event: Callable[[Event], None], *, max_invite_age_s: float | None = None, handles: str = ""
) -> AsyncIterator[SipEndpoint]:
    opened = SipEndpoint.open(
        local=ANY,
        product="test",
        on_event=on_event,
        max_invite_age_s=max_invite_age_s,
        handles=handles.split(),
    )
    try:
        yield opened
    finally:
        opened.close()


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def test_a_call_over_loopback_is_answered_and_hung_up() -> None:
    heard: list[Event] = []
    said: list[Event] = []
    async with endpoint(heard.append) as callee, endpoint(said.append) as caller:
        leg = caller.stack.invite(
            request_uri="sip:1000@everline",
            from_uri="sip:2000@everline",
            to_uri="sip:1000@everline",
            next_hop=callee.local,
            sdp=b"v=0\r\noffer",
            now=caller.now(),
        )
        caller.flush()
        await until(lambda: bool(heard))
        invite = heard[0]
        assert isinstance(invite, IncomingInvite)
        assert invite.sdp == b"v=0\r\noffer"
        callee.stack.answer(invite.leg, b"v=0\r\nanswer", callee.now())
        callee.flush()
        await until(lambda: any(isinstance(event, Confirmed) for event in heard))
        assert any(isinstance(event, Answered) for event in said)
        caller.stack.bye(leg, caller.now())
        caller.flush()
        await until(lambda: any(isinstance(event, Ended) for event in said))
        assert caller.stack.legs() == callee.stack.legs() == 0


async def test_register_meets_a_digest_challenge() -> None:
    answers: list[Event] = []

    def register(event: Event) -> None:
        if not isinstance(event, RequestReceived):
            return
        proof = event.headers.get("authorization")
        if proof is None:
            challenge = 'Digest realm="everline", nonce="n0nce", qop="auth", algorithm=MD5'
            registrar.stack.respond(
                event.transaction, 401, registrar.now(), headers={"WWW-Authenticate": challenge}
            )
            return
        found = dict(re.findall(r'(\w+)="?([^",]+)"?', proof))
        ha1 = hashlib.md5(b"bob:everline:secret").hexdigest()  # noqa: S324 - RFC 2617's
        ha2 = hashlib.md5(f"REGISTER:{found['uri']}".encode()).hexdigest()  # noqa: S324
        text = f"{ha1}:n0nce:{found['nc']}:{found['cnonce']}:auth:{ha2}"
        right = found["response"] == hashlib.md5(text.encode()).hexdigest()  # noqa: S324
        registrar.stack.respond(event.transaction, 200 if right else 403, registrar.now())

    async with (
        endpoint(register, handles="REGISTER") as registrar,
        endpoint(answers.append) as phone,
    ):
        transaction = phone.stack.request(
            method="REGISTER",
            request_uri="sip:everline",
            from_uri="sip:bob@everline",
            to_uri="sip:bob@everline",
            next_hop=registrar.local,
            now=phone.now(),
            headers={"Expires": "60"},
            credentials=("bob", "secret"),
        )
        phone.flush()
        await until(lambda: bool(answers))
    answer = answers[0]
    assert isinstance(answer, ResponseReceived)
    assert (answer.status, answer.transaction) == (200, transaction)


async def test_an_invite_that_waited_in_the_socket_of_a_frozen_process_is_dropped() -> None:
    heard: list[Event] = []
    said: list[Event] = []
    async with (
        endpoint(heard.append, max_invite_age_s=0.2) as callee,
        endpoint(said.append) as caller,
    ):
        caller.stack.invite(
            request_uri="sip:1000@everline",
            from_uri="sip:2000@everline",
            to_uri="sip:1000@everline",
            next_hop=callee.local,
            sdp=b"v=0",
            now=caller.now(),
        )
        caller.stack.request(
            method="OPTIONS",
            request_uri="sip:everline",
            from_uri="sip:probe@everline",
            to_uri="sip:everline",
            next_hop=callee.local,
            now=caller.now(),
        )
        caller.flush()
        time.sleep(0.3)  # noqa: ASYNC251 - this is the freeze: the whole process stands still
        await until(lambda: bool(heard) and bool(said))
        assert isinstance(heard[0], Discarded)
        assert callee.stack.stale_invites == 1
        assert isinstance(said[0], ResponseReceived), "what is no new call is served, however late"
        # The retransmission is fresh: whoever sends it still wants us.
        await until(lambda: any(isinstance(event, IncomingInvite) for event in heard))


async def test_an_invite_tells_how_long_it_has_waited_in_the_socket() -> None:
    heard: list[Event] = []
    async with endpoint(heard.append) as callee, endpoint(lambda _: None) as caller:
        caller.stack.invite(
            request_uri="sip:1000@everline",
            from_uri="sip:2000@everline",
            to_uri="sip:1000@everline",
            next_hop=callee.local,
            sdp=b"v=0",
            now=caller.now(),
        )
        caller.flush()
        time.sleep(0.2)  # noqa: ASYNC251 - as above
        await until(lambda: bool(heard))
        invite = heard[0]
        assert isinstance(invite, IncomingInvite)
        assert 0.2 <= invite.waited_s < 5.0
