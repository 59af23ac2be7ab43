"""What `explain` says of a call that was passed on, or that went before others."""

from __future__ import annotations

from msgspec.structs import replace

from drills.desk.account import of_record
from drills.desk.look import ended_row
from edge.acd.match import PASSED_OVER
from state.model import (
    AgentId,
    CallRecord,
    Decision,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
    Talk,
)
from state.snapshot import Snapshot
from tests.acd.worlds import NOW, call_id

ANN, BOB, A = AgentId("ann"), AgentId("bob"), SiteId("a")


def _record(*talks: Talk, by: AgentId | None = None) -> CallRecord:
    decision = Decision(revision=7, wall_ms=0, winner=BOB, score=0.0, parts={}, passed_on_by=by)
    return CallRecord(
        call=call_id(1),
        did=DidNumber("100"),
        queue=QueueId("sales"),
        outcome=Outcome.ANSWERED,
        cause="caller_hung_up",
        edge=EdgeId("a1"),
        site=A,
        via=A,
        sip_call_id="x",
        arrived_ms=0,
        queued_ms=0,
        connected_ms=1000,
        ended_ms=60_000,
        agent=BOB,
        decision=decision,
        talks=talks,
    )


def test_it_tells_who_talked_for_how_long_and_who_passed_the_caller_on() -> None:
    talks = (
        Talk(agent=ANN, since_ms=1000, until_ms=31_000),
        Talk(agent=BOB, since_ms=40_000, until_ms=60_000),
    )
    told = of_record(1, Snapshot(), _record(*talks, by=ANN), NOW)
    assert told.note == (
        "The caller talked with ann for 30 s, then bob for 20 s."
        " ann chose who was rung last: no match did."
    )


def test_music_between_two_talks_is_no_talk() -> None:
    talks = (
        Talk(agent=ANN, since_ms=1000, until_ms=31_000),
        Talk(agent=BOB, since_ms=40_000, until_ms=60_000),
    )
    assert ended_row(_record(*talks)).talked_s == 50.0
    assert ended_row(_record()).talked_s == 59.0


def test_of_a_call_with_one_talk_it_says_nothing_of_talks() -> None:
    assert of_record(1, Snapshot(), _record(), NOW).note == ""


def test_that_callers_were_passed_over_is_told_though_a_record_does_not_say_which() -> None:
    record = _record()
    assert record.decision is not None
    decision = replace(record.decision, asked={call_id(2): PASSED_OVER})
    told = of_record(1, Snapshot(), replace(record, decision=decision), NOW)
    assert told.note == "Callers of an edge that did not act were passed over for it."
