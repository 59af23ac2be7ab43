"""Who hears whom though a caller's telephone has refused to be told."""

from __future__ import annotations

import pytest

from edge.media.pinned import is_served

SAID = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 96 101\r\na=rtpmap:96 opus/48000/2\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def _told(formats: str = "0 8 101", *, port: int = 30000, direction: str = "sendrecv") -> bytes:
    """Return what the relay told, or would tell, who said that."""
    lines = SAID.replace(b"192.0.2.1", b"192.0.2.9").replace(b"sendrecv", direction.encode())
    return lines.replace(b"4000 RTP/AVP 0 8 96 101", f"{port} RTP/AVP {formats}".encode())


@pytest.mark.parametrize("now", ["0 8 101", "0 8", "0", "8 0"])
def test_who_goes_by_codecs_that_both_have_is_served_where_they_are(now: str) -> None:
    assert is_served(SAID, _told(), _told(now))


@pytest.mark.parametrize(
    "now",
    [
        _told("8"),
        _told("96 0"),
        _told(port=30002),
        _told().replace(b"192.0.2.9", b"192.0.2.8"),
        _told().replace(b"RTP/AVP", b"RTP/AVPF"),
        b"no description",
        b"",
    ],
    ids=["they send mu-law", "they are sent Opus", "port", "host", "profile", "broken", "none"],
)
def test_who_would_not_be_heard_or_would_not_hear_has_to_be_told(now: bytes) -> None:
    assert not is_served(SAID, _told(), now)


def test_a_number_that_means_another_codec_now_is_no_codec_of_both() -> None:
    before = _told("96").replace(b"opus/48000/2", b"PCMA/8000")
    assert not is_served(SAID, before, _told("96 0"))


def test_who_answered_our_offer_sends_what_they_took_of_it() -> None:
    said = SAID.replace(b"0 8 96 101", b"8 101")
    assert is_served(said, _told("0 8"), _told("8"))
    assert not is_served(said, _told("0 8"), _told("0"))


def test_events_are_no_codec_to_talk_in() -> None:
    assert not is_served(SAID, _told("0 101"), _told("8 101"))


@pytest.mark.parametrize(
    ("before", "now", "served"),
    [
        ("sendrecv", "sendonly", True),
        ("recvonly", "recvonly", True),
        ("recvonly", "sendrecv", False),
        ("inactive", "sendrecv", False),
    ],
)
def test_who_was_told_to_be_silent_is_not_heard(before: str, now: str, *, served: bool) -> None:
    assert is_served(SAID, _told(direction=before), _told(direction=now)) is served
