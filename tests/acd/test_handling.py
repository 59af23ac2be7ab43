"""Handling time and occupancy, of each agent and of all, from records alone."""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd.handling import (
    as_rested,
    average_handling_time_s,
    occupancy,
    talks_of,
    told_wrap_up_s,
    works,
    wrap_up_s,
)
from edge.acd.service_level import figures
from state.codec import decode, encode
from state.model import AgentId, CallRecord, QueueId, Rested, RestTaken, Talk
from tests.acd.test_service_level import START_MS, record

ANN, BEN = AgentId("ann"), AgentId("ben")
CONFIGURED = {QueueId("q"): 5.0}


def single(
    *, talk_s: float, rest_s: float | None, idle_s: float | None, agent: AgentId = ANN
) -> CallRecord:
    return replace(record(talk_s=talk_s), agent=agent, wrap_up_s=rest_s, idle_s=idle_s)


def talk(agent: AgentId, since_s: float, until_s: float, **more: float | None) -> Talk:
    return Talk(
        agent=agent,
        since_ms=START_MS + round(since_s * 1000),
        until_ms=START_MS + round(until_s * 1000),
        **more,  # type: ignore[arg-type]
    )


def passed_on(*talks: Talk) -> CallRecord:
    last = talks[-1]
    whole = replace(record(talk_s=1.0), agent=last.agent, ended_ms=last.until_ms)
    return replace(whole, talks=talks)


def test_the_wrap_up_is_the_records_own_whatever_the_queue_says_now() -> None:
    call = single(talk_s=60.0, rest_s=12.0, idle_s=3.0)
    assert average_handling_time_s([call], CONFIGURED) == 72.0
    assert average_handling_time_s([call], {QueueId("q"): 600.0}) == 72.0
    assert told_wrap_up_s(call) == 12.0


def test_a_record_of_an_older_program_has_its_queues_wrap_up_and_no_occupancy() -> None:
    call = decode(CallRecord, _without(encode(single(talk_s=60.0, rest_s=1.0, idle_s=1.0))), "k")
    assert (call.wrap_up_s, call.idle_s) == (None, None)
    assert average_handling_time_s([call], CONFIGURED) == 65.0
    assert (occupancy([call], CONFIGURED), told_wrap_up_s(call)) == (None, None)
    known = single(talk_s=30.0, rest_s=10.0, idle_s=40.0)
    assert occupancy([call, known], CONFIGURED) == 0.5, "of the talks of which it is known"


def _without(text: bytes) -> bytes:
    return text.replace(b',"wrap_up_s":1.0,"idle_s":1.0', b"")


def test_occupancy_is_handling_of_handling_and_idle() -> None:
    calls = [
        single(talk_s=60.0, rest_s=0.0, idle_s=20.0),
        single(talk_s=30.0, rest_s=10.0, idle_s=80.0, agent=BEN),
    ]
    assert occupancy(calls, {}) == 100.0 / 200.0
    found = works(calls, {})
    assert {agent: work.occupancy for agent, work in found.items()} == {
        ANN: 60.0 / 80.0,
        BEN: 40.0 / 120.0,
    }
    assert figures(calls, 20.0, {}).occupancy == 0.5
    assert occupancy([record(wait_s=3.0)], {}) is None


def test_of_a_call_that_was_passed_on_each_agent_has_their_own_part() -> None:
    call = passed_on(
        talk(ANN, 0, 60, wrap_up_s=8.0, idle_s=10.0), talk(BEN, 90, 120, wrap_up_s=4.0, idle_s=0.0)
    )
    assert wrap_up_s(call, {}) == 12.0
    assert average_handling_time_s([call], {}) == 102.0
    found = works([call], {})
    assert (found[ANN].calls, found[ANN].talk_s, found[ANN].wrap_up_s) == (1, 60.0, 8.0)
    assert (found[BEN].aht_s, found[BEN].occupancy) == (34.0, 1.0)


def test_who_has_the_caller_back_wraps_up_once_and_that_is_the_last_time() -> None:
    call = passed_on(
        talk(ANN, 0, 60, wrap_up_s=8.0, idle_s=10.0), talk(ANN, 70, 80, wrap_up_s=9.0, idle_s=0.0)
    )
    assert wrap_up_s(call, {}) == 9.0
    assert works([call], {})[ANN].calls == 1


def test_a_wrap_up_that_was_ended_early_or_prolonged_counts_as_it_was() -> None:
    call = single(talk_s=60.0, rest_s=30.0, idle_s=10.0)
    rest = RestTaken(agent=ANN, since_ms=call.ended_ms, rest_s=4.0)
    told = Rested(call=call.call, rests=(rest,), at_ms=call.ended_ms + 4000)
    assert as_rested(call, None) is call
    assert told_wrap_up_s(as_rested(call, told)) == 4.0
    other = replace(told, rests=(replace(rest, agent=BEN),))
    assert as_rested(call, other) == call, "ben was asked by ann, and had no talk"


def test_of_two_talks_of_an_agent_the_change_is_of_the_one_they_rested_from() -> None:
    call = passed_on(
        talk(ANN, 0, 60, wrap_up_s=8.0),
        talk(BEN, 70, 90, wrap_up_s=8.0),
        talk(ANN, 100, 130, wrap_up_s=8.0),
    )
    first = RestTaken(agent=ANN, since_ms=START_MS + 61_000, rest_s=2.0)
    last = RestTaken(agent=ANN, since_ms=START_MS + 130_000, rest_s=20.0)
    for rests, wanted in (((first,), 18.0), ((last,), 36.0), ((first, last), 30.0)):
        told = Rested(call=call.call, rests=rests, at_ms=START_MS)
        assert wrap_up_s(as_rested(call, told), {}) == wanted


def test_every_talk_of_a_call_is_told_the_same_way() -> None:
    call = single(talk_s=60.0, rest_s=5.0, idle_s=1.0)
    (only,) = talks_of(call)
    assert (only.agent, only.wrap_up_s, only.idle_s) == (ANN, 5.0, 1.0)
    assert talks_of(record()) == ()
    assert wrap_up_s(record(talk_s=4.0), CONFIGURED) == 5.0, "nobody knows who talked"
