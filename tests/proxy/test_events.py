"""What Kamailio says over evapi, cut into messages and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acd.token import Token
from edge.proxy.events import (
    Event,
    Forwarded,
    GateChanged,
    GoodbyeUnheard,
    Listening,
    NetstringError,
    Refused,
    Registered,
    Unregistered,
    decode,
    netstring,
    split,
)
from edge.proxy.gate import GateState
from state.model import AgentId, CallId

ALICE = AgentId("alice")
TOKEN = Token(epoch=1, revision=7)


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'{"event": "listening"}', Listening()),
        (
            b'{"event": "registered", "agent": "alice", "expires": 60}',
            Registered(agent=ALICE, expires_s=60),
        ),
        (
            b'{"event": "unregistered", "agent": "alice", "expires": 0}',
            Unregistered(agent=ALICE, expired=False),
        ),
        (
            b'{"event": "expired", "agent": "alice", "expires": 0}',
            Unregistered(agent=ALICE, expired=True),
        ),
        (
            (
                b'{"event": "gate", "agent": "alice", "epoch": 1, "revision": 7, '
                b'"state": "ringing", "call": "c"}'
            ),
            GateChanged(agent=ALICE, token=TOKEN, state=GateState.RINGING, call=CallId("c")),
        ),
        (
            (
                b'{"event": "gate", "agent": "alice", "epoch": 1, "revision": 7, '
                b'"state": "idle", "call": ""}'
            ),
            GateChanged(agent=ALICE, token=TOKEN, state=GateState.IDLE, call=None),
        ),
        (
            b'{"event": "refused", "agent": "alice", "call": "c", "why": "busy"}',
            Refused(agent=ALICE, call=CallId("c"), why="busy"),
        ),
        (b'{"event": "goodbye_unheard", "agent": "alice"}', GoodbyeUnheard(agent=ALICE)),
        (
            b'{"event": "forwarded", "trunk": "t2", "outcome": "sent", "count": 3}',
            Forwarded(trunk="t2", outcome="sent", count=3),
        ),
    ],
)
def test_an_event_is_read(frame: bytes, event: Event | Listening) -> None:
    assert decode(frame) == event


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b'{"event": "party"}', b'{"event": "registered"}', b"\xff", b"null"],
)
def test_what_is_no_event_of_this_version_is_passed_over(frame: bytes) -> None:
    assert decode(frame) is None


@given(frames=st.lists(st.binary(max_size=40), max_size=6), data=st.data())
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    frames: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(netstring(frame) for frame in frames)
    buffer, found = bytearray(), []
    while stream:
        size = data.draw(st.integers(min_value=1, max_value=len(stream)))
        buffer += stream[:size]
        stream = stream[size:]
        found += split(buffer)
    assert found == frames
    assert not buffer


@pytest.mark.parametrize("stream", [b"x:", b"3:abcd", b":,", b"-1:,", b"99999999:", b"12345678"])
def test_a_stream_that_is_out_of_step_is_an_error(stream: bytes) -> None:
    with pytest.raises(NetstringError):
        split(bytearray(stream))
