"""What the edge understands of session descriptions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.media.edits import asked_offer, at_discard_port, with_events, with_origin, with_ours
from edge.media.errors import MediaError, SdpError
from edge.media.inert import inert_answer, inert_offer
from edge.media.lines import tidy
from edge.media.sdp import Direction, audio, keys_apart, parse, talk


def described(*lines: str, head: str = "c=IN IP4 192.0.2.1") -> bytes:
    parts = ["v=0", "o=bob 7 9 IN IP4 host.example", "s=Bob's phone", head, "t=0 0", *lines]
    return "".join(f"{line}\r\n" for line in parts).encode()


def test_audio_section_is_read_with_its_address_codecs_and_direction() -> None:
    section = audio(described("m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000"))
    assert (section.host, section.port, section.direction) == (
        "192.0.2.1",
        4000,
        Direction.SENDRECV,
    )
    assert section.encodings == {"8": "PCMA/8000", "0": "PCMU/8000", "101": "TELEPHONE-EVENT/8000"}


@pytest.mark.parametrize(
    ("lines", "apart"),
    [
        (("m=audio 4000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000"), True),
        (("m=audio 4000 RTP/AVP 96 101", "a=rtpmap:101 telephone-event/48000"), True),
        (("m=audio 4000 RTP/AVP 8 0",), False),
        (("m=audio 4000 RTP/AVP 8 0", "a=rtpmap:101 telephone-event/8000"), False),
        (("m=video 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), False),
        ((), False),
    ],
    ids=["events", "by Opus's clock", "tones", "not taken", "not of the audio", "no audio"],
)
def test_who_keys_tones_is_told_from_who_keys_events(
    lines: tuple[str, ...], *, apart: bool
) -> None:
    assert keys_apart(described(*lines)) is apart


def test_section_address_and_direction_win_over_those_of_the_session() -> None:
    section = audio(
        described("m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.9", "a=sendonly", head="a=inactive")
    )
    assert (section.host, section.direction) == ("192.0.2.9", Direction.SENDONLY)


@pytest.mark.parametrize(
    ("lines", "held", "quiet"),
    [
        (("a=sendonly",), True, True),
        (("a=inactive",), True, True),
        (("a=sendonly ",), True, True),
        (("a=ptime:20 ", "a=inactive \t"), True, True),
        (("a=recvonly\t",), False, True),
        (("c=IN IP4 0.0.0.0",), True, True),
        (("a=recvonly",), False, True),
        (("a=sendrecv",), False, False),
        ((), False, False),
    ],
)
def test_hold_is_seen_old_style_and_new_and_who_may_say_nothing(
    lines: tuple[str, ...], *, held: bool, quiet: bool
) -> None:
    section = audio(described("m=audio 4000 RTP/AVP 0", *lines))
    assert (section.is_on_hold, section.may_be_silent) == (held, quiet)


@pytest.mark.parametrize(
    "sdp",
    [
        described("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"),
        described("m=audio 4000 RTP/SAVP 0"),
        described("m=audio 0 RTP/AVP 0"),
        described("m=video 4000 RTP/AVP 0"),
        described("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        described("m=audio x RTP/AVP 0"),
        described("m=audio 99999 RTP/AVP 0"),
        described("m=audio"),
        described(),
        b"",
        b"hello",
        b"v=0\r\n\xff\xfe",
        b"v=0\r\n" + b"a=x\r\n" * 10_000,
    ],
    ids=range(13),
)
def test_offer_we_cannot_use_is_an_error_of_its_own(sdp: bytes) -> None:
    with pytest.raises(SdpError):
        audio(sdp)
    with pytest.raises(SdpError):
        inert_answer(sdp)


def test_a_description_in_latin_1_is_read_and_handed_on_as_it_came() -> None:
    """RFC 8866 §6.10: `a=charset` allows other texts than UTF-8; some writers do not even ask."""
    latin = described(
        "m=audio 4000 RTP/AVP 0 101",
        "a=rtpmap:101 telephone-event/8000",
        "a=sendonly",
        head="c=IN IP4 192.0.2.1\r\na=charset:ISO-8859-1",
    ).replace(b"s=Bob's phone", b"s=T\xe9l\xe9phone de B\xf6b")
    assert audio(latin).is_on_hold
    assert audio(inert_answer(latin)).direction is Direction.RECVONLY
    assert audio(at_discard_port(latin)).port == 9
    anew = asked_offer(latin)
    assert audio(anew).direction is Direction.SENDRECV
    mine = described("m=audio 4000 RTP/AVP 0").replace(b"s=Bob", b"s=B\xf6b")
    taking = with_events(mine, latin)
    assert audio(taking).formats == ("0", "101")
    for told, name in ((anew, b"B\xf6b"), (taking, b"B\xf6b's phone")):
        assert name in told


def test_a_name_with_what_a_text_takes_for_the_end_of_a_line_stays_one_line() -> None:
    name = "s=Front\u2028desk\x0b\x85".encode()
    odd = described("m=audio 4000 RTP/AVP 0", "a=sendonly").replace(b"s=Bob's phone", name)
    for told in (asked_offer(odd), asked_offer(asked_offer(odd)), at_discard_port(odd)):
        assert name in told.split(b"\r\n")


@pytest.mark.parametrize(
    "medium",
    ["m=audio  4000 RTP/AVP 0 8", "m= audio 4000\tRTP/AVP 0 8 ", "m=audio 4000 RTP/AVP 0  8"],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_blanks_that_say_nothing_change_nothing(medium: str, end: bytes) -> None:
    odd = described(medium, "a=fmtp:8  x ", "a=sendonly ").replace(b"\r\n", end)
    plain = described("m=audio 4000 RTP/AVP 0 8", "a=fmtp:8  x", "a=sendonly")
    assert parse(odd) == parse(plain)
    for change in (at_discard_port, asked_offer, inert_answer):
        assert change(odd) == change(plain)
    assert tidy(odd) == plain.replace(b"\r\n", end)
    assert tidy(plain) == plain


def test_who_answers_with_one_codec_has_not_unlearnt_the_others() -> None:
    opus = described("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", "a=sendonly")
    before = described("m=audio 4444 RTP/AVP 96 8 101", "a=rtpmap:101 telephone-event/8000")
    section = audio(with_ours(opus, before))
    assert section.formats == ("96", "8")
    assert (section.port, section.direction) == (4000, Direction.SENDONLY)
    assert with_ours(before, opus) == before
    refused = opus.replace(b"audio 4000", b"audio 0")
    assert with_ours(refused, before) == refused


@pytest.mark.parametrize("codec", ["96 opus/48000/2", "9 G722/8000"])
def test_a_talk_is_in_whatever_codec_the_two_agree_upon(codec: str) -> None:
    item, _, _ = codec.partition(" ")
    said = described(f"m=audio 4000 RTP/AVP {item}", f"a=rtpmap:{codec}", "a=inactive")
    assert talk(said).is_on_hold
    assert talk(at_discard_port(said)).port == 9
    like = described("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    assert keys_apart(with_events(said, like))
    for other in (b"m=audio 0 RTP/AVP", b"m=audio 4000 RTP/SAVP", b"m=video 4000 RTP/AVP"):
        with pytest.raises(SdpError):
            talk(said.replace(b"m=audio 4000 RTP/AVP", other))


def test_a_medium_that_is_no_ascii_is_nonsense() -> None:
    with pytest.raises(SdpError):
        parse(described("m=audio 4000 RTP/AVP 0").replace(b"m=audio", b"m=\xe1udio"))


def test_queue_answers_all_our_codecs_by_the_numbers_of_the_offer() -> None:
    offer = described(
        "m=audio 4000 RTP/AVP 96 8 97 101",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:97 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
    )
    section = audio(inert_answer(offer))
    assert section.formats == ("8", "97", "101")
    assert section.port == 9


def test_queue_refuses_the_other_media_and_keeps_their_order() -> None:
    offer = described("m=video 5000 RTP/AVP 34", "m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 8")
    assert [(section.kind, section.port) for section in parse(inert_answer(offer))] == [
        ("video", 0),
        ("audio", 9),
        ("audio", 0),
    ]


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_queue_answers_a_hold_as_rfc_3264_allows(offered: str, answered: str) -> None:
    answer = inert_answer(described("m=audio 4000 RTP/AVP 0", f"a={offered}"))
    assert audio(answer).direction == answered


def test_late_offer_of_the_queue_is_one_we_would_take_ourselves() -> None:
    assert audio(inert_offer()).formats == ("0", "8", "101")


@pytest.mark.parametrize("told", ["sendonly", "recvonly", "inactive"])
@pytest.mark.parametrize("for_all", [True, False])
def test_who_asks_for_an_offer_is_offered_all_that_there_is(told: str, *, for_all: bool) -> None:
    media = ["m=video 0 RTP/AVP 34", "m=audio 4000 RTP/AVP 0", "a=ptime:20"]
    sdp = described(*([f"a={told}", *media] if for_all else [*media, f"a={told}"]))
    offer = asked_offer(sdp)
    assert audio(offer) == replace(audio(sdp), direction=Direction.SENDRECV)
    assert b"o=bob 7 10 " in offer, "it is the next version"
    assert asked_offer(offer) == offer


def test_what_makes_no_sense_is_offered_as_it_is() -> None:
    assert asked_offer(b"nonsense") == b"nonsense"


@pytest.mark.parametrize("cut", [b"\r\n", b"\n", b""])
def test_the_relay_is_given_a_last_line_that_is_ended(cut: bytes) -> None:
    """The last line end before a boundary is the boundary's (RFC 2046 §5.1.1)."""
    sdp = described("m=audio 4000 RTP/AVP 0", "a=ptime:20")
    assert with_origin(sdp.removesuffix(cut), 42) == with_origin(sdp, 42)
    assert with_origin(sdp, 42).endswith(b"a=ptime:20\r\n")


def test_origin_tells_nothing_of_the_writer_and_leaves_the_media_alone() -> None:
    sdp = described("m=audio 4000 RTP/AVP 0", "i=Bob's desk")
    ours = with_origin(sdp, 42)
    assert b"o=everline 42 1 IN IP4 127.0.0.1\r\n" in ours
    assert b"bob" not in ours.lower().split(b"m=", 1)[0]
    assert ours.split(b"m=", 1)[1] == sdp.split(b"m=", 1)[1]


@pytest.mark.parametrize("port", ["9" * 5000, "\u0663", "70000", "", "-1", "4e3"])
def test_a_port_that_is_none_is_refused_as_any_other_nonsense(port: str) -> None:
    with pytest.raises(SdpError):
        audio(described(f"m=audio {port} RTP/AVP 0"))


@given(st.binary(max_size=300))
def test_rubbish_raises_sdp_error_and_nothing_else(rubbish: bytes) -> None:
    for sdp in (rubbish, b"v=0\r\nm=" + rubbish, described("m=audio 1 RTP/AVP 0") + rubbish):
        try:
            inert_answer(with_origin(sdp, 1))
        except MediaError as error:
            assert isinstance(error, SdpError)  # noqa: PT017 - success is as good


EVENTS = "a=rtpmap:101 telephone-event/8000"
WITH_EVENTS = described("m=audio 4000 RTP/AVP 8 101", EVENTS)


@pytest.mark.parametrize(
    "mine",
    [
        described("m=audio 4000 RTP/AVP 0"),
        described("m=audio 4000 RTP/AVP 0", "a=sendonly", "m=video 0 RTP/AVP 31", "a=inactive"),
        described("m=video 0 RTP/AVP 101", "m=audio 4000 RTP/AVP 0"),
    ],
)
def test_events_are_taken_by_the_number_that_the_other_side_has_for_them(mine: bytes) -> None:
    told = with_events(mine, WITH_EVENTS)
    before, after = audio(mine), audio(told)
    assert after.formats == ("0", "101")
    assert (after.host, after.port, after.direction) == (before.host, before.port, before.direction)
    assert keys_apart(told)
    added = set(told.splitlines()) - set(mine.splitlines())
    assert added == {b"m=audio 4000 RTP/AVP 0 101", EVENTS.encode()}


@pytest.mark.parametrize(
    ("codec", "formats"),
    [("96 opus/48000/2", ("96", "110")), ("0 PCMU/8000", ("0", "126"))],
)
def test_events_are_taken_by_the_clock_of_what_is_spoken(
    codec: str, formats: tuple[str, ...]
) -> None:
    like = described(
        "m=audio 4000 RTP/AVP 96 0 110 126",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
    )
    mine = described(f"m=audio 4000 RTP/AVP {codec.partition(' ')[0]}", f"a=rtpmap:{codec}")
    told = with_events(mine, like)
    assert talk(told).formats == formats
    assert keys_apart(told)
    assert with_events(told, like) == told


@pytest.mark.parametrize(
    ("mine", "like"),
    [
        (WITH_EVENTS, WITH_EVENTS),
        (described("m=audio 4000 RTP/AVP 0"), described("m=audio 4000 RTP/AVP 0")),
        (described("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 GSM/8000"), WITH_EVENTS),
        (described("m=audio 4000 RTP/AVP 0"), b""),
        (b"", WITH_EVENTS),
    ],
)
def test_who_has_events_or_can_have_none_stays_as_they_are(mine: bytes, like: bytes) -> None:
    assert with_events(mine, like) == mine
