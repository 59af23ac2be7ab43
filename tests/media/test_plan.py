"""What rtpengine is asked, step by step."""

from __future__ import annotations

import json

from edge.media import plan
from edge.media.inert import inert_offer
from edge.media.ng import Verb, encode

SDP = inert_offer().replace(b"127.0.0.1", b"192.0.2.1")


def test_every_exchange_names_both_parties_and_trusts_only_signalled_addresses() -> None:
    commands = [
        *plan.to_queue("k", SDP),
        plan.from_queue("k"),
        plan.offer("k", plan.CALLER, plan.AGENT, SDP),
        plan.answer("k", plan.CALLER, plan.AGENT, SDP),
    ]
    for command in commands:
        assert command.from_tag
        assert command.to_tag
        assert {"strict-source", "port-latching"} <= set(command.flags)


def test_both_sides_of_a_call_see_the_same_session_and_other_calls_another() -> None:
    first, second = plan.to_queue("k", SDP)
    other, _ = plan.to_queue("l", SDP)
    origins = [
        [line for line in command.sdp.splitlines() if line.startswith("o=")]
        for command in (first, second, other)
    ]
    assert origins[0] == origins[1] != origins[2]


def test_description_with_bytes_that_json_cannot_carry_still_gets_through() -> None:
    sdp = SDP.replace(b"s=-", b"s=caf\xe9") + b"a=x:\xff\r\n"
    datagram = encode("c", plan.offer("k", plan.CALLER, plan.AGENT, sdp))
    assert json.loads(datagram.split(b" ", 1)[1])["sdp"].count("m=audio 9") == 1


def test_the_relay_is_told_of_a_hold_and_a_port_without_stray_blanks() -> None:
    odd = SDP.replace(b"m=audio 9 ", b"m=audio  9 ").replace(b"a=sendrecv", b"a=sendonly ")
    for command in (*plan.to_queue("k", odd), plan.offer("k", plan.CALLER, plan.AGENT, odd)):
        lines = command.sdp.splitlines()
        assert [line[:10] for line in lines if line.startswith("m=")] == ["m=audio 9 "]
        assert not [line for line in lines if line.startswith("a=") and line.endswith(" ")]


def test_end_gives_the_ports_back_at_once() -> None:
    for command in (plan.release("k"), plan.drop("k", plan.AGENT)):
        assert command.verb is Verb.DELETE
        assert command.delete_delay_s == 0


def test_a_speaker_who_keys_tones_is_held_back_and_nobody_else_is() -> None:
    told = [
        json.loads(encode("c", plan.hide_digits("k", plan.CALLER, holds_back=on)).split(b" ", 1)[1])
        for on in (True, False)
    ]
    assert [each.get("delay-buffer") for each in told] == [plan.HELD_BACK_MS, None]


def test_a_listener_has_moved_away_before_what_is_held_back_is_let_go() -> None:
    there, back = plan.part("k", plan.CALLER, plan.AGENT, SDP.replace(b"audio 9", b"audio 4000"))
    assert (there.verb, there.from_tag, there.to_tag) == (Verb.OFFER, plan.AGENT, plan.QUEUE)
    assert (back.verb, back.from_tag, back.to_tag) == (Verb.ANSWER, plan.CALLER, plan.AGENT)
    for command in (there, back):
        assert "m=audio 9 " in command.sdp
        assert "strict-source" not in command.flags
