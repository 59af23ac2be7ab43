from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.handling import average_handling_time_s, talk_s
from edge.acd.service_level import (
    SERVICE_LEVELS,
    Queued,
    abandon_rate,
    average_speed_of_answer_s,
    figures,
    wait_s,
)
from state.model import (
    AgentId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
    Talk,
    TicketState,
)
from tests.acd.worlds import call_id, ticket

START_MS = 1_000_000


def record(
    *,
    wait_s: float | None = 0.0,
    talk_s: float | None = None,
    outcome: Outcome = Outcome.ANSWERED,
) -> CallRecord:
    """Return a call that waited (None: never reached the queue) and talked (None: never)."""
    waited_ms = round((wait_s or 0.0) * 1000)
    talked_ms = round((talk_s or 0.0) * 1000)
    return CallRecord(
        call=call_id(1),
        did=DidNumber("1"),
        queue=QueueId("q"),
        outcome=outcome,
        cause="",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="x",
        arrived_ms=START_MS - 4000,
        queued_ms=None if wait_s is None else START_MS,
        connected_ms=None if talk_s is None else START_MS + waited_ms,
        ended_ms=START_MS + waited_ms + talked_ms,
    )


DAY = [
    record(wait_s=5, talk_s=60),
    record(wait_s=20, talk_s=120),
    record(wait_s=50, talk_s=30, outcome=Outcome.LOST),
    record(wait_s=4, outcome=Outcome.ABANDONED),
    record(wait_s=90, outcome=Outcome.ABANDONED),
    record(wait_s=None, outcome=Outcome.ABANDONED),
    record(wait_s=30, outcome=Outcome.LOST),
    record(wait_s=None, outcome=Outcome.REFUSED),
]


def test_only_calls_that_reached_the_queue_count_and_each_by_what_became_of_it() -> None:
    assert Queued.of(DAY) == Queued(answered=(5.0, 20.0, 50.0), abandoned=(4.0, 90.0))


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("answered_in_time_of_answered", 2 / 3),
        ("ended_in_time_of_all", 3 / 5),
        ("answered_in_time_of_all", 2 / 5),
        ("answered_in_time_short_abandons_out", 2 / 4),
    ],
)
def test_each_service_level_is_what_its_name_says(name: str, level: float) -> None:
    assert SERVICE_LEVELS[name](Queued.of(DAY), 20.0) == level


def test_every_service_level_is_covered_by_the_table_above() -> None:
    assert len(SERVICE_LEVELS) == 4


def test_the_other_figures() -> None:
    queued = Queued.of(DAY)
    assert average_speed_of_answer_s(queued) == 25.0
    assert abandon_rate(queued) == 2 / 5
    assert average_handling_time_s(DAY, {QueueId("q"): 5.0}) == 75.0


def passed_on(*talks: tuple[float, float]) -> CallRecord:
    """Return a call with several talks, each from and to so many seconds after the first began."""
    return replace(
        record(wait_s=5, talk_s=max(until for _, until in talks)),
        talks=tuple(
            Talk(
                agent=AgentId(f"agent{number}"),
                since_ms=START_MS + 5000 + round(since * 1000),
                until_ms=START_MS + 5000 + round(until * 1000),
            )
            for number, (since, until) in enumerate(talks)
        ),
    )


def test_of_a_call_that_was_passed_on_the_music_is_no_handling_and_each_agent_wraps_up() -> None:
    call = passed_on((0, 60), (660, 700))
    assert talk_s(call) == 100.0
    assert average_handling_time_s([call], {QueueId("q"): 5.0}) == 110.0
    found = figures([call, record(talk_s=60)], 20.0, {QueueId("q"): 5.0})
    assert found.aht_s == (110.0 + 65.0) / 2


def test_an_agent_who_gets_the_caller_back_wraps_up_once() -> None:
    call = passed_on((0, 60), (70, 90))
    back = replace(call, talks=tuple(replace(talk, agent=AgentId("ann")) for talk in call.talks))
    assert average_handling_time_s([back], {QueueId("q"): 5.0}) == 85.0


def test_the_share_on_hold_is_of_what_was_talked() -> None:
    call = replace(passed_on((0, 60), (660, 700)), holds=1, held_s=25.0)
    assert figures([call], 20.0, {}).hold_share == 0.25


def test_who_left_while_they_waited_for_a_second_agent_has_talked_with_the_first_alone() -> None:
    left = replace(passed_on((0, 60)), ended_ms=START_MS + 605_000)
    assert (talk_s(left), average_handling_time_s([left], {QueueId("q"): 5.0})) == (60.0, 65.0)


def test_calls_that_called_somebody_back_are_no_callers_and_no_service() -> None:
    back = replace(record(wait_s=300.0, talk_s=60.0), callback_of=DAY[0].call)
    vain = replace(record(wait_s=300.0), callback_of=DAY[0].call, outcome=Outcome.CALLBACK)
    alone, with_them = figures(DAY, 20.0, {}), figures((*DAY, back, vain), 20.0, {})
    assert (with_them.callbacks, with_them.callbacks_reached) == (2, 1)
    for name in ("calls", "answered", "turned_away", "lost", "service_level", "asa_s"):
        assert getattr(with_them, name) == getattr(alone, name), name


def test_who_is_being_talked_with_has_been_answered_though_the_call_is_not_over() -> None:
    came = ticket(7, state=TicketState.CONNECTED)
    talks = replace(came, queued_ms=START_MS, connected_ms=START_MS + 30_000)
    on = [talks, ticket(8), replace(talks, call=call_id(9), callback_of=call_id(1))]
    before, found = (figures(DAY, 20.0, {}, on=each) for each in ((), on))
    assert (found.calls, found.answered) == (before.calls + 1, before.answered + 1)
    assert (found.abandoned, found.aht_s) == (before.abandoned, before.aht_s)
    assert found.abandon_rate == 2 / 6
    assert found.asa_s == (5 + 20 + 50 + 30) / 4
    assert found.service_level["answered_in_time_of_all"] == 2 / 6


def test_a_figure_without_anything_to_count_is_none() -> None:
    nothing = Queued.of([])
    assert [level(nothing, 20.0) for level in SERVICE_LEVELS.values()] == [None] * 4
    assert average_speed_of_answer_s(nothing) is None
    assert abandon_rate(nothing) is None
    assert average_handling_time_s([], {QueueId("q"): 5.0}) is None


def test_clocks_that_went_back_make_no_negative_times() -> None:
    strange = record(wait_s=-3, talk_s=-3)
    assert (wait_s(strange), talk_s(strange)) == (0.0, 0.0)
    assert (wait_s(record(wait_s=None)), talk_s(record())) == (0.0, 0.0)


def test_short_abandons_have_a_threshold_of_their_own() -> None:
    found = [figures(DAY, 20.0, {}, short_s=short_s) for short_s in (None, 3.0, 4.0, 120.0)]
    name = "answered_in_time_short_abandons_out"
    assert [each.service_level[name] for each in found] == [2 / 4, 2 / 5, 2 / 4, 2 / 3]
    assert [each.short_abandoned for each in found] == [1, 0, 1, 2]
    others = [dict(each.service_level) | {name: None} for each in found]
    assert others == [others[0]] * 4
