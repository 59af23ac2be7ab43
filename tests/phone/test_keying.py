"""Keyed digits as packets: RFC 4733, its example in section 5 for what stays and grows; Q.23."""

from __future__ import annotations

import pytest

from custody import g711
from edge.phone import tones
from edge.phone.keying import TONE_PACKETS, packets_of, tones_of
from edge.recorder import inband


def test_every_packet_of_a_key_names_its_event_and_how_long_it_has_lasted() -> None:
    packets = list(packets_of("#", 101))
    assert {packet.payload[0] for packet in packets} == {11}
    lasted = [int.from_bytes(packet.payload[2:]) for packet in packets]
    assert lasted == [160, 320, 480, 640, 800, 800, 800, 800]


def test_only_the_first_packet_of_a_key_bears_the_marker() -> None:
    kinds = [packet.kind for packet in packets_of("12", 101)]
    assert kinds == ([0x80 | 101] + [101] * 7) * 2


def test_the_end_is_sent_three_times_and_nothing_before_it_is_one() -> None:
    ends = [bool(packet.payload[1] & 0x80) for packet in packets_of("5", 101)]
    assert ends == [False] * 5 + [True] * 3


def test_all_packets_of_a_key_bear_the_instant_at_which_it_was_pressed() -> None:
    ages = [packet.age_samples for packet in packets_of("9", 101)]
    assert ages == [160 * number for number in range(8)]


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="substring"):
        list(packets_of("x", 101))


@pytest.mark.parametrize("law", [0, 8])
def test_each_key_of_a_telephone_without_events_is_a_digit_between_two_of_its_voice(
    law: int,
) -> None:
    voice = g711.encode(tones.samples(tones.chord_for("them")), law)
    packets = list(tones_of("0123456789*#ABCD", law, voice))
    assert {(packet.kind, packet.age_samples) for packet in packets} == {(law, 0)}
    found = inband.digits(b"".join(packet.payload for packet in packets), law).tolist()
    assert found == ([True] * TONE_PACKETS + [False] * TONE_PACKETS) * 16
