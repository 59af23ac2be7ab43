"""Erlang's formulas against published values, and how people are shared among queues."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.steering.capacity import Demand, without
from edge.steering.coming import coming, demand_of
from edge.steering.erlang import agents_needed, erlang_c, service
from state.model import (
    AgentId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    PresenceState,
    QueueId,
    SiteId,
    Talk,
    Ticket,
    TicketState,
)
from tests.acd.worlds import PATIENT, WALL_MS, World, call_id, ticket

SALES, HELP = QueueId("sales"), QueueId("help")


@pytest.mark.parametrize(
    ("erlangs", "agents", "waits"),
    [(0.3, 1, 0.3), (1.0, 2, 1 / 3), (2.0, 3, 4 / 9)],
)
def test_erlang_c_is_what_one_finds_by_hand(erlangs: float, agents: int, waits: float) -> None:
    # One agent: C = A. Two: C = A^2 / (2 + A).
    assert erlang_c(erlangs, agents) == pytest.approx(waits)


@pytest.mark.parametrize(("erlangs", "agents"), [(10.0, 14), (50.0, 60), (100.0, 110)])
def test_the_recursion_is_the_sum_of_the_textbook(erlangs: float, agents: int) -> None:
    load = Fraction(erlangs)
    last = load**agents / factorial(agents) * agents / (agents - load)
    found = last / (sum(load**k / factorial(k) for k in range(agents)) + last)
    assert erlang_c(erlangs, agents) == pytest.approx(float(found))


def test_service_with_one_agent_is_that_of_a_single_queue() -> None:
    # M/M/1 with half the load: half the calls wait, and the mean wait is one handling time.
    found = service(0.5 / 60, 60.0, 1, 60.0)
    assert found.waiting_share == pytest.approx(0.5)
    assert found.mean_wait_s == pytest.approx(60.0)


def test_a_line_that_grows_for_ever_is_said_to() -> None:
    assert service(1.0, 10.0, 10, 20.0).mean_wait_s == inf
    assert service(1.0, 10.0, 10, 20.0).level == 0.0


@given(erlangs=st.floats(0.1, 200.0), agents=st.floats(1.0, 250.0), more=st.floats(0.0, 20.0))
@PATIENT
def test_more_agents_never_make_it_worse(erlangs: float, agents: float, more: float) -> None:
    fewer, after = (service(erlangs / 60, 60.0, each, 20.0) for each in (agents, agents + more))
    assert 0.0 <= fewer.waiting_share <= 1.0
    assert after.waiting_share <= fewer.waiting_share + 1e-9
    assert after.level >= fewer.level - 1e-9


def test_the_needed_agents_are_the_fewest_that_keep_the_goal() -> None:
    needed = agents_needed(0.1, 180.0, 20.0, 0.8)
    assert service(0.1, 180.0, needed, 20.0).level >= 0.8
    assert service(0.1, 180.0, needed - 1, 20.0).level < 0.8


def center(per_site: int) -> World:
    world = World()
    world.queue("sales", sales=1)
    world.queue("help", help=1)
    for site in "abc":
        for number in range(per_site):
            world.agent(f"s{site}{number}", site=site, sales=3)
            world.agent(f"h{site}{number}", site=site, help=3)
            world.agent(f"x{site}{number}", site=site, sales=3, help=3)
    return world


def test_losing_a_site_takes_its_agents_and_says_how_many_are_short() -> None:
    world = center(2)
    demand = {SALES: Demand(calls_per_s=0.1, handling_s=50.0)}
    (all_there,) = without(world.snapshot, demand)
    assert (all_there.suited, all_there.fits) == (12, True)
    (one_gone,) = without(world.snapshot, demand, frozenset({SiteId("a")}))
    assert one_gone.suited == 8
    assert one_gone.agents == pytest.approx(8.0)
    (two_gone,) = without(world.snapshot, demand, frozenset({SiteId("a"), SiteId("b")}))
    assert (two_gone.suited, two_gone.mean_wait_s, two_gone.fits) == (4, inf, False)
    assert two_gone.short >= 3


@given(
    sales=st.floats(0.01, 0.3), help_=st.floats(0.01, 0.3), gone=st.sampled_from(["", "a", "ab"])
)
@PATIENT
def test_nobody_works_for_two_queues_at_once(sales: float, help_: float, gone: str) -> None:
    world = center(2)
    demand = {
        SALES: Demand(calls_per_s=sales, handling_s=40.0),
        HELP: Demand(calls_per_s=help_, handling_s=40.0),
    }
    found = without(world.snapshot, demand, frozenset(map(SiteId, gone)))
    present = 6 * (3 - len(gone))
    assert sum(each.agents for each in found) == pytest.approx(present, rel=1e-6)
    assert all(each.agents <= each.suited + 1e-9 for each in found)


def test_a_queue_with_more_load_gets_more_of_those_who_suit_both() -> None:
    demand = {
        SALES: Demand(calls_per_s=0.15, handling_s=40.0),
        HELP: Demand(calls_per_s=0.02, handling_s=40.0),
    }
    help_, sales = without(center(2).snapshot, demand)
    assert sales.agents > help_.agents
    assert sales.fits
    assert help_.fits


def test_paused_agents_are_not_there() -> None:
    world = center(1)
    world.presence("sa0", site="a", state=PresenceState.PAUSED)
    (found,) = without(world.snapshot, {SALES: Demand(calls_per_s=0.01, handling_s=10.0)})
    assert found.suited == 5


def record(number: int, *, arrived_s: float, talk_s: float | None) -> CallRecord:
    arrived_ms = WALL_MS + round(arrived_s * 1000)
    return CallRecord(
        call=call_id(number),
        did=DidNumber("1"),
        queue=SALES,
        outcome=Outcome.ABANDONED if talk_s is None else Outcome.ANSWERED,
        cause="x",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id=str(number),
        arrived_ms=arrived_ms,
        queued_ms=arrived_ms,
        connected_ms=None if talk_s is None else arrived_ms + 5000,
        ended_ms=arrived_ms + 5000 + round((talk_s or 0.0) * 1000),
    )


def test_what_comes_is_counted_in_its_time_with_the_wrap_up() -> None:
    records = [record(number, arrived_s=number * 6.0, talk_s=30.0) for number in range(20)]
    records += [record(20, arrived_s=7.0, talk_s=None), record(21, arrived_s=500.0, talk_s=9.0)]
    found = demand_of(coming(records, WALL_MS + 120_000, 600.0), center(1).snapshot)
    assert found[SALES].calls_per_s == pytest.approx(21 / 120)
    assert found[SALES].handling_s == pytest.approx(36.0)


def test_music_between_the_talks_of_a_call_that_was_passed_on_keeps_nobody_busy() -> None:
    call = record(1, arrived_s=0.0, talk_s=600.0)
    spans = ((5_000, 35_000), (595_000, 605_000))
    talks = tuple(
        Talk(agent=AgentId(name), since_ms=WALL_MS + since, until_ms=WALL_MS + until)
        for name, (since, until) in zip(("ann", "bob"), spans, strict=True)
    )
    (stream,) = coming([replace(call, talks=talks)], WALL_MS + 610_000, 900.0).streams
    assert stream.talk_s == 40.0


def on(number: int, *, arrived_s: float, talks_for_s: float | None) -> Ticket:
    arrived_ms, ago_ms = WALL_MS + round(arrived_s * 1000), round((talks_for_s or 0.0) * 1000)
    return replace(
        ticket(number),
        did=DidNumber("1"),
        arrived_ms=arrived_ms,
        connected_ms=None if talks_for_s is None else WALL_MS + 600_000 - ago_ms,
        state=TicketState.QUEUED if talks_for_s is None else TicketState.CONNECTED,
    )


def test_calls_that_are_on_have_come_and_their_talks_are_longer_than_those_that_are_over() -> None:
    records = [record(number, arrived_s=number * 60.0, talk_s=30.0) for number in range(10)]
    there = [
        on(20, arrived_s=100.0, talks_for_s=400.0),
        on(21, arrived_s=590.0, talks_for_s=None),
        on(3, arrived_s=180.0, talks_for_s=400.0),  # and its record has come meanwhile
        replace(on(22, arrived_s=1.0, talks_for_s=9.0), callback_of=call_id(1)),
        on(23, arrived_s=-1.0, talks_for_s=600.0),
    ]
    (stream,) = coming(records, WALL_MS + 600_000, 600.0, on=there).streams
    assert (stream.calls, stream.talk_s) == (12, (10 * 30.0 + 400.0) / 10)


def test_no_talk_is_taken_for_longer_than_the_longest_yet_when_a_center_has_just_opened() -> None:
    records = [record(number, arrived_s=560.0 + number, talk_s=30.0) for number in range(2)]
    there = [on(n, arrived_s=562.0 + n / 2, talks_for_s=28.0 - n / 2) for n in range(2, 40)]
    (stream,) = coming(records, WALL_MS + 600_000, 600.0, on=there).streams
    assert (stream.calls, stream.talk_s) == (40, 30.0)


def test_callers_whom_nobody_answers_have_come_though_they_still_wait() -> None:
    there = [on(number, arrived_s=number * 6.0, talks_for_s=None) for number in range(60)]
    found = coming([], WALL_MS + 600_000, 600.0, on=there)
    assert (found.streams[0].calls, found.seconds) == (60, 600.0)


def test_where_not_all_records_are_here_what_came_is_counted_in_the_while_of_which_they_are() -> (
    None
):
    records = [record(n, arrived_s=540.0 + n, talk_s=10.0) for n in range(45)]
    there = [on(99, arrived_s=5.0, talks_for_s=590.0)]
    known_from_ms = records[0].arrived_ms
    end_ms = WALL_MS + 600_000
    found = coming(records, end_ms, 600.0, on=there, known_from_ms=known_from_ms)
    assert (found.streams[0].calls, found.seconds) == (45, 60.0)


@pytest.mark.parametrize("talk_s", [60.0, 300.0])
def test_the_load_of_a_steady_state_is_what_it_is_however_long_a_talk_takes(talk_s: float) -> None:
    chance = Random(7)  # noqa: S311 - an example, no secret
    at_s, number, records, there = -3600.0, 0, [], []
    while (at_s := at_s + chance.expovariate(2.0)) < 600.0:
        number, lasts_s = number + 1, chance.expovariate(1 / talk_s)
        if at_s + 5.0 + lasts_s <= 600.0:
            records.append(record(number, arrived_s=at_s, talk_s=lasts_s))
        else:
            there.append(on(number, arrived_s=at_s, talks_for_s=max(0.0, 600.0 - at_s - 5.0)))
    (stream,) = coming(records, WALL_MS + 600_000, 600.0, on=there).streams
    assert stream.calls / 600.0 == pytest.approx(2.0, rel=0.1)
    assert stream.talk_s == pytest.approx(talk_s, rel=0.1)


def test_what_came_longer_ago_than_the_window_does_not_count() -> None:
    records = [record(number, arrived_s=number * 6.0, talk_s=30.0) for number in range(20)]
    (stream,) = coming(records, WALL_MS + 120_000, 60.0).streams
    assert (stream.via, stream.calls, stream.talk_s) == ("a", 10, 30.0)
