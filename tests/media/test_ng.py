"""The NG protocol on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.ng import Command, NgError, Verb, cookie_of, decode, encode


def test_command_goes_out_under_its_cookie_with_rtpengine_names() -> None:
    command = Command(
        verb=Verb.PLAY_MEDIA, call="a1:k", from_tag="caller", file="/m.wav", repeat_times=3
    )
    cookie, _, payload = encode("c_1", command).partition(b" ")
    assert cookie == b"c_1"
    assert json.loads(payload) == {
        "command": "play media",
        "call-id": "a1:k",
        "from-tag": "caller",
        "file": "/m.wav",
        "repeat-times": 3,
    }


def test_a_delay_of_zero_is_sent_since_leaving_it_out_means_thirty_seconds() -> None:
    payload = encode("c", Command(verb=Verb.DELETE, call="k", delete_delay_s=0)).split(b" ", 1)[1]
    assert json.loads(payload)["delete-delay"] == 0


def test_reply_with_keys_in_any_order_and_unknown_ones_is_read() -> None:
    reply = decode(b'c_9 {"sdp":"v=0","result":"ok","news":{"a":[1]},"duration":5000}')
    assert (reply.result, reply.sdp, reply.duration_ms) == ("ok", "v=0", 5000)
    assert cookie_of(b"c_9 {}") == "c_9"


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"c_1",
        b"c_1 ",
        b"c_1 d6:result2:oke",
        b"c_1 []",
        b'c_1 {"result":1}',
        b'c_1 {"result":"ok"',
        b'c_1 {"sdp":"v=0"}',
        b"\xff\xfe {}",
        b'c_1 {"result":"\xff"}',
        b'c_1 {"result":' + 5000 * b"[",
    ],
)
def test_anything_else_is_an_error_and_nothing_worse(datagram: bytes) -> None:
    with pytest.raises(NgError):
        _read(datagram)


@given(st.binary(max_size=200))
def test_no_datagram_does_more_than_raise_ng_error(datagram: bytes) -> None:
    try:
        _read(datagram)
    except NgError:
        return
    assert b'"result"' in datagram


def _read(datagram: bytes) -> None:
    cookie_of(datagram)
    decode(datagram)
