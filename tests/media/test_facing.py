"""The answer of a party whom nobody asks."""

from __future__ import annotations

import pytest

from edge.media.errors import SdpError
from edge.media.facing import standing_answer
from edge.media.sdp import Direction, audio, parse
from edge.phone.session import MediaSession

LAST = MediaSession(host="192.0.2.1", port=4000, session_id=7).offer()
OFFER = MediaSession(host="192.0.2.2", port=5000, session_id=8).offer()


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendrecv", Direction.SENDRECV),
        ("sendonly", Direction.RECVONLY),
        ("recvonly", Direction.SENDONLY),
        ("inactive", Direction.INACTIVE),
    ],
)
def test_direction_faces_the_offer_and_the_rest_stands(offered: str, answered: Direction) -> None:
    answer = standing_answer(LAST, OFFER.replace(b"sendrecv", offered.encode()))
    section = audio(answer)
    assert section.direction is answered
    assert (section.host, section.port, section.formats) == ("192.0.2.1", 4000, ("0", "8", "101"))


def test_hold_is_answered_on_the_audio_of_a_party_with_video_too() -> None:
    last = LAST + b"m=video 0 RTP/AVP 34\r\n"
    answer = standing_answer(last, OFFER.replace(b"sendrecv", b"sendonly"))
    assert audio(answer).direction is Direction.RECVONLY
    assert [section.kind for section in parse(answer)] == ["audio"], "as many as were offered"


VIDEO = b"m=video 6000 RTP/AVP 34\r\n"


@pytest.mark.parametrize(
    ("last", "offer", "answered"),
    [
        (LAST, OFFER + VIDEO, [("audio", 4000), ("video", 0)]),
        (LAST, OFFER + b"m=audio 0 RTP/AVP 0\r\n", [("audio", 4000), ("audio", 0)]),
        (LAST + VIDEO, OFFER + VIDEO, [("audio", 4000), ("video", 6000)]),
        (LAST + VIDEO, OFFER + b"m=video 0 RTP/AVP 34\r\n", [("audio", 4000), ("video", 0)]),
        (
            LAST.replace(b"m=", b"m=video 0 RTP/AVP 34\r\nm=", 1),
            OFFER.replace(b"m=", VIDEO + b"m=", 1),
            [("video", 0), ("audio", 4000)],
        ),
        (
            LAST,
            OFFER.replace(b"m=", VIDEO + b"m=", 1),
            [("video", 0), ("audio", 4000)],
        ),
    ],
    ids=["video added", "audio refused", "video goes on", "video ends", "in order", "moved"],
)
def test_the_answer_has_the_media_of_the_offer_in_their_order(
    last: bytes, offer: bytes, answered: list[tuple[str, int]]
) -> None:
    answer = standing_answer(last, offer)
    assert [(section.kind, section.port) for section in parse(answer)] == answered


def test_who_had_offered_the_audio_encrypted_too_answers_with_what_they_talk_on() -> None:
    """Of two media, as optional SRTP has them; the one that we refused is not to come back."""
    encrypted = b"m=audio 4002 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
    last = LAST.replace(b"m=", encrypted + b"m=", 1)
    for offer, ports in (
        (OFFER, [4000]),
        (OFFER.replace(b"m=", encrypted + b"m=", 1), [0, 4000]),
        (OFFER + encrypted, [4000, 0]),
    ):
        answer = parse(standing_answer(last, offer.replace(b"sendrecv", b"sendonly")))
        assert [each.port for each in answer] == ports
        assert [each.profile for each in answer] == [each.profile for each in parse(offer)]


def test_a_party_without_audio_answers_nothing() -> None:
    with pytest.raises(SdpError):
        standing_answer(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n", OFFER)


OPUS = b"v=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 5000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"


def test_an_offer_in_opus_alone_is_answered_by_who_speaks_it() -> None:
    last = LAST.replace(b"RTP/AVP 0", b"RTP/AVP 96 0") + b"a=rtpmap:96 opus/48000/2\r\n"
    answer = standing_answer(last, OPUS + b"a=sendonly\r\n")
    assert audio(answer).direction is Direction.RECVONLY
    with pytest.raises(SdpError):
        standing_answer(LAST, OPUS)


def test_events_are_nothing_to_talk_in() -> None:
    events = b" 110\r\na=rtpmap:110 telephone-event/48000\r\n"
    last = LAST.replace(b" 101\r\n", b" 101" + events, 1)
    with pytest.raises(SdpError):
        standing_answer(last, OPUS.replace(b" 96\r\n", b" 96" + events, 1))


def test_offer_that_we_cannot_use_is_refused() -> None:
    with pytest.raises(SdpError):
        standing_answer(LAST, b"v=0\r\nm=audio 4000 RTP/SAVP 0\r\n")
