from __future__ import annotations

import json

import pytest

from drills.demo import phones
from drills.demo.reports import End
from drills.demo.scenario import Behaviour, Dialler
from state.keys import call_id_for
from tests.demo import invented

CALL = {
    "event": "call",
    "wall_ms": 5000,
    "phone": "15550200007",
    "role": "caller",
    "sip_call_id": "abc@host",
    "local_tag": "t1",
    "sent_chord": "300-400-500-600",
    "heard": {"700-800-900-1000": 150},
    "invite_ms": 1000,
    "answered_ms": 1020,
    "joined_ms": 3000,
    "ended_ms": 5000,
    "held": 1,
    "how": "hung_up",
    "status": None,
    "reason": "",
    "something_new": {"a": 1},
}


def line(**changes: object) -> phones.Line:
    found = phones.parse(json.dumps(CALL | changes).encode())
    assert found is not None
    return found


def test_a_callers_summary_becomes_a_report() -> None:
    (report,) = phones.caller_reports([line()])
    assert report.number == "15550200007"
    assert report.call == call_id_for("abc@host", "t1")
    assert report.dialler is Dialler.PHONE
    assert (report.invite_ms, report.ok_ms, report.joined_ms) == (1000, 1020, 3000)
    assert report.end is End.HUNG_UP
    assert report.heard == {"700-800-900-1000"}
    assert report.held


def test_a_report_says_how_much_sound_came_after_the_phone_was_put_down() -> None:
    (caller,) = phones.caller_reports([line(packets_received=700, packets_at_goodbye=250)])
    (other,) = phones.caller_reports([line(packets_received=700)])
    assert (caller.packets_after, other.packets_after) == (450, 0)


def test_a_report_says_when_the_phone_was_put_down_and_who_was_heard_last() -> None:
    ends = {"hung_up_ms": 4000, "last_heard_ms": 3900, "crossed": True}
    (caller,) = phones.caller_reports([line(**ends)])
    (agent,) = phones.agent_reports([line(role="agent", **ends)])
    assert (caller.hung_up_ms, caller.last_heard_ms) == (4000, 3900)
    assert (agent.hung_up_ms, agent.last_heard_ms) == (4000, 3900)
    assert caller.crossed
    assert agent.crossed
    # A phone tells it of whom it heard most: of two agents, that may be the one who left.
    (passed_on,) = phones.caller_reports([line(**ends, heard={"1-2-3-4": 9, "5-6-7-8": 5})])
    assert passed_on.last_heard_ms is None


@pytest.mark.parametrize(
    ("hung_up", "gap_s", "last_heard"),
    [(4000, 15.0, 3500), (3400, 15.0, 18_600), (4000, 0.9, 18_600), (18_550, 15.0, 18_600)],
)
def test_what_a_relay_sends_on_that_stood_still_was_not_heard_by_who_had_hung_up(
    hung_up: int, gap_s: float, last_heard: int
) -> None:
    gap = {"longest_gap_s": gap_s, "gap_from_ms": 3500}
    (agent,) = phones.agent_reports(
        [line(role="agent", hung_up_ms=hung_up, last_heard_ms=18_600, **gap)]
    )
    assert agent.last_heard_ms == last_heard


def test_an_agents_telephone_says_when_it_stood_still_itself() -> None:
    (agent,) = phones.agent_reports([line(role="agent", stalls=[[2000, 2150]])])
    assert agent.stalls == ((2000, 2150),)


def test_a_caller_who_hangs_up_because_nothing_comes_says_so() -> None:
    (gives_up,) = phones.caller_reports([line(event="hanging_up", cause="no_media"), line()])
    (impatient,) = phones.caller_reports([line(event="hanging_up", cause="impatient"), line()])
    assert (gives_up.heard_nothing, impatient.heard_nothing) == (True, False)


def test_a_call_without_summary_is_unfinished() -> None:
    (report,) = phones.caller_reports([line(event="invite", invite_ms=0, ended_ms=None)])
    assert (report.end, report.invite_ms, report.ended_ms) == (End.UNFINISHED, 5000, None)


def test_when_they_put_their_agent_on_hold_first_is_told() -> None:
    held = [line(event="held", wall_ms=at_ms) for at_ms in (7_000, 9_000)]
    resumed = line(event="resumed", wall_ms=10_000)
    (report,) = phones.caller_reports([*held, resumed, line(held=2)])
    assert (report.held, report.first_held_ms, report.resumed_ms) == (True, 7_000, 10_000)


def test_when_they_took_a_session_last_before_they_hung_up_is_told() -> None:
    offers = [
        line(event="reinvite", wall_ms=at_ms, accepted=accepted)
        for at_ms, accepted in ((7_000, True), (8_000, False))
    ]
    late = line(event="reinvite", wall_ms=9_000, accepted=True)
    (report,) = phones.caller_reports([*offers, line(event="hanging_up"), late, line()])
    assert report.told_ms == 7_000


def test_the_summary_stands_for_the_events_before_it() -> None:
    (report,) = phones.caller_reports([line(event="invite"), line(), line(event="ended")])
    assert report.end is End.HUNG_UP


def test_agents_and_callers_are_told_apart() -> None:
    agent = line(role="agent", phone="alba", call="f" * 24, hung_up_ms=4000)
    assert phones.caller_reports([agent]) == ()
    (report,) = phones.agent_reports([agent, line()])
    assert (report.agent, report.call) == ("alba", "f" * 24)
    assert report.busy_until_ms == 4000


def test_events_of_the_process_and_noise_are_no_calls() -> None:
    assert phones.parse(b"Traceback (most recent call last):\n") is None
    ready = phones.parse(b'{"event": "ready", "wall_ms": 1, "agents": 5}')
    assert ready is not None
    assert phones.caller_reports([ready]) == ()
    assert phones.agent_reports([ready]) == ()


def test_the_callers_plan_has_every_call_of_our_phone_and_no_other() -> None:
    plan = json.loads(
        phones.callers_plan(invented.SCENARIO, carrier="198.18.10.10:5060", start_mono_s=7.5)
    )
    ours = [call for call in invented.SCENARIO.calls if call.dialler is Dialler.PHONE]
    assert plan["start_mono_s"] == 7.5
    assert [each["number"] for each in plan["callers"]] == [call.number for call in ours]
    for each, call in zip(plan["callers"], ours, strict=True):
        assert each["headers"] == {"X-First-Site": call.first_site}
        assert (each["hold_after_s"] is not None) == (call.behaviour is Behaviour.HOLDS)


def test_the_agents_plan_has_a_sites_agents_with_their_passwords() -> None:
    passwords = {agent.id: f"secret-{agent.id}" for agent in invented.SCENARIO.agents}
    site = invented.SCENARIO.sites[0]
    plan = json.loads(
        phones.agents_plan(
            invented.SCENARIO,
            site,
            registrar="198.18.1.10:5060",
            backups=["198.18.2.10:5060"],
            passwords=passwords,
        )
    )
    homed = [agent.id for agent in invented.SCENARIO.agents if agent.site == site]
    assert [each["id"] for each in plan["agents"]] == homed
    assert plan["agents"][0]["password"] == f"secret-{homed[0]}"
    assert {tuple(each["backups"]) for each in plan["agents"]} == {("198.18.2.10:5060",)}


def test_who_calls_or_hangs_up_waits_for_the_answer() -> None:
    def line(event: str, role: str, sip_call_id: str) -> phones.Line:
        return phones.Line(event=event, role=role, sip_call_id=sip_call_id)

    lines = [line("invite", "caller", "one"), line("invite", "agent", "two")]
    assert phones.unanswered(lines) == {"one"}, "an agent's telephone may ring for long"
    lines += [line("answered", "caller", "one"), line("answered", "agent", "two")]
    assert not phones.unanswered(lines)
    lines += [line("hanging_up", "agent", "two"), line("hanging_up", "caller", "one")]
    assert phones.unanswered(lines) == {"one", "two"}
    lines += [line("call", "caller", "one")]
    assert phones.unanswered(lines) == {"two"}


def test_an_invite_that_was_never_answered_is_no_caller_who_left() -> None:
    """Their site died between its 100 and its 200: nobody else can tell them."""
    given_up = phones.Line(
        event="call", role="caller", sip_call_id="one", how="cancelled", cause="gave_up"
    )
    left = phones.Line(event="call", role="caller", sip_call_id="two", how="cancelled")
    one, two = phones.caller_reports([given_up, left])
    assert (one.end, two.end) == (End.SILENCE, End.CANCELLED)
