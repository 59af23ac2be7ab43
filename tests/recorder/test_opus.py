"""Opus on the recording's time: what was said, where it was said, whatever the network did."""

from __future__ import annotations

import numpy as np
import pytest

from custody import g711
from custody.frame import BLOCK, BLOCKS, SAMPLES, Frame, State
from edge.recorder import inband
from edge.recorder.timeline import CALLER, PATIENCE, Timeline
from tests.recorder.opus_phone import OPUS, Telephone, hertz


def timeline() -> Timeline:
    made = Timeline()
    made.sides[CALLER].speaks_opus(frozenset({OPUS}))
    return made


def put(made: Timeline, packet: bytes, block: int) -> None:
    made.sides[CALLER].take(packet, len(packet), block * BLOCK)


def cut(made: Timeline) -> Frame:
    frame = made.due(made.base + SAMPLES + PATIENCE)
    assert frame is not None
    return frame


def test_opus_is_kept_as_what_was_said_also_as_its_timestamps_go_round() -> None:
    made, phone = timeline(), Telephone()
    for block in range(BLOCKS):
        put(made, phone.opus(block), block)
    frame = cut(made)
    assert frame.states[0] == bytes([State.AUDIO] * BLOCKS)
    assert abs(hertz([frame], 5, 45) - 440) <= 10
    loud = np.abs(g711.decode(frame.left[20 * BLOCK : 40 * BLOCK], 0).astype(int)).max()
    assert 7000 < loud < 11_000
    losses = made.sides[CALLER].losses
    assert (losses.received, losses.lost, losses.foreign) == (BLOCKS, 0, 0)


def test_lost_and_late_packets_leave_the_others_in_their_places() -> None:
    made, phone = timeline(), Telephone()
    packets = [phone.opus(block) for block in range(BLOCKS)]
    order = [block for block in range(BLOCKS) if block not in (10, 11, 30)]
    order[20:26] = reversed(order[20:26])
    for index, block in enumerate(order):
        put(made, packets[block], max(block, index))
    frame = cut(made)
    silent = [number for number, state in enumerate(frame.states[0]) if state == State.SILENT]
    assert silent == [10, 11, 30]
    assert made.sides[CALLER].losses.lost == 3


def test_a_telephone_that_sends_nothing_while_nobody_speaks_keeps_its_time() -> None:
    made, phone = timeline(), Telephone()
    spoken = [*range(10), *range(30, 50)]
    for count, block in enumerate(spoken):
        # DTX (RFC 7587 §3.1.3): numbers go on, timestamps jump.
        packet = bytearray(phone.opus(block))
        packet[2:4] = ((65_530 + count) & 0xFFFF).to_bytes(2)
        put(made, bytes(packet), block)
    heard = [number for number, state in enumerate(cut(made).states[0]) if state]
    assert heard == spoken
    assert made.sides[CALLER].losses.lost == 0


@pytest.mark.parametrize("is_opus_first", [True, False])
def test_a_change_of_codec_in_the_call_costs_nothing(*, is_opus_first: bool) -> None:
    made, phone = timeline(), Telephone()
    for block in range(BLOCKS):
        in_opus = (block < 25) is is_opus_first
        put(made, phone.opus(block) if in_opus else phone.g711(block), block)
    frame = cut(made)
    assert frame.states[0] == bytes([State.AUDIO] * BLOCKS)
    for first, last in ((5, 22), (28, 48)):
        assert abs(hertz([frame], first, last) - 440) <= 25
    assert made.sides[CALLER].losses.lost == 0


def test_another_source_begins_anew() -> None:
    made, one, two = timeline(), Telephone(), Telephone(hertz=1000, ssrc=9, stamp=5)
    for block in range(BLOCKS):
        put(made, (one if block < 25 else two).opus(block), block)
    frame = cut(made)
    assert frame.states[0] == bytes([State.AUDIO] * BLOCKS)
    assert abs(hertz([frame], 3, 23) - 440) <= 25
    assert abs(hertz([frame], 30, 48) - 1000) <= 25


def test_what_is_no_opus_is_counted_and_changes_nothing() -> None:
    made, phone = timeline(), Telephone()
    for block in range(BLOCKS):
        packet = phone.opus(block)
        put(made, packet[:12] + b"\xff" * 3 if block == 20 else packet, block)
    frame = cut(made)
    assert [n for n, state in enumerate(frame.states[0]) if state == State.SILENT] == [20]
    assert made.sides[CALLER].losses.foreign == 1


def test_opus_of_a_party_who_never_offered_it_is_foreign() -> None:
    made, phone = Timeline(), Telephone()
    put(made, phone.opus(0), 0)
    assert made.sides[CALLER].losses.foreign == 1
    assert set(cut(made).states[0]) == {State.SILENT}


@pytest.mark.parametrize("low", [697, 770, 852, 941])
@pytest.mark.parametrize("high", [1209, 1336, 1477, 1633])
def test_digits_keyed_in_opus_are_heard_at_once_and_masked(low: int, high: int) -> None:
    made, phone = timeline(), Telephone()
    heard = []
    for block in range(BLOCKS):
        phone.digit = (low, high) if block in range(20, 24) else None
        put(made, phone.opus(block), block)
        newest = made.sides[CALLER].newest()
        heard.append(newest is not None and inband.begun(newest, 0)[0])
    # Its encoder is some milliseconds behind, so that it takes one block more than in G.711.
    assert heard.index(True) in {21, 22}
    assert not any(heard[26:])
    masked = [number for number, state in enumerate(cut(made).states[0]) if state == State.MASKED]
    assert set(range(20, 25)) <= set(masked) <= set(range(17, 28))


CLOCKS = {110: 48_000, 126: 8000}
"""As telephones name them that speak Opus, and G.711 too."""


@pytest.mark.parametrize("kind", CLOCKS)
@pytest.mark.parametrize("stamp", [0xFFFF_F000, 1_000_000])
def test_digits_that_an_opus_telephone_keys_as_events_are_masked_and_no_more(
    kind: int, stamp: int
) -> None:
    made, phone = timeline(), Telephone(stamp=stamp)
    made.sides[CALLER].event_clocks = CLOCKS
    for block in range(3 * BLOCKS):
        begun = next((each for each in (20, 70, 110) if block in range(each, each + 5)), None)
        said = phone.opus(block)
        put(made, said if begun is None else phone.event(block, begun, kind, CLOCKS[kind]), block)
    states = b"".join(cut(made).states[0] for _ in range(3))
    masked = {number for number, state in enumerate(states) if state == State.MASKED}
    digits = [set(range(begun, begun + 5)) for begun in (20, 70, 110)]
    assert set().union(*digits) <= masked
    assert all(any(abs(each - one) <= 3 for one in set().union(*digits)) for each in masked)
    assert {states[n] for n in range(3 * BLOCKS) if n not in masked} == {State.AUDIO}
    assert (made.sides[CALLER].losses.lost, made.sides[CALLER].losses.foreign) == (0, 0)


def test_a_digit_of_another_clock_than_the_audio_is_masked_where_it_is_keyed() -> None:
    made, phone = Timeline(), Telephone()
    made.sides[CALLER].event_clocks = CLOCKS
    for block in range(BLOCKS):
        is_keyed = block in range(20, 25)
        put(made, phone.event(block, 20, 110, 48_000) if is_keyed else phone.g711(block), block)
    states = cut(made).states[0]
    masked = [number for number, state in enumerate(states) if state == State.MASKED]
    assert set(range(20, 25)) <= set(masked) <= set(range(17, 28))
