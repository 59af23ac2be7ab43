"""Session descriptions of every kind: what is made of them answers them, and nothing breaks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media import plan
from edge.media.copies import copied, listening_answer
from edge.media.edits import asked_offer, at_discard_port, open_to_all, with_events, with_ours
from edge.media.errors import SdpError
from edge.media.facing import standing_answer
from edge.media.inert import NOWHERE_PORT, inert_answer
from edge.media.pinned import is_served
from edge.media.sdp import AUDIO, FACING, Direction, first_spoken, first_usable, parse, talk

T = TypeVar("T")
STATIC = ("0 PCMU/8000", "8 PCMA/8000", "9 G722/8000", "18 G729/8000")
DYNAMIC = (
    "opus/48000/2",
    "telephone-event/8000",
    "telephone-event/48000",
    "PCMU/8000",
    "PCMA/8000/1",
    "iLBC/8000",
)
ATTRIBUTES = (
    "a=ptime:30",
    "a=rtcp-mux",
    "a=rtcp:4001 IN IP4 192.0.2.9",
    "a=candidate:1 1 UDP 1 10.0.0.1 4000 typ host",
    "a=fingerprint:sha-256 AA",
    "a=setup:actpass",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
    "a=mid:0",
    "b=AS:64",
    "i=info",
    "c=IN IP4 0.0.0.0",
    "c=IN IP6 2001:db8::1",
    "c=IN IP4 192.0.2.3/127",
)
HEADS = ("a=group:BUNDLE 0 1", "a=sendonly", "a=inactive", "a=ice-lite", "b=AS:1")
directions = st.sampled_from(["", *(f"a={each}" for each in Direction)])


@st.composite
def media(draw: st.DrawFn) -> list[str]:
    """Return the lines of one medium."""
    named = draw(st.lists(st.sampled_from(STATIC), max_size=3, unique=True))
    types = draw(st.lists(st.integers(96, 127), max_size=3, unique=True))
    named += [f"{each} {draw(st.sampled_from(DYNAMIC))}" for each in types]
    named = draw(st.permutations(named or [STATIC[0]]))
    lines = [f"a=rtpmap:{each}" for each in named]
    lines += draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=4))
    kind = draw(st.sampled_from(["audio", "audio", "audio", "video", "image"]))
    port = draw(st.sampled_from([0, 9, 4000, 4002]))
    profile = draw(st.sampled_from(["RTP/AVP", "RTP/AVP", "RTP/AVPF", "RTP/SAVP"]))
    formats = " ".join(each.partition(" ")[0] for each in named)
    return [f"m={kind} {port} {profile} {formats}", *lines, draw(directions)]


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    """Return a whole one."""
    lines = ["v=0", "o=bob 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
    lines += draw(st.lists(st.sampled_from(HEADS), max_size=2))
    for medium in draw(st.lists(media(), min_size=1, max_size=3)):
        lines += medium
    end = draw(st.sampled_from(["\r\n", "\n"]))
    return "".join(f"{line}{end}" for line in lines if line).encode()


def made_of(make: Callable[[], T]) -> T | None:
    """Return it, or None where there is nothing to talk on."""
    with suppress(SdpError):
        return make()
    return None


@given(offer=descriptions())
@settings(deadline=None)
def test_a_queue_answers_what_it_was_offered_and_one_audio_of_it(offer: bytes) -> None:
    answer = made_of(lambda: inert_answer(offer))
    if answer is None:
        return
    theirs, ours = parse(offer), parse(answer)
    chosen = first_usable(theirs)
    assert [(each.kind, each.profile) for each in ours] == [
        (each.kind, each.profile) for each in theirs
    ]
    assert [each.port for each in ours] == [
        NOWHERE_PORT if number == chosen else 0 for number in range(len(theirs))
    ]
    mine, asked = ours[chosen], theirs[chosen]
    assert all(mine.encodings[each].upper() == asked.encodings[each] for each in mine.formats)
    assert any(mine.encodings[each] in AUDIO for each in mine.formats)
    assert mine.direction is FACING[asked.direction]


@given(last=descriptions(), offer=descriptions())
@settings(deadline=None)
def test_who_is_not_asked_answers_with_what_they_talk_on(last: bytes, offer: bytes) -> None:
    answer = made_of(lambda: standing_answer(last, offer))
    if answer is None:
        return
    theirs, ours = parse(offer), parse(answer)
    chosen, spoken = first_spoken(theirs), talk(last)
    assert [each.kind for each in ours] == [each.kind for each in theirs]
    told = ours[chosen]
    assert (told.port, told.formats, told.host) == (spoken.port, spoken.formats, spoken.host)
    for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
        if other.port:
            assert one.port
            assert other.direction is FACING[one.direction]
            assert number == chosen or one.profile == other.profile
            assert other.is_spoken or other.kind != "audio"


@given(said=descriptions(), like=descriptions())
@settings(deadline=None)
def test_what_is_changed_is_what_was_meant_and_nothing_else(said: bytes, like: bytes) -> None:
    before = made_of(lambda: talk(said))
    if before is None:
        assert said == open_to_all(said) == with_events(said, like) == with_ours(said, like)
        return
    away, opened = talk(at_discard_port(said)), talk(open_to_all(said))
    assert (away.port, away.formats, away.direction) == (9, before.formats, before.direction)
    assert (opened.port, opened.formats) == (before.port, before.formats)
    assert opened.direction is Direction.SENDRECV
    for change in (with_events, with_ours):
        changed = change(said, like)
        after = talk(changed)
        assert change(changed, like) == changed
        assert after.formats[: len(before.formats)] == before.formats
        assert (after.host, after.port, after.direction) == (
            before.host,
            before.port,
            before.direction,
        )
    copy = parse(listening_answer(said, "127.0.0.1", 7))
    assert [each.formats for each in copy] == [copied(said).formats]


@given(sound=descriptions(), data=st.data())
@settings(deadline=None)
def test_of_a_torn_description_nothing_comes_but_that_it_is_one(
    sound: bytes, data: st.DataObject
) -> None:
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(sound))] * 2)))
    torn = sound[:first] + data.draw(st.binary(max_size=6)) + sound[last:]
    for each in (
        lambda: inert_answer(torn),
        lambda: at_discard_port(torn),
        lambda: listening_answer(torn, "127.0.0.1", 7),
        lambda: standing_answer(torn, sound),
        lambda: standing_answer(sound, torn),
    ):
        made_of(each)
    for told in (with_events(torn, sound), with_ours(sound, torn), asked_offer(torn)):
        assert plan.offer("c", plan.CALLER, plan.AGENT, told).sdp
    assert not is_served(b"", torn, torn)
