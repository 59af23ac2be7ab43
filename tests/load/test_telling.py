"""What telephones say, as rows of Locust's tables."""

from __future__ import annotations

import json

import pytest

from drills.demo.reports import End
from loadtests.load.books import reports
from loadtests.load.telling import (
    PHONES_GONE,
    RUNG_IN_TALK,
    Told,
    hear,
    how_ended,
    is_kept,
    passed_on,
    row_of_transfer,
    rows_of_agent,
    rows_of_caller,
)

CALL = {
    "event": "call",
    "role": "caller",
    "sip_call_id": "x@y",
    "local_tag": "t",
    "how": "hung_up",
    "cause": "talked",
    "invite_ms": 1_000,
    "answered_ms": 1_020,
    "setup_ms": 19,
    "joined_ms": 4_020,
    "ended_ms": 9_000,
    "packets_received": 400,
    "longest_gap_s": 0.06,
}


def told(**changes: object) -> Told:
    found = hear(json.dumps(CALL | changes).encode())
    assert found is not None
    return found


def rows(**changes: object) -> dict[str, tuple[float | None, str]]:
    return {
        f"{row.kind} {row.name}": (row.value_ms, row.fault)
        for row in rows_of_caller(told(**changes))
    }


def test_answered_call_has_set_up_wait_sound_and_end() -> None:
    assert rows() == {
        "SIP set-up": (19, ""),
        "SIP wait for an agent": (3_000, ""),
        "RTP longest gap, caller": (60, ""),
        "RTP MOS x 100, caller": (441, ""),
        "CALL ended: talked": (8_000, ""),
    }


def test_call_that_is_turned_away_fails_with_its_status() -> None:
    found = rows(how="refused", cause="rejected", status=503, answered_ms=None, joined_ms=None)
    assert found == {
        "SIP set-up": (8_000, "refused 503"),
        "CALL ended: refused": (8_000, "turned away (503)"),
    }


def test_caller_who_gives_up_in_the_queue_is_no_failure_and_heard_nobody() -> None:
    found = rows(cause="impatient", joined_ms=None)
    assert found == {"SIP set-up": (19, ""), "CALL ended: impatient": (8_000, "")}


@pytest.mark.parametrize(
    "changes",
    [
        {"cause": "no_media"},
        {"how": "unheard", "cause": "talked"},
        {"how": "fault", "cause": "session_expired"},
    ],
)
def test_line_that_goes_dead_is_a_failure_and_cut_off(changes: dict[str, object]) -> None:
    assert told(**changes).was_cut_off
    assert rows(**changes)["CALL ended: cut off"][1].startswith("cut off (")


def test_loss_makes_the_score_fall_below_what_is_bearable() -> None:
    assert rows(packets_lost=2)["RTP MOS x 100, caller"] == (414, "")
    score, fault = rows(packets_lost=20)["RTP MOS x 100, caller"]
    assert score is not None
    assert score < 250
    assert fault.startswith("loss of packets")


def test_agent_hang_up_is_told_from_being_sent_away() -> None:
    assert how_ended(told(how="far_end", cause="bye")) == "agent hung up"
    assert how_ended(told(how="far_end", cause="bye", joined_ms=None)) == "sent away"


def test_agent_rows_are_ring_and_the_time_until_the_caller_is_heard() -> None:
    agent = told(role="agent", call="c1", answered_ms=1_600, joined_ms=1_640)
    found = {row.name: row.value_ms for row in rows_of_agent(agent)}
    assert found["ring"] == 600
    assert found["answer until the caller is heard"] == 40


def test_agent_who_never_answered_adds_nothing() -> None:
    assert list(rows_of_agent(told(role="agent", answered_ms=None))) == []


def test_line_that_is_no_json_says_nothing() -> None:
    assert hear(b"Traceback (most recent call last):\n") is None


@pytest.mark.parametrize(
    ("status", "name", "fault"),
    [
        (200, "transfer: done", ""),
        (486, "transfer: not possible", ""),
        (480, "transfer: not possible", ""),
        (403, "transfer: not possible", "answered by 403"),
        (503, "transfer: not possible", "answered by 503"),
        (None, "transfer: not possible", "answered by 0"),
    ],
)
def test_transfer_fails_unless_its_target_has_the_caller_or_is_not_free(
    status: int | None, name: str, fault: str
) -> None:
    row = row_of_transfer(told(event="transfer", status=status, took_ms=40))
    assert (row.kind, row.name, row.value_ms, row.fault) == ("SIP", name, 40, fault)


def test_call_whose_telephone_is_gone_before_the_answer_is_a_failure() -> None:
    gone = Told(event="call", phone="1", how="fault", cause=PHONES_GONE)
    found = {f"{row.kind} {row.name}": (row.value_ms, row.fault) for row in rows_of_caller(gone)}
    assert found == {
        "SIP set-up": (0, "fault"),
        "CALL ended: fault": (0, "fault (telephones gone)"),
    }


def test_what_is_kept_of_a_caller_tells_when_they_were_told_of_an_agent_held_and_came_back() -> (
    None
):
    of_call = {"role": "caller", "phone": "1", "sip_call_id": "x@y", "local_tag": "t"}
    told = [
        {"event": "invite", "wall_ms": 1_000},
        {"event": "keyed", "wall_ms": 2_000},
        {"event": "reinvite", "accepted": True, "wall_ms": 3_000},
        {"event": "joined", "wall_ms": 3_100},
        {"event": "held", "wall_ms": 4_000},
        {"event": "resumed", "wall_ms": 4_800},
        {"event": "hanging_up", "cause": "talked", "wall_ms": 8_990},
        CALL,
    ]
    lines = [json.dumps(of_call | each).encode() for each in told]
    kept = [line for line in lines if (each := hear(line)) is not None and is_kept(each)]
    assert len(kept) == len(lines) - 2
    (caller,), _ = reports(kept)
    stamps = (caller.told_ms, caller.first_held_ms, caller.resumed_ms, caller.ended_ms)
    assert stamps == (3_000, 4_000, 4_800, 9_000)


@pytest.mark.parametrize("event", ["reinvite", "held", "joined", "registered"])
def test_of_agents_their_answers_and_the_ends_are_kept(event: str) -> None:
    assert not is_kept(Told(event=event, role="agent"))
    for kept in ("invite", "answered", "hanging_up", "call"):
        assert is_kept(Told(event=kept, role="agent"))
    assert not is_kept(Told(event="answered", role="caller"))


def test_agent_whose_telephone_died_is_known_to_have_answered() -> None:
    of_agent = {"role": "agent", "phone": "ann", "sip_call_id": "x@y"}
    told = [
        {"event": "invite", "call": "c1", "wall_ms": 1_000},
        {"event": "answered", "wall_ms": 1_600},
    ]
    _, (agent,) = reports(json.dumps(of_agent | each).encode() for each in told)
    assert (agent.call, agent.answered_ms, agent.end) == ("c1", 1_600, End.UNFINISHED)


@pytest.mark.parametrize("of_telephone", [None, 1_700])
def test_agent_who_passed_a_caller_on_at_a_desktop_is_known_to_have(
    of_telephone: int | None,
) -> None:
    of_agent = CALL | {"role": "agent", "phone": "ann", "passed_on_ms": of_telephone}
    answered = Told(event="answered", phone="ann", role="agent", sip_call_id="x@y")
    _, (agent,) = reports([passed_on(answered, 2_000), json.dumps(of_agent).encode()])
    assert agent.passed_on_ms == (of_telephone or 2_000)


def test_agent_who_is_rung_in_a_talk_is_seen_though_their_telephone_refuses() -> None:
    refused = {"role": "agent", "how": "refused", "status": 486, "answered_ms": None}
    (row,) = rows_of_agent(told(**refused, cause="busy"))
    assert (row.name, row.value_ms) == (RUNG_IN_TALK, None)
    assert row.fault
    assert list(rows_of_agent(told(**refused, cause="declined"))) == []
