"""When what was back by the packets, against what telephones say of it."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from drills.agent_lines import AgentLines, SignIn
from drills.demo.hearing import Recorded
from drills.demo.scenario import Dialler
from drills.figures import figures
from drills.seen import Seen
from drills.wire_recovery import fell_silent_ns
from tests.demo.invented import DEAD, KILL_MS
from tests.drills.good_run import ADDRESSES, KILL_SITE, seen

VOICE, MUSIC = 77, 5
NS_IN_MS = 1_000_000


def first_heard(whole: Seen) -> tuple[str, int]:
    """Return which caller of the dead site heard an agent first, and when, by their telephone."""
    heard = [
        (row.caller.joined_ms, row.caller.sip_call_id)
        for row in whole.ledger.placed
        if row.caller
        and row.caller.joined_ms
        and row.caller.invite_ms >= KILL_MS
        and row.planned.first_site == DEAD
        and row.planned.dialler is Dialler.PHONE
    ]
    at_ms, call = min(heard)
    return call, at_ms


def captured(late_ms: float = 0.0, *, voice: int = VOICE) -> Seen:
    """Return a run whose packets tell of the first agent's voice `late_ms` after the telephone."""
    whole = seen()
    call, at_ms = first_heard(whole)
    calls = tuple(
        replace(each, audio_port=4000 if each.sip_call_id == call else None)
        for each in whole.wire.calls
    )
    voices = {4000: {MUSIC: (at_ms - 2_000) * NS_IN_MS, voice: round((at_ms + late_ms) * NS_IN_MS)}}
    return replace(
        whole,
        wire=replace(whole.wire, calls=calls, voices_ns=voices),
        lines=AgentLines(voices=frozenset({VOICE})),
    )


def test_an_agent_is_heard_with_the_first_packet_of_their_own_voice() -> None:
    found = figures(captured(30.0))
    assert found["media_error_ms"] == pytest.approx(30.0, abs=0.01)
    assert found["media_capture_s"] == pytest.approx((found["media_rto_s"] or 0.0) + 0.03)
    assert figures(captured(voice=6))["media_error_ms"] is None, "that was no agent's"
    assert figures(replace(captured(), lines=None))["media_error_ms"] is None


def test_a_talk_that_is_recorded_began_with_its_agents_first_packet() -> None:
    whole = captured(20.0)
    call, _ = first_heard(whole)
    talk = next(
        each.caller.call
        for each in whole.ledger.placed
        if each.caller and each.caller.sip_call_id == call
    )
    recorded = (Recorded(call=talk, seconds=5.0, missing_s=0.0, is_complete=True),)
    assert figures(replace(whole, recorded=recorded))["recording_error_ms"] == pytest.approx(
        20.0, abs=0.01
    )
    assert figures(replace(whole, recorded=()))["recording_error_ms"] is None


def test_a_telephone_is_registered_again_with_the_registrars_answer() -> None:
    told = ((KILL_MS + 3_000, "alba", False), (KILL_MS + 6_000, "alba", True))
    sign_ins = tuple(
        SignIn(at_ns=(at_ms - 5) * NS_IN_MS, agent=agent, is_registered=is_registered)
        for at_ms, agent, is_registered in told
    )
    whole = replace(captured(), sign_ins=told)
    found = figures(replace(whole, lines=AgentLines(sign_ins=sign_ins)))
    assert (found["sign_in_rto_s"], found["sign_in_capture_s"]) == (6.0, 5.995)
    assert found["sign_in_error_ms"] == pytest.approx(5.0, abs=0.01)
    never = figures(replace(whole, lines=AgentLines(sign_ins=sign_ins[:1])))
    assert never["sign_in_error_ms"] == math.inf, "one says that it never came back"


def test_a_site_was_dead_from_its_last_packet_on() -> None:
    ten_s = [each * 20 * NS_IN_MS for each in range(500)]
    assert fell_silent_ns(ten_s, 9_970 * NS_IN_MS) == 9_980 * NS_IN_MS
    gone_ms = [each for each in ten_s if not 5_000 * NS_IN_MS < each < 8_000 * NS_IN_MS]
    assert fell_silent_ns(gone_ms, 4_960 * NS_IN_MS) == 5_000 * NS_IN_MS
    assert fell_silent_ns(ten_s, 5_000 * NS_IN_MS) is None, "it went on"
    assert fell_silent_ns((), 0) is None


@pytest.mark.parametrize(("before_ms", "error_ms"), [(40, 40.0), (0, 0.0), (700, 700.0)])
def test_when_a_fault_began_is_told_by_the_packets_too(before_ms: int, error_ms: float) -> None:
    whole = seen()
    sent = {**whole.wire.sent_ns, ADDRESSES[DEAD]: [(KILL_MS - before_ms) * NS_IN_MS]}
    one = replace(whole, wire=replace(whole.wire, sent_ns=sent))
    assert figures(one)["rto_error_ms"] == pytest.approx(error_ms, abs=0.01)


def test_a_site_that_takes_seconds_to_be_killed_fell_silent_within_these() -> None:
    whole = seen()
    (kill,) = whole.course.made
    slow = replace(whole.course, made=(replace(kill, done_ms=KILL_MS + 2_000),))
    lives = [at_ms * NS_IN_MS for at_ms in range(KILL_MS - 1_000, KILL_MS + 1_501, 20)]
    sent = {**whole.wire.sent_ns, ADDRESSES[DEAD]: lives}
    lines = AgentLines(
        sign_ins=tuple(
            SignIn(at_ns=(KILL_MS + at_ms) * NS_IN_MS, agent="alba", is_registered=at_ms > 3_000)
            for at_ms in (3_000, 6_000)
        )
    )
    one = replace(whole, wire=replace(whole.wire, sent_ns=sent), lines=lines, course=slow)
    found = figures(one)
    assert found["rto_capture_s"] is not None
    assert found["sign_in_capture_s"] == pytest.approx(4.5)


def test_of_a_site_that_sends_on_no_recovery_is_borne_out() -> None:
    whole = seen(KILL_SITE)
    lives = [at_ms * NS_IN_MS for at_ms in range(KILL_MS - 1_000, KILL_MS + 9_000, 20)]
    sent = {**whole.wire.sent_ns, ADDRESSES[DEAD]: lives}
    found = figures(replace(whole, wire=replace(whole.wire, sent_ns=sent)))
    assert (found["rto_capture_s"], found["rto_error_ms"]) == (None, None)
