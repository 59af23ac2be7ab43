"""Keys that telephones say in INFO, as they are written out there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.keys import KEYS, LONGEST_S, USUAL_S, key_of

RELAY = "application/dtmf-relay"


@pytest.mark.parametrize(
    ("content_type", "body", "key", "duration_s"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", "5", 0.16),
        (RELAY, b"Signal= *\r\nDuration= 250\r\n", "*", 0.25),
        (RELAY, b"Signal=#", "#", USUAL_S),
        (RELAY, b"signal=10\nduration=100\n", "*", 0.1),
        (RELAY, b"Signal=11\r\n", "#", USUAL_S),
        (RELAY, b"Signal=a\r\n", "A", USUAL_S),
        (f"{RELAY}; charset=utf-8", b"Signal=1\r\n", "1", USUAL_S),
        ("Application/DTMF-Relay", b"Signal=1\r\nDuration=999999\r\n", "1", LONGEST_S),
        ("application/dtmf", b"7", "7", USUAL_S),
        ("application/dtmf", b" 7\r\n", "7", USUAL_S),
    ],
)
def test_a_key_is_read(content_type: str, body: bytes, key: str, duration_s: float) -> None:
    found = key_of(content_type, body)
    assert found is not None
    assert (found.key, found.duration_s) == (key, duration_s)
    assert key not in repr(found).replace(str(duration_s), ""), "which one is for no log"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (RELAY, b""),
        (RELAY, b"Signal=16\r\n"),
        (RELAY, b"Signal=12345\r\n"),
        (RELAY, b"5"),
        ("application/dtmf", b"12"),
        ("application/dtmf", b"\xff"),
        ("application/dtmf", b""),
        ("application/media_control+xml", b"Signal=5"),
        ("", b"5"),
    ],
)
def test_what_is_no_key_is_none(content_type: str, body: bytes) -> None:
    found = key_of(content_type, body)
    assert found is None


@given(st.sampled_from([RELAY, "application/dtmf", "text/plain"]), st.binary(max_size=60))
def test_whatever_comes_is_a_key_that_there_is_or_none(content_type: str, body: bytes) -> None:
    found = key_of(content_type, body)
    assert found is None or (found.key in KEYS and 0 <= found.duration_s <= LONGEST_S)
