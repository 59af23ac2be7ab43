"""What a move of traffic would come to: by Erlang's formula, and by the real matcher."""

from __future__ import annotations

from math import inf, sqrt
from statistics import fmean, stdev

import immutables
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.steering.coming import Coming, Stream, coming
from edge.steering.erlang import agents_needed, erlang_b, lines_needed, service
from edge.steering.imagined import Horizon, Serving, fraction, under_way
from edge.steering.judgement import Move, move
from edge.steering.prediction import Prediction, horizon_of, predict
from state import keys
from state.configuration import Configuration
from state.model import (
    AgentId,
    Calendar,
    CalendarId,
    CallRecord,
    Did,
    DidNumber,
    EdgeId,
    Opening,
    Outcome,
    Queue,
    QueueId,
    Scope,
    Site,
    SiteId,
    Step,
    TicketState,
)
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, call_id, needs, ticket

NUMBER, OTHER = DidNumber("4930100"), DidNumber("4930200")
SALES, HELP = QueueId("sales"), QueueId("help")
A, B, C, D = (SiteId(site) for site in "abcd")


# ---- the formulas, against what others have published --------------------------------------------


@pytest.mark.parametrize(
    ("servers", "erlangs"), [(1, 0.0101), (2, 0.153), (5, 1.36), (10, 4.46), (20, 12.0), (50, 37.9)]
)
def test_lines_are_those_of_the_table_of_erlang_b(servers: int, erlangs: float) -> None:
    # The column for 1 % blocked of the tables in every textbook (three digits); so in W. D. Reeve
    # (ed.), J. R. Boucher, "Traffic System Design Handbook" (IEEE, 1993).
    assert erlang_b(erlangs, servers) == pytest.approx(0.01, rel=0.05)
    assert lines_needed(erlangs * 0.99) == servers
    assert lines_needed(erlangs * 1.02) == servers + 1


def test_lines_are_those_of_the_published_calculator() -> None:
    # erlang.com: 15 lines carry 8.108 erlangs with one call in a hundred blocked; 33.333 need 45.
    assert erlang_b(8.108, 15) == pytest.approx(0.01, rel=1e-3)
    assert lines_needed(33.333) == 45


def test_erlang_c_is_that_of_the_published_call_center() -> None:
    # 360 calls in half an hour, 4 minutes each, 55 agents: M. Tanner's worked example
    # (mitan.co.uk/erlang/elgcmath.htm, also in his "Practical Queueing Analysis", 1995) has 23.9 %
    # wait.
    found = service(360 / 1800, 240.0, 55, 15.0)
    assert found.waiting_share == pytest.approx(0.239, abs=0.0005)


# ---- the simulation, against the formula ---------------------------------------------------------


def line(agents: int) -> World:
    """Return M/M/c: one queue, agents alike, no wrap-up and no ringing."""
    world = World()
    world.set_queue(Queue(id=SALES, needs=needs(sales=1), wrap_up_s=0.0))
    world.did(NUMBER, "sales")
    for number in range(agents):
        world.agent(f"s{number:02}", site="abc"[number % 3], sales=3)
    return world


def steady(erlangs: float, talk_s: float) -> Coming:
    seconds = 100_000
    calls = round(erlangs / talk_s * seconds)
    stream = Stream(did=NUMBER, via=A, queue=SALES, calls=calls, talk_s=talk_s, ring_s=0.0)
    return Coming(from_ms=WALL_MS - seconds * 1000, to_ms=WALL_MS, streams=(stream,))


def long_run(seed: int, calls: int) -> Horizon:
    return Horizon(seed=seed, seconds=inf, most_calls=calls)


@pytest.mark.parametrize(("erlangs", "agents"), [(2.0, 3), (4.0, 6)])
def test_callers_without_end_wait_as_erlang_says(erlangs: float, agents: int) -> None:
    world, what = line(agents), steady(erlangs, 30.0)
    expected = service(erlangs / 30.0, 30.0, agents, 20.0)
    runs = [
        predict(world.snapshot, what, NOW, horizon=long_run(seed, 300)).queues[0]
        for seed in range(10)
    ]
    assert all(each.forecast.level == pytest.approx(expected.level, rel=1e-3) for each in runs)
    for found, truth in (
        ([each.wait_s or 0.0 for each in runs], expected.mean_wait_s),
        ([each.level or 0.0 for each in runs], expected.level),
    ):
        # Student's t for nine degrees of freedom, one in a thousand outside.
        doubt = 4.781 * stdev(found) / sqrt(len(found))
        assert fmean(found) == pytest.approx(truth, abs=doubt)
        assert doubt < 0.6 * max(truth, 0.2), "a bound that holds anything says nothing"


@given(erlangs=st.floats(0.5, 6.0), agents=st.integers(1, 8), seed=st.integers(0, 9))
@settings(PATIENT, max_examples=12)
def test_one_agent_more_makes_nobody_wait_longer(erlangs: float, agents: int, seed: int) -> None:
    what, horizon = steady(erlangs, 20.0), long_run(seed, 60)
    fewer, more = (
        predict(line(count).snapshot, what, NOW, horizon=horizon).queues[0]
        for count in (agents, agents + 1)
    )
    # The same callers, in the order in which they came: nobody's place gets worse.
    assert (more.wait_s or 0.0) <= (fewer.wait_s or 0.0) + 1e-6
    assert (more.level or 0.0) >= (fewer.level or 0.0) - 1e-9
    assert more.forecast.mean_wait_s <= fewer.forecast.mean_wait_s


def test_the_same_seed_tells_the_same_and_another_does_not() -> None:
    world, what = line(4), steady(3.0, 20.0)
    one, again, other = (
        predict(world.snapshot, what, NOW, horizon=long_run(seed, 50)) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_a_large_center_is_looked_at_by_fewer_callers() -> None:
    assert horizon_of(line(3).snapshot).most_calls == 400
    world = World()
    world.agent("one", sales=1)
    entry = world.snapshot.agents[AgentId("one")]
    crowd = immutables.Map({AgentId(f"x{n}"): entry for n in range(4000)})
    assert horizon_of(replace(world.snapshot, agents=crowd)).most_calls == 100


def test_chance_is_even() -> None:
    drawn = [fraction(f"{number}") for number in range(4000)]
    assert fmean(drawn) == pytest.approx(0.5, abs=0.02)
    assert stdev(drawn) == pytest.approx(1 / sqrt(12), abs=0.01)
    assert 0.0 <= min(drawn) <= max(drawn) < 1.0


# ---- sites ---------------------------------------------------------------------------------------


def rules_of(world: World, *, sites: tuple[Site, ...] = ()) -> Configuration:
    """Return the configuration as it stands, with some sites in place of theirs."""
    snapshot, changed = world.snapshot, {site.id: site for site in sites}
    return Configuration(
        sites=tuple(changed.get(key, entry.value) for key, entry in snapshot.sites.items()),
        queues=tuple(entry.value for entry in snapshot.queues.values()),
        dids=tuple(entry.value for entry in snapshot.dids.values()),
        agents=tuple(entry.value for entry in snapshot.agents.values()),
    )


def site(world: World, name: SiteId) -> Site:
    return world.snapshot.sites[name].value


def rates(found: Prediction) -> dict[str, float]:
    return {each.site: round(each.calls_per_s, 6) for each in found.sites}


def test_shares_move_calls_by_the_percent() -> None:
    world, what = line(6), steady(1.0, 10.0)
    whole = predict(world.snapshot, what, NOW)
    assert rates(whole) == {"a": 0.1, "b": 0.0, "c": 0.0}
    for percent in (1, 37, 99):
        shared = replace(site(world, A), shares={A: 100 - percent, B: percent})
        found = move(world.snapshot, rules_of(world, sites=(shared,)), what, NOW).after
        assert rates(found)["b"] == pytest.approx(0.1 * percent / 100)
        assert sum(rates(found).values()) == pytest.approx(0.1)


def test_a_site_that_drains_gives_its_calls_to_its_backup_and_keeps_its_agents() -> None:
    world, what = line(6), steady(1.0, 10.0)
    away = replace(site(world, A), draining=True, backups=(C,))
    found = move(world.snapshot, rules_of(world, sites=(away,)), what, NOW)
    assert rates(found.after) == {"a": 0.0, "b": 0.0, "c": 0.1}
    assert found.fits
    assert found.after.queues[0].forecast.suited == 6
    assert [each.is_draining for each in found.after.sites] == [True, False, False]


def test_a_receiving_site_without_room_is_what_does_not_fit() -> None:
    world, what = line(6), steady(4.0, 10.0)
    small = replace(site(world, C), room=3)
    away = replace(site(world, A), draining=True, backups=(C,))
    found = move(world.snapshot, rules_of(world, sites=(away, small)), what, NOW)
    assert not found.fits
    (short,) = found.sites
    assert (short.site, short.room) == ("c", 3)
    assert short.lines == lines_needed(short.erlangs)
    assert short.lines_short == short.lines - 3 > 0
    roomy = replace(site(world, C), room=short.lines)
    assert move(world.snapshot, rules_of(world, sites=(away, roomy)), what, NOW).fits


def test_a_site_that_the_rules_bring_and_that_has_no_room_is_what_does_not_fit() -> None:
    world, what = line(6), steady(4.0, 10.0)
    world.edge("d1", sip="198.18.4.1:5081")
    away = replace(site(world, A), draining=True, backups=(D,))
    rules = rules_of(world, sites=(away,))
    small = Site(id=D, name="d", sip="198.18.4.1:5060", room=1)
    found = move(world.snapshot, replace(rules, sites=(*rules.sites, small)), what, NOW)
    assert [each.site for each in found.sites] == ["d"]


def test_a_move_is_compared_with_the_rules_that_are_though_the_snapshot_shows_older_ones() -> None:
    """A site drains by what the snapshot shows; that was ended, and is to be done again."""
    world, what = line(6), steady(4.0, 10.0)
    small = replace(site(world, C), room=3)
    away = replace(site(world, A), draining=True, backups=(C,))
    present, drained = rules_of(world, sites=(small,)), rules_of(world, sites=(away, small))
    for each in (small, away):
        world.put(keys.site(each.id), each)
    assert move(world.snapshot, drained, what, NOW).fits
    assert not move(world.snapshot, drained, what, NOW, present=present).fits


def test_a_lost_site_takes_its_agents_and_its_carriers_go_elsewhere() -> None:
    world, what = line(6), steady(3.0, 10.0)
    found = predict(world.snapshot, what, NOW, lost=frozenset({A}))
    (queue,) = found.queues
    assert queue.forecast.suited == 4
    assert rates(found) == {"a": 0.0, "b": 0.15, "c": 0.15}
    assert [each.agents for each in found.sites] == [0, 2, 2]
    nobody = predict(world.snapshot, what, NOW, lost=frozenset({A, B, C}))
    assert nobody.unserved_per_s == pytest.approx(0.3)
    assert not nobody.fits


def test_a_lost_sites_carriers_send_to_all_others_alike_though_one_shares_its_calls() -> None:
    world, what = line(6), steady(3.0, 10.0)
    world.edge("c2", sip="198.18.3.10:5082")
    world.put(keys.site(B), replace(site(world, B), shares={B: 90, C: 10}))
    found = predict(world.snapshot, what, NOW, lost=frozenset({A}))
    assert rates(found) == {"a": 0.0, "b": 0.135, "c": 0.165}


@given(
    parts=st.dictionaries(
        st.sampled_from([A, B, C]),
        st.dictionaries(st.sampled_from([A, B, C]), st.integers(0, 100), max_size=3),
    ),
    draining=st.frozensets(st.sampled_from([A, B, C])),
    lost=st.frozensets(st.sampled_from([A, B, C])),
    via=st.sampled_from([A, B, C, D]),
)
@settings(PATIENT, max_examples=25)
def test_whatever_is_shared_drained_or_lost_each_call_is_served_once_or_by_nobody(
    parts: dict[SiteId, dict[SiteId, int]],
    draining: frozenset[SiteId],
    lost: frozenset[SiteId],
    via: SiteId,
) -> None:
    world, what = line(3), steady(1.0, 10.0)
    for name in (A, B, C):
        told = replace(site(world, name), shares=parts.get(name, {}), draining=name in draining)
        world.put(keys.site(name), told)
    what = replace(what, streams=tuple(replace(each, via=via) for each in what.streams))
    found = predict(world.snapshot, what, NOW, lost=lost, horizon=long_run(1, 3))
    assert sum(rates(found).values()) + found.unserved_per_s == pytest.approx(0.1, abs=1e-5)
    assert all(not rates(found)[name] for name in lost)
    assert bool(found.unserved_per_s) == (lost == {A, B, C})
    if draining and lost | draining != {A, B, C}:
        assert all(not rates(found)[name] for name in draining)


def test_talks_at_a_site_that_drains_go_on_and_keep_its_agents() -> None:
    world, what = line(2), steady(0.01, 300.0)
    for number, who in enumerate(("s00", "s01")):
        talks = ticket(number, state=TicketState.CONNECTED, agent=who, sales=1)
        world.put(keys.ticket(talks.call), replace(talks, did=NUMBER))
    snapshot = world.snapshot
    lit = {edge: life.value.site for edge, life in snapshot.edges.items()}
    serving: Serving = {(A, NUMBER): ((EdgeId("b1"), B),)}
    found = [each.record for each in under_way(snapshot, what, serving, lit, NOW, 1)]
    assert [(each.edge, each.site) for each in found] == [("a1", A), ("a1", A)]
    away = replace(site(world, A), draining=True, backups=(B,))
    drained = move(snapshot, rules_of(world, sites=(away,)), what, NOW, long_run(1, 3))
    assert drained.after.queues == drained.before.queues, "whoever comes finds the same two busy"


def test_of_a_site_without_edges_who_talks_is_cut_off_and_who_waits_comes_to_another() -> None:
    world, what = line(2), steady(0.01, 300.0)
    for number, state in enumerate((TicketState.CONNECTED, TicketState.QUEUED)):
        told = replace(ticket(number, state=state, sales=1), did=NUMBER)
        world.put(keys.ticket(told.call), told)
    serving: Serving = {(A, NUMBER): ((EdgeId("b1"), B), (EdgeId("c1"), C))}
    lit = {EdgeId("b1"): B, EdgeId("c1"): C}
    (found,) = under_way(world.snapshot, what, serving, lit, NOW, 1)
    assert (found.record.edge, found.record.site) == ("b1", B)
    unserved = under_way(world.snapshot, what, {}, {}, NOW, 1)
    assert list(unserved) == []


# ---- queues --------------------------------------------------------------------------------------


def two_queues(sales: int, help_: int) -> World:
    world = line(0)
    world.set_queue(Queue(id=HELP, needs=needs(help=1), wrap_up_s=0.0))
    world.did(OTHER, "help")
    for number in range(sales):
        world.agent(f"s{number}", site="abc"[number % 3], sales=3)
    for number in range(help_):
        world.agent(f"h{number}", site="abc"[number % 3], help=3)
    return world


def redirecting(world: World) -> Move:
    rules = rules_of(world)
    to_help = tuple(replace(did, queue=HELP) if did.number == NUMBER else did for did in rules.dids)
    return move(world.snapshot, replace(rules, dids=to_help), steady(4.0, 30.0), NOW)


def test_a_plan_that_sends_callers_to_too_few_is_shown_with_its_waits() -> None:
    found = redirecting(two_queues(sales=8, help_=3))
    assert found.before.fits
    assert not found.fits
    (queue,) = found.queues
    assert queue.queue == HELP
    assert queue.forecast.mean_wait_s == inf
    assert queue.forecast.short >= 3
    assert queue.wait_s is not None
    assert queue.wait_s > 20.0
    assert queue.level is not None
    assert queue.level < 0.8


def test_callers_whom_two_ways_lead_into_one_queue_are_all_counted() -> None:
    # A plan was active a moment ago: some of the number's callers waited where all are to go now.
    world = two_queues(sales=2, help_=3)
    what = steady(1.0, 60.0)
    (stream,) = what.streams
    what = replace(what, streams=(replace(stream, queue=HELP, talk_s=30.0), stream))
    elsewhere = replace(world.snapshot.dids[NUMBER].value, queue=HELP)
    found = move(world.snapshot, replace(rules_of(world), dids=(elsewhere,)), what, NOW)
    (whole,) = (each for each in found.after.queues if each.queue == HELP)
    own = sum(each.calls * each.talk_s for each in what.streams) / what.seconds
    assert whole.forecast.erlangs == pytest.approx(own)
    assert whole.calls > 0


def test_a_plan_that_sends_callers_to_enough_fits() -> None:
    found = redirecting(two_queues(sales=3, help_=8))
    assert not found.before.fits
    assert found.fits
    assert [each.queue for each in found.after.queues] == [HELP]


def test_a_backup_that_is_asked_at_once_counts_in_both_answers_and_nobody_else() -> None:
    """The callers are asked for as the backup asks: who suits the queue alone gets none of them."""
    world = two_queues(sales=1, help_=8)
    rules = rules_of(world)
    backed = tuple(
        replace(queue, steps=(Step(after_s=0.0, overflow=HELP),)) if queue.id == SALES else queue
        for queue in rules.queues
    )
    found = move(world.snapshot, replace(rules, queues=backed), steady(4.0, 30.0), NOW)
    assert not found.before.fits
    assert found.after.fits
    assert found.after.queues[0].forecast.suited == 8


def test_a_backup_with_too_few_people_does_not_fit_though_the_queues_own_are_many() -> None:
    """They are rung no more: neither answer counts them."""
    world = two_queues(sales=9, help_=2)
    rules = rules_of(world)
    backed = tuple(
        replace(queue, steps=(Step(after_s=0.0, overflow=HELP),)) if queue.id == SALES else queue
        for queue in rules.queues
    )
    found = move(world.snapshot, replace(rules, queues=backed), steady(4.0, 30.0), NOW)
    assert found.before.fits
    (short,) = found.queues
    assert (short.forecast.suited, short.forecast.level) == (2, 0.0)
    assert short.level is not None
    assert short.level < 0.5


def test_who_is_asked_for_less_or_more_widely_at_once_is_counted_by_that() -> None:
    world = two_queues(sales=4, help_=8)
    here = Queue(id=SALES, needs=needs(sales=9), wrap_up_s=0.0, scope=Scope(sites=(A,)))
    at_once = Step(after_s=0.0, lower=needs(sales=1), scope=Scope())
    for steps, suited in (((), 0), ((at_once,), 4), ((replace(at_once, after_s=9.0),), 0)):
        world.set_queue(replace(here, steps=steps))
        (found,) = predict(world.snapshot, steady(1.0, 10.0), NOW).queues
        assert found.forecast.suited == suited


def test_what_did_not_fit_before_and_does_not_get_worse_keeps_nobody_from_moving() -> None:
    world, what = line(2), steady(4.0, 30.0)
    away = replace(site(world, A), draining=True)
    found = move(world.snapshot, rules_of(world, sites=(away,)), what, NOW)
    assert not found.before.fits
    assert not found.after.fits
    assert found.fits


def test_callers_who_are_there_are_served_first() -> None:
    world, what = line(2), steady(0.5, 30.0)
    calm = predict(world.snapshot, what, NOW).queues[0]
    for number in range(6):
        world.ticket(number, sales=1)
    world.ticket(7, sales=1, state=TicketState.CONNECTED, agent="s00")
    busy = predict(world.snapshot, what, NOW).queues[0]
    assert busy.calls == calm.calls, "who is there already is no caller to come"
    assert (busy.wait_s or 0.0) > (calm.wait_s or 0.0) + 5.0


def test_agents_whose_home_died_and_who_came_to_another_site_are_counted_there() -> None:
    world, what = line(3), steady(0.5, 10.0)
    world.move("s02", "a", home="c")
    world.presence("s02", site="a")
    found = predict(world.snapshot, what, NOW, lost=frozenset({C}))
    assert [each.agents for each in found.sites] == [2, 1, 0]
    assert found.queues[0].forecast.suited == 3


def test_a_full_queue_turns_callers_away_and_that_is_no_service() -> None:
    world = line(0)
    found = predict(world.snapshot, steady(2.0, 10.0), NOW).queues[0]
    assert (found.level, found.wait_s, found.never) == (0.0, None, found.calls)


def test_nobody_called_and_everything_fits() -> None:
    found = predict(line(3).snapshot, coming([], WALL_MS, 600.0), NOW)
    assert found.fits
    assert found.queues == ()


def record(number: int, did: DidNumber, via: SiteId) -> CallRecord:
    return CallRecord(
        call=call_id(number),
        did=did,
        queue=SALES,
        outcome=Outcome.ANSWERED,
        cause="x",
        edge=EdgeId(f"{via}1"),
        site=via,
        via=via,
        sip_call_id=str(number),
        arrived_ms=WALL_MS - 60_000 + number * 1000,
        queued_ms=WALL_MS - 60_000,
        connected_ms=WALL_MS - 55_000,
        ended_ms=WALL_MS - 45_000,
    )


def test_a_number_that_is_known_no_more_frightens_nobody() -> None:
    what = coming([record(n, DidNumber("1"), A) for n in range(20)], WALL_MS, 600.0)
    assert predict(line(3).snapshot, what, NOW).sites[0].calls_per_s > 0.0


def closing(minute: int, *, closed_queue: QueueId | None = None) -> World:
    """Return a center with one agent, for another queue, whose number closes at that minute."""
    world = line(0)
    world.agent("night", site="a", help=3)
    world.set_queue(Queue(id=HELP, needs=needs(help=1), wrap_up_s=0.0))
    week = tuple((Opening(begin=0, end=minute),) for _ in range(7))
    calendar = Calendar(id=CalendarId("office"), zone="UTC", week=week)
    world.put(keys.calendar(calendar.id), calendar)
    did = Did(number=NUMBER, queue=SALES, calendar=calendar.id, closed_queue=closed_queue)
    world.put(keys.did(NUMBER), did)
    return world


def test_to_a_number_that_is_closed_nobody_comes_and_who_found_it_so_is_no_load() -> None:
    came = [record(n, NUMBER, A) for n in range(20)]
    sent_away = [
        replace(each, outcome=Outcome.REFUSED, cause="closed", connected_ms=None) for each in came
    ]
    shut, day = closing(60), line(3)
    assert predict(shut.snapshot, coming(came, WALL_MS, 600.0), NOW).fits
    assert predict(day.snapshot, coming(sent_away, WALL_MS, 600.0), NOW).queues == ()


def test_at_night_callers_are_those_of_the_queue_for_the_night() -> None:
    shut, what = closing(60, closed_queue=HELP), steady(0.3, 10.0)
    (found,) = predict(shut.snapshot, what, NOW).queues
    assert (found.queue, found.forecast.suited) == (HELP, 1)
    assert found.level is not None
    assert found.level > 0.8
    dawn = closing(24 * 60, closed_queue=HELP)
    night = replace(what.streams[0], queue=HELP)
    (found,) = predict(dawn.snapshot, replace(what, streams=(night,)), NOW).queues
    assert found.queue == SALES


def test_who_comes_after_closing_time_is_turned_away_by_intent() -> None:
    world, soon = line(9), closing(22 * 60 + 14)  # it is 22:13:20
    for key in (keys.calendar(CalendarId("office")), keys.did(NUMBER)):
        world.put(key, soon.snapshot.raw[key].value)
    (found,) = predict(world.snapshot, steady(3.0, 10.0), NOW).queues
    assert 0 < found.calls < 40, "in forty seconds, and not in five minutes"
    assert (found.turned_away, found.fits) == (0, True)


def test_all_proxies_calls_are_told_apart() -> None:
    records = [record(n, NUMBER, B if n % 4 else A) for n in range(40)]
    found = predict(line(3).snapshot, coming(records, WALL_MS, 600.0), NOW)
    assert rates(found)["b"] == pytest.approx(3 * rates(found)["a"], rel=1e-5)


def test_calls_that_took_no_time_need_nobody() -> None:
    brief = replace(record(1, NUMBER, A), connected_ms=WALL_MS, ended_ms=WALL_MS, decision=None)
    world = line(3)
    what = coming([brief], WALL_MS, 600.0)
    streams = tuple(replace(each, ring_s=0.0) for each in what.streams)
    found = predict(world.snapshot, replace(what, streams=streams), NOW)
    assert found.queues[0].forecast.short == 0
    assert agents_needed(1.0, 0.0, 20.0, 0.8) == 0


def test_clocks_that_were_set_and_loads_beyond_reason_end_in_an_answer() -> None:
    mad = replace(record(1, NUMBER, A), ended_ms=WALL_MS + 10**14)
    found = predict(line(3).snapshot, coming([mad], WALL_MS, 600.0), NOW)
    assert found.queues[0].forecast.mean_wait_s == inf
    assert not found.fits
