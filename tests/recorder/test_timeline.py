"""Packets on the recording's time: what was sent is where it was sent, whatever the network did."""

from __future__ import annotations

import random
import struct

import pytest

from custody import g711
from custody.frame import BLOCK, BLOCKS, SAMPLES, Frame, State
from edge.recorder.channel import Channel
from edge.recorder.marks import Mark
from edge.recorder.timeline import AGENT, CALLER, PATIENCE, Timeline

ZERO = 4_294_967_000
"""Where timestamps begin in most tests: they soon go round."""


def rtp(
    number: int, payload: bytes, *, kind: int = 0, ssrc: int = 7, stamp: int | None = None
) -> bytes:
    time = ZERO + number * BLOCK if stamp is None else stamp
    head = struct.pack("!BBHII", 0x80, kind, (65_530 + number) & 0xFFFF, time & 0xFFFFFFFF, ssrc)
    return head + payload


def block(number: int) -> bytes:
    return bytes([number % 250]) * BLOCK


def play(channel: Channel, numbers: list[int], *, first: int = 0) -> None:
    """Let the packets of `numbers` arrive in this order, one every 20 ms."""
    for index, number in enumerate(numbers):
        packet = rtp(number, block(number))
        channel.take(packet, len(packet), (first + index) * BLOCK)


def blocks(frame: Frame, side: int = CALLER) -> list[bytes]:
    heard = frame.right if side else frame.left
    return [heard[start : start + BLOCK] for start in range(0, len(heard), BLOCK)]


def cut(timeline: Timeline) -> Frame:
    frame = timeline.due(timeline.base + SAMPLES + PATIENCE)
    assert frame is not None
    return frame


def test_a_second_is_handed_out_once_it_is_over_and_a_little_more() -> None:
    timeline = Timeline()
    play(timeline.sides[CALLER], list(range(BLOCKS)))
    assert timeline.due(SAMPLES + PATIENCE - 1) is None
    frame = timeline.due(SAMPLES + PATIENCE)
    assert frame is not None
    assert blocks(frame) == [block(number) for number in range(BLOCKS)]
    assert frame.states == (bytes([State.AUDIO] * BLOCKS), bytes(BLOCKS))
    assert timeline.due(SAMPLES + PATIENCE) is None


@pytest.mark.parametrize("seed", range(5))
def test_packets_out_of_order_are_put_in_order(seed: int) -> None:
    timeline, numbers = Timeline(), list(range(BLOCKS))
    rng = random.Random(seed)  # noqa: S311 - a shuffle
    for start in range(1, BLOCKS - 6, 6):
        some = numbers[start : start + 6]
        rng.shuffle(some)
        numbers[start : start + 6] = some
    play(timeline.sides[CALLER], numbers)
    assert blocks(cut(timeline)) == [block(number) for number in range(BLOCKS)]
    assert timeline.sides[CALLER].losses.lost == 0


def test_what_is_lost_is_silence_in_its_place_and_counted() -> None:
    timeline = Timeline()
    kept = [number for number in range(BLOCKS) if number not in (10, 11, 30)]
    for number in kept:
        packet = rtp(number, block(number))
        timeline.sides[CALLER].take(packet, len(packet), number * BLOCK)
    frame = cut(timeline)
    for number, heard in enumerate(blocks(frame)):
        assert heard == (block(number) if number in kept else b"\xff" * BLOCK)
    assert [i for i, state in enumerate(frame.states[0]) if state == State.SILENT] == [10, 11, 30]
    assert timeline.sides[CALLER].losses.lost == 3


def test_time_in_which_nothing_is_sent_stays_as_long_as_it_was() -> None:
    timeline = Timeline()
    for number in [*range(5), *range(30, 50)]:
        packet = rtp(0, block(number), stamp=ZERO + number * BLOCK)
        timeline.sides[CALLER].take(packet, len(packet), number * BLOCK)
    heard = [number for number, state in enumerate(cut(timeline).states[0]) if state]
    assert heard == [*range(5), *range(30, 50)]


def test_another_source_begins_where_it_arrives() -> None:
    timeline = Timeline()
    play(timeline.sides[CALLER], list(range(10)))
    for number in range(10, 20):
        packet = rtp(number, block(number), ssrc=8, stamp=12_345 + number * BLOCK)
        timeline.sides[CALLER].take(packet, len(packet), number * BLOCK)
    assert blocks(cut(timeline))[:20] == [block(number) for number in range(20)]
    assert timeline.sides[CALLER].losses.lost == 0


@pytest.mark.parametrize("jump", [3_000_000, -3_000_000, 2_000_000_000])
def test_a_timestamp_that_jumps_costs_a_fraction_of_a_second(jump: int) -> None:
    timeline = Timeline()
    play(timeline.sides[CALLER], list(range(10)))
    for number in range(10, 40):
        packet = rtp(number, block(number), stamp=ZERO + jump + number * BLOCK)
        timeline.sides[CALLER].take(packet, len(packet), number * BLOCK)
    states = cut(timeline).states[0]
    assert sum(states[20:40]) == 20


def test_a_change_of_law_is_heard_as_the_same_sound() -> None:
    timeline = Timeline()
    loud = g711.decode(bytes(range(160)), 0)
    for number, kind in enumerate((0, 8, 0)):
        packet = rtp(number, g711.encode(loud, kind), kind=kind)
        timeline.sides[AGENT].take(packet, len(packet), number * BLOCK)
    frame = cut(timeline)
    first, second, third = (g711.decode(each, 0).astype(int) for each in blocks(frame, AGENT)[:3])
    assert (first == third).all()
    assert abs(first - second).max() <= max(abs(first)) * 0.04


def test_a_party_in_a_law_is_silent_in_a_law() -> None:
    timeline = Timeline()
    packet = rtp(0, b"\x01" * BLOCK, kind=8)
    timeline.sides[CALLER].take(packet, len(packet), 0)
    frame = cut(timeline)
    assert frame.codecs == (8, 0)
    assert blocks(frame)[1] == b"\xd5" * BLOCK


def test_headers_with_everything_that_rtp_allows_are_read() -> None:
    timeline = Timeline()
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0, 1, 50, 7)
    extension = struct.pack("!HH", 1, 1) + bytes(4)
    packet = head + bytes(8) + extension + block(3) + b"\0\0\0\x04"
    timeline.sides[CALLER].take(packet, len(packet), 0)
    assert blocks(cut(timeline))[0] == block(3)


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"\x80" * 11, b"\x00" * 172, rtp(0, b""), b"\x9f" + rtp(0, block(1))[1:20], bytes(4000)],
)
def test_rubbish_changes_nothing(rubbish: bytes) -> None:
    timeline = Timeline()
    play(timeline.sides[CALLER], [0, 1])
    timeline.sides[CALLER].take(rubbish, len(rubbish), 2 * BLOCK)
    play(timeline.sides[CALLER], [2, 3], first=2)
    assert blocks(cut(timeline))[:4] == [block(number) for number in range(4)]


def test_nothing_of_a_pause_is_handed_out() -> None:
    timeline = Timeline()
    play(timeline.sides[CALLER], list(range(20)))
    timeline.pause(20 * BLOCK, "agent")
    assert timeline.is_paused
    play(timeline.sides[CALLER], list(range(20, 70)), first=20)
    timeline.resume(70 * BLOCK)
    play(timeline.sides[CALLER], list(range(70, 100)), first=70)
    both = blocks(cut(timeline)) + blocks(cut(timeline))
    for number, heard in enumerate(both):
        assert heard == (b"\xff" * BLOCK if 19 <= number < 70 else block(number))
    assert timeline.marks.pauses == [Mark(start=19 * BLOCK, end=70 * BLOCK, what="agent")]


def test_keyed_digits_are_marked_and_their_tone_is_not_kept() -> None:
    timeline = Timeline()
    channel = timeline.sides[CALLER]
    channel.event_clocks = {101: 8000}
    play(channel, list(range(20)))
    for number in range(20, 25):
        event = struct.pack("!BBH", 5, 10, (number - 19) * BLOCK)
        packet = rtp(number, event, kind=101, stamp=ZERO + 20 * BLOCK)
        channel.take(packet, len(packet), number * BLOCK)
    play(channel, list(range(25, 50)), first=25)
    frame = cut(timeline)
    masked = [number for number, state in enumerate(frame.states[0]) if state == State.MASKED]
    assert masked == list(range(18, 27))
    assert all(blocks(frame)[number] == b"\xff" * BLOCK for number in masked)
    assert channel.losses.foreign == 0


def test_a_digit_that_is_keyed_as_timestamps_go_round_is_masked() -> None:
    timeline = Timeline()
    channel = timeline.sides[CALLER]
    channel.event_clocks = {101: 8000}
    play(channel, [0, 1])
    for number in range(2, 7):
        event = struct.pack("!BBH", 5, 10, (number - 1) * BLOCK)
        packet = rtp(number, event, kind=101, stamp=ZERO + 2 * BLOCK)
        channel.take(packet, len(packet), number * BLOCK)
    play(channel, list(range(7, 50)), first=7)
    states = cut(timeline).states[0]
    assert [n for n, state in enumerate(states) if state == State.MASKED] == list(range(9))


def test_digits_that_the_relay_keeps_to_itself_are_marked_and_are_no_loss() -> None:
    timeline = Timeline()
    channel = timeline.sides[CALLER]
    play(channel, list(range(20)))
    # Ten packets of an event never come; the relay says that it was over when it was.
    channel.key(30 * BLOCK, 10 * BLOCK)
    play(channel, list(range(30, 40)), first=30)
    play(channel, list(range(42, 50)), first=42)
    frame = cut(timeline)
    masked = [number for number, state in enumerate(frame.states[0]) if state == State.MASKED]
    assert masked == list(range(18, 32))
    assert channel.losses.lost == 2


def test_what_an_agent_sends_who_holds_the_caller_is_not_kept_and_the_caller_is() -> None:
    timeline = Timeline()
    for side in timeline.sides:
        play(side, list(range(100)))
    timeline.hold(20 * BLOCK, on=True)
    timeline.hold(70 * BLOCK, on=False)
    frames = [cut(timeline), cut(timeline)]
    states = frames[0].states[AGENT] + frames[1].states[AGENT]
    held = [number for number, state in enumerate(states) if state == State.HELD]
    assert held == list(range(20, 70))
    agent = blocks(frames[0], AGENT) + blocks(frames[1], AGENT)
    assert all(agent[number] == b"\xff" * BLOCK for number in held)
    assert set(frames[0].states[CALLER] + frames[1].states[CALLER]) == {State.AUDIO}


def test_two_who_pause_have_both_to_be_done() -> None:
    timeline = Timeline()
    timeline.pause(SAMPLES, "agent")
    timeline.pause(SAMPLES, "no_agent")
    timeline.resume(2 * SAMPLES, "agent")
    assert timeline.is_paused
    timeline.resume(2 * SAMPLES, "no_agent")
    assert not timeline.is_paused


def test_the_end_is_what_has_been_until_now() -> None:
    timeline = Timeline()
    play(timeline.sides[AGENT], list(range(30)))
    rest = timeline.rest(30 * BLOCK + 7)
    assert (rest.blocks, rest.start) == (30, 0)
    assert timeline.rest(30 * BLOCK + 7).blocks == 0


def test_a_later_life_begins_where_it_is_told() -> None:
    timeline = Timeline(100_007)
    assert timeline.start == 100_000
    packet = rtp(0, block(9))
    timeline.sides[CALLER].take(packet, len(packet), 100_300)
    frame = cut(timeline)
    assert frame.start == 100_000
    assert blocks(frame)[1] == block(9)


def spoken(timeline: Timeline, side: int, number: int, *, late: int = 0) -> None:
    """Let what was said in one block come in time, or so many blocks later."""
    packet = rtp(number, block(number))
    timeline.sides[side].take(packet, len(packet), (number + late) * BLOCK)


def kept_of(timeline: Timeline, side: int, until: int) -> set[int]:
    """Return which of the blocks that were said leave the timeline, once that is over."""
    found: set[int] = set()
    while (frame := timeline.due(until * BLOCK)) is not None:
        found |= {each[0] for each in blocks(frame, side) if len(set(each)) == 1}
    return found - {0xFF}


@pytest.mark.parametrize("side", [CALLER, AGENT])
def test_what_comes_in_a_pause_is_not_kept_though_its_packets_come_later_than_the_first(
    side: int,
) -> None:
    timeline = Timeline()
    for number in range(30):
        spoken(timeline, side, number)
    timeline.pause(40 * BLOCK, "agent")  # and by now the network is 200 ms slower
    for number in range(30, 100):
        spoken(timeline, side, number, late=10)
    assert kept_of(timeline, side, 180) == set(range(30)), "nothing that came in the pause"


@pytest.mark.parametrize("side", [CALLER, AGENT])
def test_what_came_in_a_pause_is_not_kept_though_its_packets_come_sooner_than_the_first(
    side: int,
) -> None:
    timeline = Timeline()
    spoken(timeline, side, 0, late=20)  # the first was held up for 400 ms, and no other
    for number in range(1, 50):
        spoken(timeline, side, number)
    timeline.pause(50 * BLOCK, "agent")
    for number in range(50, 100):
        spoken(timeline, side, number)
    timeline.resume(100 * BLOCK)
    for number in range(100, 150):
        spoken(timeline, side, number)
    kept = kept_of(timeline, side, 230)
    assert not kept & set(range(50, 100))
    assert set(range(100, 150)) <= kept


def test_what_an_agent_sends_in_a_hold_is_not_kept_however_late_it_comes() -> None:
    timeline = Timeline()
    for number in range(30):
        spoken(timeline, AGENT, number)
    timeline.hold(40 * BLOCK, on=True)
    for number in range(30, 100):
        spoken(timeline, AGENT, number, late=10)
    assert kept_of(timeline, AGENT, 180) == set(range(30))
