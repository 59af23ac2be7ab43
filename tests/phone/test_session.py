"""The phone's half of offer and answer."""

from __future__ import annotations

import pytest

from edge.media.errors import SdpError
from edge.media.sdp import Direction, audio, parse
from edge.phone.session import MediaSession


def session(**changes: object) -> MediaSession:
    made = MediaSession(host="192.0.2.1", port=4000, session_id=7)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_answer_takes_the_first_codec_of_theirs_that_we_have() -> None:
    theirs = session(payload_types=(8, 0)).offer()
    ours = session()
    assert audio(ours.answer(theirs)).formats == ("8", "101")
    assert ours.remote(theirs).payload_type == 8


def test_offer_without_a_codec_of_ours_is_refused() -> None:
    with pytest.raises(SdpError):
        session(payload_types=(0,)).answer(session(payload_types=(8,)).offer())


@pytest.mark.parametrize(
    ("offered", "held", "answered"),
    [
        ("sendrecv", False, Direction.SENDRECV),
        ("sendrecv", True, Direction.SENDONLY),
        ("sendonly", False, Direction.RECVONLY),
        ("sendonly", True, Direction.INACTIVE),
        ("recvonly", False, Direction.SENDONLY),
        ("recvonly", True, Direction.SENDONLY),
        ("inactive", False, Direction.INACTIVE),
    ],
)
def test_answer_goes_no_further_than_the_offer(
    offered: str,
    held: bool,  # noqa: FBT001 - a row of a table
    answered: Direction,
) -> None:
    offer = session().offer().replace(b"a=sendrecv", b"a=" + offered.encode())
    ours = session(on_hold=held)
    assert audio(ours.answer(offer)).direction is answered
    assert ours.remote(offer).may_send is (offered in ("sendrecv", "recvonly"))


def test_version_counts_up_with_every_change_and_only_then() -> None:
    ours = session()
    first, again = ours.offer(), ours.offer()
    ours.on_hold = True
    assert first == again
    assert b"o=- 7 1 IN" in first
    assert b"o=- 7 2 IN" in ours.offer()


def test_media_we_do_not_want_are_refused_in_the_answer() -> None:
    offer = session().offer() + b"m=video 4002 RTP/AVP 34\r\n"
    assert [section.port for section in parse(session().answer(offer))] == [4000, 0]


def test_digits_go_by_the_payload_type_that_the_other_side_has_chosen() -> None:
    theirs = session().offer().replace(b"101", b"96")
    ours = session()
    assert audio(ours.answer(theirs)).formats == ("0", "96")
    assert ours.remote(theirs).event_type == 96


def test_a_side_without_telephone_events_is_keyed_nothing() -> None:
    offer = session().offer().replace(b" 101\r\n", b"\r\n").replace(b"a=rtpmap:101 tele", b"a=x:")
    ours = session()
    assert audio(ours.answer(offer)).formats == ("0",)
    assert ours.remote(offer).event_type is None


def test_a_phone_without_telephone_event_says_so_and_takes_none() -> None:
    ours, theirs = session(has_events=False), session().offer()
    assert audio(ours.offer()).formats == ("0", "8")
    assert audio(ours.answer(theirs)).formats == ("0",)
    assert ours.remote(theirs).event_type is None
