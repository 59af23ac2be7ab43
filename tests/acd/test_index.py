"""The index is the match, kept up to date: after any history both give the same offers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.eligibility import RESERVED_AHEAD_S
from edge.acd.index.group import Group
from edge.acd.index.index import MatchIndex
from edge.acd.match import PASSED_OVER, Offering, match, next_due_s
from loadtests.bench.routing.world import Center
from state import keys
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    Heir,
    Now,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    ScoreWeights,
    SiteId,
    Step,
    TenantId,
    TicketState,
    Work,
)
from tests.acd.test_match import AGENTS, LEVELS, QUEUES, SITES, TENANTS, worlds
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, at, call_id, needs, ticket

THOROUGH = settings(PATIENT, max_examples=40)


class Moment:
    """A world as time goes by, and what has been asked for in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = NOW
        self.unreachable: frozenset[SiteId] = frozenset()
        self.asked: dict[CallId, AgentId] = {}

    def put(self, key: str, record: Presence | Work) -> None:
        """Write a record that is seen now."""
        self.world.put(key, record, seen_s=self.now.mono_s)

    def pass_time(self, seconds: float, wall_error_ms: int) -> None:
        """Let time pass; the wall clock is a little off."""
        later = at(self.now.mono_s - NOW.mono_s + seconds)
        self.now = Now(mono_s=later.mono_s, wall_ms=later.wall_ms + wall_error_ms)


Change = Callable[[Moment], object]


def _ticket(
    number: int,
    state: TicketState,
    wants: dict[str, int],
    tried: list[str],
    by: str | None,
) -> Change:
    def change(moment: Moment) -> None:
        record = ticket(
            number,
            state=state,
            wants=wants,
            tried=tuple(tried),
            priority=number % 2,
            holder="abc"[number % 3] + "1",
            queue=("sales", "help", "gone")[number % 5 % 3],
            by=by,
        )
        if number % 3:
            earlier = tuple(call_id(each) for each in range(number % 3, 12, 3))
            record = replace(record, again_of=earlier)
        if number % 5 == 0:
            record = replace(record, tenant=TenantId("acme"))
        if number % 4 == 0:
            record = replace(record, prefers=AgentId(AGENTS[number % 3]), prefers_for_s=15.0)
        moment.world.put(keys.ticket(record.call), record, seen_s=moment.now.mono_s)

    return change


def _inherit(number: int) -> Change:
    def change(moment: Moment) -> None:
        record = Heir(call=call_id(number), heir=call_id(99))
        moment.world.put(keys.heir(record.call), record)

    return change


def _rent(name: str, tenant: TenantId) -> Change:
    def change(moment: Moment) -> None:
        entry = moment.world.snapshot.agents.get(AgentId(name))
        if entry is not None:
            moment.world.put(keys.agent(AgentId(name)), replace(entry.value, tenant=tenant))

    return change


def _move(name: str, site: str) -> Change:
    def change(moment: Moment) -> None:
        moment.world.move(name, site, home="a")

    return change


def _work(name: str, rest_s: float, busy_s: int, ended_s: int) -> Change:
    def change(moment: Moment) -> None:
        ended_ms = moment.now.wall_ms - 1000 * ended_s
        agent = AgentId(name)
        work = Work(agent=agent, rest_s=rest_s, busy_s=busy_s, idle_s=9, ended_ms=ended_ms)
        moment.put(keys.work(agent), work)

    return change


def _presence(name: str, state: PresenceState, site: str, since_s: int) -> Change:
    def change(moment: Moment) -> None:
        since_ms = moment.now.wall_ms - 1000 * since_s
        agent = AgentId(name)
        said = Presence(agent=agent, site=SiteId(site), state=state, since_ms=since_ms)
        moment.put(keys.presence(agent), said)

    return change


def _ask(number: int, name: str | None) -> Change:
    def change(moment: Moment) -> None:
        moment.asked.pop(call_id(number), None)
        if name is not None:
            moment.asked[call_id(number)] = AgentId(name)

    return change


def _cut_off(sites: frozenset[SiteId]) -> Change:
    def change(moment: Moment) -> None:
        moment.unreachable = sites

    return change


NAMES = st.sampled_from(AGENTS)
NUMBERS = st.integers(0, 12)
TRIED = st.lists(NAMES, max_size=2, unique=True)
WANTS = st.sampled_from([{"sales": 1}, {"sales": 5}, {"help": 2, "french": 3}, {}])
STATES = st.sampled_from([TicketState.QUEUED] * 3 + [TicketState.OFFERED])
CHANGES = st.one_of(
    st.builds(_ticket, NUMBERS, STATES, WANTS, TRIED, st.one_of([st.none()] * 3 + [NAMES])),
    st.builds(lambda n: lambda m: m.world.drop(keys.ticket(call_id(n))), NUMBERS),
    st.builds(_inherit, NUMBERS),
    st.builds(lambda n: lambda m: m.world.drop(keys.heir(call_id(n))), NUMBERS),
    st.builds(_work, NAMES, st.sampled_from([0.0, 2.0]), st.integers(0, 50), st.integers(-9, 400)),
    st.builds(_move, NAMES, st.sampled_from("abc")),
    st.builds(
        _presence,
        NAMES,
        st.sampled_from([PresenceState.READY] * 2 + [PresenceState.PAUSED]),
        st.sampled_from("aaab"),
        st.integers(-9, 400),
    ),
    st.builds(lambda name: lambda m: m.world.offer(name), NAMES),
    st.builds(
        lambda name, make: lambda m: m.world.drop(make(AgentId(name))),
        NAMES,
        st.sampled_from([keys.offer, keys.offer, keys.work, keys.agent]),
    ),
    st.builds(
        lambda name, make: lambda m: m.world.put(make(AgentId(name)), b"rubbish"),
        NAMES,
        st.sampled_from([keys.offer, keys.work]),
    ),
    st.builds(lambda name, has: lambda m: m.world.agent(name, **has), NAMES, LEVELS),
    st.builds(_rent, NAMES, TENANTS),
    st.builds(lambda queue: lambda m: m.world.set_queue(queue), QUEUES),
    st.builds(_ask, NUMBERS, st.one_of(st.none(), NAMES, st.just(PASSED_OVER))),
    st.builds(_cut_off, SITES),
    st.builds(lambda s: lambda m: m.world.probe("a1", down=s), st.sampled_from(["", "a", "b"])),
    st.builds(
        lambda ms: lambda m: m.world.site("a", sip="198.18.1.10:5060", b=ms, c=100 - ms),
        st.sampled_from([0, 100]),
    ),
    st.just(lambda m: m.world.drop(keys.edge(EdgeId("b1")))),
    st.just(lambda m: m.world.edge("b1", sip="198.18.2.10:5081")),
    st.builds(
        lambda s, error_ms: lambda m: m.pass_time(s, error_ms),
        st.sampled_from([0.0, 0.001, 1.0, 5.0, 7.0, 300.0]),
        st.sampled_from([0, 0, 1, 30, -30, 600_000]),
    ),
)


@given(
    world=worlds(),
    history=st.lists(st.tuples(CHANGES, st.booleans()), max_size=30),
    going=st.sampled_from([0, 1, 32]),
)
@THOROUGH
def test_after_any_history_it_offers_what_a_match_from_nothing_does(
    world: World, history: list[tuple[Change, bool]], going: int
) -> None:
    """`going`: so many who are given away are looked at anew before they are counted."""
    patch = mock.patch.multiple
    with (
        patch("edge.acd.match", RUNNERS_UP=1),
        patch("edge.acd.index.rounds", RUNNERS_UP=1),
        patch("edge.acd.index.crew", MOST_GOING=going),
    ):
        check(world, history)


def check(world: World, history: list[tuple[Change, bool]]) -> None:
    """Hold the index against the match after each change that is looked at.

    One runner-up is asked for, so that not everybody is looked at anyway.
    """
    moment = Moment(world)
    everyones, ours = MatchIndex(), MatchIndex(EdgeId("a1"))
    for change, is_looked_at in [*history, (lambda _: None, True)]:
        change(moment)
        everyones.fold(world.snapshot, world.deltas)
        ours.fold(world.snapshot, world.deltas)
        world.deltas.clear()
        if is_looked_at:
            expected = match(
                world.snapshot, moment.now, unreachable=moment.unreachable, asked=moment.asked
            )
            found = everyones.offers(moment.now, unreachable=moment.unreachable, asked=moment.asked)
            assert found == expected
            own = ours.offers(moment.now, unreachable=moment.unreachable, asked=moment.asked)
            assert own == tuple(each for each in expected if each.holder == "a1")


@pytest.mark.parametrize(
    ("is_busy", "going", "burst"),
    [(True, 32, 4), (False, 32, 4), (True, 0, 4), (False, 1, 4), (True, 1, 60)],
)
def test_a_whole_center_is_served_as_by_a_match_while_it_works(
    monkeypatch: pytest.MonkeyPatch, *, is_busy: bool, going: int, burst: int
) -> None:
    """The benchmark's own, small: many queues, strategies, steps and aging, long lines.

    `burst`: so many events, less one, at most between two looks.
    """
    monkeypatch.setattr("edge.acd.index.crew.MOST_GOING", going)
    random = Random(7)  # noqa: S311 - a repeatable world
    center = Center(60, random)
    center.furnish(40, is_busy=is_busy)
    index = MatchIndex()
    index.fold(center.snapshot, ())
    asked: dict[CallId, AgentId] = {}
    served = 0
    for _ in range(80):
        offers = index.offers(center.now, asked=asked)
        assert offers == match(center.snapshot, center.now, asked=asked)
        for call in random.sample(sorted(asked), len(asked) // 2):
            agent = asked.pop(call)
            if random.random() < 0.8:
                center.gives(call, agent)
                center.leaves(call)
                served += 1
        if random.random() < 0.8:
            asked |= {each.call: each.agent for each in offers}
        for _ in range(random.randrange(burst)):
            busy = center.somebody_busy()
            if busy is None or random.random() < 0.5:
                center.arrives()
            else:
                center.becomes_free(busy)
        center.now_s += random.choice([0.0, 0.5, 5.0, 40.0])
        index.fold(center.snapshot, center.take_deltas())
    assert served > 30


def test_a_call_is_lifted_by_one_of_another_class_while_nobody_looks_at_its_own() -> None:
    world = World()
    world.set_queue(Queue(id=QueueId("sales"), needs=(), aging_s=10.0, aging_ceiling=9))
    world.queue("vip")
    world.queue("boss")
    world.set_ticket(ticket(1, sales=1))
    world.set_ticket(ticket(2, sales=1, french=9), waits_s=25.0)
    world.set_ticket(ticket(3, sales=1, queue="vip", priority=3))
    boss = world.set_ticket(ticket(4, help=1, queue="boss", priority=9))
    world.agent("bob", sales=1, help=1)
    index = indexed(world)
    assert pairs(index.offers(NOW)) == [(4, "bob")]
    world.agent("ann", sales=1)
    index.fold(world.snapshot, world.deltas)
    asked = {boss: AgentId("bob")}
    assert pairs(match(world.snapshot, at(1), asked=asked)) == [(3, "ann")]
    assert pairs(index.offers(at(6), asked=asked)) == [(1, "ann")]


def indexed(world: World, edge: str | None = None) -> MatchIndex:
    index = MatchIndex(None if edge is None else EdgeId(edge))
    index.fold(world.snapshot, world.deltas)
    world.deltas.clear()
    return index


def pairs(offerings: tuple[Offering, ...]) -> list[tuple[int, str]]:
    return [(int(each.call, 16), each.agent) for each in offerings]


def test_what_was_offered_and_not_asked_for_goes_to_somebody_better_who_comes() -> None:
    world = World()
    world.agent("bob", sales=9)
    world.ticket(1, sales=1)
    index = indexed(world)
    assert pairs(index.offers(NOW)) == [(1, "bob")]
    world.agent("ann", sales=1)
    index.fold(world.snapshot, world.deltas)
    assert pairs(index.offers(NOW)) == [(1, "ann")]


def test_the_order_of_the_idle_follows_the_clock_past_the_point_where_idle_time_is_full() -> None:
    world = World()
    world.agent("fresh", since_ms=WALL_MS, sales=1)
    world.agent("veteran", since_ms=WALL_MS - 200_000, sales=2)
    for number in range(12):
        world.agent(f"old{number:02}", since_ms=WALL_MS - 190_000, sales=2)
    index = indexed(world)
    index.offers(NOW)
    for seconds, winner in ((0, "veteran"), (1, "veteran"), (299, "fresh"), (400, "fresh")):
        world.ticket(seconds, sales=1)
        index.fold(world.snapshot, world.deltas)
        expected = match(world.snapshot, at(seconds))
        assert [each.agent for each in expected] == [winner]
        assert index.offers(at(seconds)) == expected
        world.drop(keys.ticket(call_id(seconds)))
        index.fold(world.snapshot, world.deltas)


def test_callers_age_while_nobody_looks_at_them() -> None:
    world = World()
    world.set_queue(Queue(id=QueueId("sales"), needs=(), aging_s=10.0))
    world.set_queue(Queue(id=QueueId("vip"), needs=()))
    world.set_ticket(ticket(1, sales=1))
    world.set_ticket(ticket(2, sales=1, queue="vip", priority=3))
    index = indexed(world, "a1")
    assert index.offers(NOW) == ()
    world.agent("ann", sales=1)
    index.fold(world.snapshot, world.deltas)
    assert pairs(index.offers(at(29))) == [(2, "ann")]
    assert pairs(index.offers(at(31))) == [(1, "ann")]


@pytest.mark.parametrize("going", [0, 1, 32])
def test_who_is_asked_for_counts_as_taken_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, going: int
) -> None:
    monkeypatch.setattr("edge.acd.index.crew.MOST_GOING", going)
    world = World()
    names = [AgentId(name) for name in ("ann", "bob", "cyd", "dan")]
    asked = {}
    for number, name in enumerate(names, start=1):
        world.agent(name, sales=number)
        asked[world.ticket(number, sales=1)] = name
    index = indexed(world)
    while True:
        offers = index.offers(NOW, asked=asked)
        assert offers == match(world.snapshot, NOW, asked=asked)
        assert [each.decision.excluded.get("taken", 0) for each in offers] == [
            len(asked) + earlier for earlier in range(len(offers))
        ]
        if not asked:
            break
        asked.popitem()


def test_an_agent_who_is_asked_for_no_more_is_there_for_the_next() -> None:
    world = World()
    world.agent("ann", sales=1)
    first = world.ticket(1, sales=1)
    world.ticket(2, sales=1)
    index = indexed(world)
    assert index.offers(NOW, asked={first: AgentId("ann")}) == ()
    world.drop(keys.ticket(first))
    index.fold(world.snapshot, world.deltas)
    assert pairs(index.offers(NOW)) == [(2, "ann")]


def test_an_offer_that_cannot_be_read_and_makes_no_delta_is_seen() -> None:
    world = World()
    ann = world.agent("ann", sales=1)
    index = indexed(world)
    assert index.offers(NOW) == ()
    world.put(keys.offer(ann), b"rubbish")
    world.ticket(1, sales=1)
    index.fold(world.snapshot, world.deltas)
    assert index.offers(NOW) == ()
    world.drop(keys.offer(ann))
    index.fold(world.snapshot, world.deltas)
    assert pairs(index.offers(NOW)) == [(1, "ann")]


def test_a_queue_a_site_or_a_probe_that_changes_changes_what_its_calls_ask_for() -> None:
    world = World()
    far = ScoreWeights(distance=5.0)
    world.queue("sales", weights=far)
    world.site("a", sip="198.18.1.10:5060", b=10, c=200)
    world.agent("bob", site="b", sales=1)
    world.agent("cyd", site="c", sales=1)
    world.ticket(1, sales=1)
    index = indexed(world)
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: None, "bob"),
        (lambda: world.site("a", sip="198.18.1.10:5060", b=200, c=10), "cyd"),
        (lambda: world.probe("a1", down="c"), "bob"),
        (lambda: world.probe("a1"), "cyd"),
        (lambda: world.queue("sales", weights=ScoreWeights(distance=0.0)), "bob"),
    ]
    for change, winner in changes:
        change()
        index.fold(world.snapshot, world.deltas)
        world.deltas.clear()
        assert pairs(index.offers(NOW)) == [(1, winner)]
        assert index.offers(NOW) == match(world.snapshot, NOW)


def test_a_wall_clock_that_was_put_right_is_followed() -> None:
    world = World()
    world.queue("sales", weights=ScoreWeights(skill_fit=0.0, load=0.0))
    for number in range(12):
        world.agent(f"bob{number:02}", since_ms=WALL_MS - 10_000 * number, sales=1)
    index = indexed(world)
    index.offers(NOW)
    for step_ms in (0, -3_600_000, 3_600_000):
        now = Now(mono_s=NOW.mono_s + 1, wall_ms=WALL_MS + step_ms)
        world.ticket(1, sales=1)
        index.fold(world.snapshot, world.deltas)
        assert index.offers(now) == match(world.snapshot, now)


@pytest.mark.parametrize("edge", ["a1", "b1"])
def test_it_is_due_when_an_agent_is_nearly_rested_or_a_step_falls_due_for_this_edges_calls(
    edge: str,
) -> None:
    world = World()
    step = Step(after_s=20.0, lower=needs(sales=1))
    world.set_queue(Queue(id=QueueId("sales"), needs=(), steps=(step,), aging_s=3.0))
    world.set_ticket(ticket(1, sales=5, holder="a1"), waits_s=5.0)
    world.agent("ann", sales=2)
    index = indexed(world, edge)
    assert index.offers(NOW) == ()
    ours = [call_id(1)] if edge == "a1" else []
    due_s = next_due_s(world.snapshot, NOW, ours)
    assert index.next_due_s() == (None if due_s is None else pytest.approx(due_s))
    world.work("ann", seen_s=NOW.mono_s, rest_s=2.0)
    index.fold(world.snapshot, world.deltas)
    assert index.offers(NOW) == ()
    assert index.next_due_s() == NOW.mono_s + 2.0 - RESERVED_AHEAD_S
    index.offers(at(2))
    offered = pairs(index.offers(at(15)))
    assert offered == ([(1, "ann")] if edge == "a1" else [])


LEVELLED = st.tuples(st.integers(0, 6), st.integers(0, 9), st.one_of(st.none(), st.integers(0, 4)))


@given(changes=st.lists(LEVELLED, max_size=40))
@PATIENT
def test_a_group_lifts_each_call_to_the_level_of_any_behind_it(
    changes: list[tuple[int, int, int | None]],
) -> None:
    group = Group()
    levels: dict[tuple[int, CallId], int] = {}
    for place, number, level in changes:
        standing = (place, call_id(number))
        if any(other[1] == standing[1] and other != standing for other in levels):
            continue
        if level is not None:
            group.put(standing, level)
            levels[standing] = level
        elif levels.pop(standing, None) is not None:
            group.drop(standing)
        for each in levels:
            lifted = max(own for other, own in levels.items() if other >= each)
            assert group.level_at(each) == lifted
    assert len(group) == len(levels)
