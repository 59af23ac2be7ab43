from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from edge.acd.eligibility import (
    RESERVED_AHEAD_S,
    agent_facts,
    ineligible_because,
    out_of_reach,
)
from edge.acd.explain import explain
from edge.acd.line import waiting_calls
from edge.acd.match import PASSED_OVER, Offering, match, next_due_s
from edge.acd.relaxation import effective_now
from state import keys
from state.model import (
    ANYBODY,
    MAIN,
    AgentId,
    AttributeNeed,
    CallId,
    EdgeId,
    Entry,
    Now,
    OfferState,
    PresenceState,
    Queue,
    QueueId,
    Scope,
    ScoreWeights,
    SiteId,
    SkillId,
    Step,
    Strategy,
    TenantId,
    TicketState,
)
from state.snapshot import Snapshot
from tests.acd.oracle import naive_match
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, at, needs, ticket

K = TypeVar("K", AgentId, CallId)
T = TypeVar("T")


def pairs(offerings: tuple[Offering, ...]) -> list[tuple[int, str]]:
    return [(int(each.call, 16), each.agent) for each in offerings]


def test_with_nobody_waiting_there_is_nothing_to_offer() -> None:
    world = World()
    world.agent("ann", sales=1)
    assert match(world.snapshot, NOW) == ()


def test_a_call_gets_the_agent_who_suits_it_best() -> None:
    world = World()
    world.agent("expert", sales=9, help=9)
    world.agent("fits", sales=3)
    world.ticket(1, sales=3)
    assert pairs(match(world.snapshot, NOW)) == [(1, "fits")]


def test_calls_are_served_by_priority_and_then_in_the_order_of_arrival() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    for number, priority in ((1, 0), (2, 0), (3, 5)):
        world.ticket(number, priority=priority, sales=1)
    assert pairs(match(world.snapshot, NOW)) == [(3, "ann"), (1, "bob")]


def test_a_caller_keeps_their_place_when_the_ticket_is_written_again() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.ticket(1, state=TicketState.GREETING, sales=1)
    world.ticket(2, sales=1)
    world.ticket(1, sales=1)
    assert pairs(match(world.snapshot, NOW)) == [(1, "ann")]


def test_a_call_whose_skill_nobody_free_has_holds_nobody_up() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.ticket(1, french=1)
    world.ticket(2, sales=1)
    assert pairs(match(world.snapshot, NOW)) == [(2, "ann")]


@pytest.mark.parametrize(
    "state", [TicketState.GREETING, TicketState.OFFERED, TicketState.CONNECTED]
)
def test_only_tickets_that_are_queued_are_matched(state: TicketState) -> None:
    world = World()
    world.agent("ann", sales=1)
    world.ticket(1, state=state, sales=1)
    assert match(world.snapshot, NOW) == ()


def test_a_call_whose_holder_is_dead_takes_no_agent_from_the_living() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.ticket(1, holder="b1", sales=1)
    world.ticket(2, holder="a1", sales=1)
    assert pairs(match(world.snapshot, NOW)) == [(1, "ann")]
    world.drop(keys.edge(EdgeId("b1")))
    assert pairs(match(world.snapshot, NOW)) == [(2, "ann")]


def test_an_agent_whom_the_holder_cannot_ring_is_not_kept_from_the_next_caller() -> None:
    world = World()
    world.agent("bob", site="b", sales=1)
    world.ticket(1, holder="a1", sales=1)
    world.ticket(2, holder="b1", sales=1)
    assert pairs(match(world.snapshot, NOW)) == [(1, "bob")]
    world.probe("a1", down="b")
    assert pairs(match(world.snapshot, NOW)) == [(2, "bob")]
    world.agent("cyd", site="c", sales=1)
    first, second = match(world.snapshot, NOW)
    assert pairs((first, second)) == [(1, "cyd"), (2, "bob")]
    assert first.decision.excluded == {"site_unreachable": 1}


def test_a_call_that_has_asked_for_an_agent_who_is_free_holds_nobody_up() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    first = world.ticket(1, sales=1)
    world.ticket(2, sales=1)
    asked = {first: AgentId("ann")}
    assert pairs(match(world.snapshot, NOW, asked=asked)) == [(2, "bob")]


def test_a_call_whose_request_is_bound_to_fail_is_not_overtaken_meanwhile() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=1)
    first = world.ticket(1, sales=1)
    world.ticket(2, sales=1)
    asked = {first: AgentId("ann")}
    world.presence("ann", state=PresenceState.PAUSED)
    assert pairs(match(world.snapshot, NOW, asked=asked)) == [(1, "bob")]


def test_all_callers_of_a_silent_edge_are_passed_over_and_keep_their_places() -> None:
    world = World()
    world.agent("ann", sales=3)
    first = world.ticket(1, holder="b1", sales=3)
    world.ticket(2, holder="b1", sales=3)
    world.ticket(3, sales=3)
    asked = {first: PASSED_OVER}
    assert pairs(match(world.snapshot, NOW, asked=asked)) == [(3, "ann")]
    world.agent("bob", sales=5)
    assert pairs(match(world.snapshot, NOW, asked=asked)) == [(3, "ann")]
    assert pairs(match(world.snapshot, NOW)) == [(1, "ann"), (2, "bob")]
    world.drop(keys.ticket(first))
    assert pairs(match(world.snapshot, NOW, asked=asked)) == [(2, "ann"), (3, "bob")]


def test_who_was_tried_for_the_call_comes_after_all_who_were_not() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=9)
    world.ticket(1, tried=("ann",), sales=1)
    (offering,) = match(world.snapshot, NOW)
    assert offering.agent == "bob"
    assert offering.decision.excluded == {"tried_before": 1}
    assert offering.decision.runners_up == ()


def test_the_only_skilled_agent_is_offered_the_call_again_lest_the_caller_starve() -> None:
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", help=1)
    world.ticket(1, tried=("ann", "bob"), sales=1)
    (offering,) = match(world.snapshot, NOW)
    assert offering.agent == "ann"
    assert offering.decision.excluded == {"missing_skill": 1}


def test_an_offering_names_the_revisions_on_which_it_rests() -> None:
    world = World()
    world.agent("ann", sales=1)
    presence = world.snapshot.presences[AgentId("ann")].mod_revision
    world.ticket(1, sales=1)
    ticket = world.snapshot.revision
    (first,) = match(world.snapshot, NOW)
    assert (first.ticket_revision, first.presence_revision, first.work_revision) == (
        ticket,
        presence,
        0,
    )
    world.work("ann")
    (second,) = match(world.snapshot, NOW)
    assert second.work_revision == world.snapshot.revision
    assert second.holder == "a1"


def test_a_decision_says_who_won_who_came_next_and_who_was_left_out_why() -> None:
    world = World()
    world.queue("sales", weights=ScoreWeights(skill_fit=2.0, load=1.0, idle=0.0), sales=1)
    world.agent("ann", sales=1)
    world.agent("bob", sales=3)
    world.agent("cyd", help=3)
    world.agent("dan", state=PresenceState.PAUSED, sales=1)
    world.agent("eve", site="b", sales=1)
    world.ticket(1, sales=1)
    world.ticket(2, sales=1)
    first, second = match(world.snapshot, NOW, unreachable=frozenset({SiteId("b")}))
    assert first.decision.revision == world.snapshot.revision
    assert first.decision.wall_ms == WALL_MS
    assert (first.decision.winner, first.decision.score) == ("ann", 3.0)
    assert first.decision.parts == {"skill_fit": 2.0, "load": 1.0, "idle": 0.0}
    assert first.decision.runners_up == (("bob", 2.0),)
    excluded = {"paused": 1, "site_unreachable": 1, "missing_skill": 1}
    assert first.decision.excluded == excluded
    assert second.decision.excluded == excluded | {"taken": 1}
    assert second.decision.runners_up == ()


def test_at_most_ten_runners_up_are_kept() -> None:
    world = World()
    for number in range(14):
        world.agent(f"agent{number:02}", sales=1)
    world.ticket(1, sales=1)
    (offering,) = match(world.snapshot, NOW)
    runners_up = [agent for agent, _ in offering.decision.runners_up]
    assert runners_up == [f"agent{number:02}" for number in range(1, 11)]


def test_an_agent_whose_offer_cannot_be_read_is_not_offered() -> None:
    world = World()
    ann = world.agent("ann", sales=1)
    world.put(keys.offer(ann), b"rubbish")
    world.ticket(1, sales=1)
    assert match(world.snapshot, NOW) == ()


def test_a_match_is_due_again_a_little_before_the_next_rest_ends() -> None:
    world = World()
    world.agent("ann", sales=1)
    assert next_due_s(world.snapshot, NOW) is None
    world.work("ann", seen_s=NOW.mono_s, rest_s=5.0)
    world.work("bob", seen_s=NOW.mono_s, rest_s=3.0)
    world.ticket(1, sales=1)
    ahead_s = RESERVED_AHEAD_S
    assert next_due_s(world.snapshot, NOW) == NOW.mono_s + 3.0 - ahead_s
    assert next_due_s(world.snapshot, at(3 - ahead_s)) == NOW.mono_s + 5.0 - ahead_s
    assert match(world.snapshot, at(4.99 - ahead_s)) == ()
    assert pairs(match(world.snapshot, at(5 - ahead_s))) == [(1, "ann")]
    assert next_due_s(world.snapshot, at(5 - ahead_s)) is None


# ---- properties ----------------------------------------------------------------------------------

SKILLS = ["sales", "help", "french"]
LEVELS = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 10), max_size=3)
NEEDS = st.sampled_from([{"sales": 1}, {"sales": 5}, {"help": 2, "french": 3}, {}])
AGENTS = [f"agent{number}" for number in range(8)]
TENANTS = st.sampled_from([MAIN, MAIN, TenantId("acme")])


GOLD = {"tier": ("gold",)}
RED = Scope(teams=("red",))
STEPS = st.sampled_from(
    [
        Step(after_s=10.0, lower=needs(sales=1, help=1), raise_priority=1),
        Step(after_s=15.0, drop=(SkillId("french"),), drop_attributes=("tier",)),
        Step(after_s=5.0, drop_preference=True),
        Step(after_s=20.0, scope=Scope(sites=(SiteId("a"),))),
        Step(after_s=20.0, overflow=QueueId("help")),
        Step(after_s=30.0, scope=ANYBODY),
    ]
)
QUEUES = st.builds(
    lambda scope, steps, strategy, aging_s: Queue(
        id=QueueId("sales"),
        needs=(),
        scope=scope,
        steps=tuple(steps),
        strategy=strategy,
        aging_s=aging_s,
        aging_ceiling=2,
    ),
    st.sampled_from([ANYBODY, ANYBODY, RED]),
    st.lists(STEPS, max_size=4),
    st.sampled_from([Strategy.WEIGHTED, *Strategy]),
    st.sampled_from([None, None, 7.0]),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    weights = draw(st.sampled_from([ScoreWeights(), ScoreWeights(load=3.0, distance=2.0)]))
    world.set_queue(replace(draw(QUEUES), weights=weights))
    world.queue("help", help=1)
    world.site("a", sip="198.18.1.10:5060", b=10, c=500)
    for name in AGENTS:
        kind = draw(st.sampled_from(["ready"] * 4 + ["paused", "out", "busy", "resting", "worked"]))
        presence = PresenceState.PAUSED if kind == "paused" else PresenceState.READY
        state = None if kind == "out" else presence
        site = draw(st.sampled_from("abc"))
        world.agent(name, site=site, state=state, **draw(LEVELS))
        if draw(st.booleans()):
            agent = world.snapshot.agents[AgentId(name)].value
            rented = replace(agent, team="red", attributes=GOLD, tenant=draw(TENANTS))
            world.put(keys.agent(agent.id), rented)
        if kind == "busy":
            world.offer(name, state=draw(st.sampled_from(OfferState)))
        elif kind == "resting":
            world.work(name, seen_s=NOW.mono_s, rest_s=2.0)
        elif kind == "worked":
            busy_s, ended_s = draw(st.integers(0, 100)), draw(st.integers(-1000, 1000))
            ended_ms = WALL_MS - 1000 * ended_s
            world.work(name, busy_s=busy_s, idle_s=50, ended_ms=ended_ms, seen_s=NOW.mono_s - 20)
    for number in range(draw(st.integers(0, 10))):
        record = ticket(
            number,
            state=draw(st.sampled_from([TicketState.QUEUED] * 4 + [TicketState.GREETING])),
            holder=draw(st.sampled_from(["a1", "b1", "c1"])),
            queue=draw(st.sampled_from(["sales", "gone"])),
            priority=draw(st.integers(0, 1)),
            tried=tuple(draw(st.lists(st.sampled_from(AGENTS), max_size=3, unique=True))),
            wants=draw(NEEDS),
        )
        if draw(st.booleans()):
            record = replace(
                record,
                any_of=draw(st.sampled_from([(), (needs(help=3, french=2),)])),
                attributes=draw(st.sampled_from([(), (AttributeNeed(name="tier", value="gold"),)])),
                tenant=draw(TENANTS),
                prefers=draw(st.sampled_from([None, AgentId(AGENTS[0])])),
                prefers_for_s=draw(st.sampled_from([0.0, 15.0])),
            )
        world.set_ticket(record, waits_s=draw(st.sampled_from([0.0, 10.0, 20.0, 60.0])))
    for edge in draw(st.sets(st.sampled_from(["a1", "b1"]))):
        world.probe(edge, down=draw(st.sampled_from(["a", "b", "bc", ""])))
    if draw(st.booleans()):
        world.drop(keys.edge(EdgeId("c1")))
    return world


SITES = st.frozensets(st.sampled_from([SiteId("a"), SiteId("b")]), max_size=1)


@given(world=worlds(), unreachable=SITES)
@PATIENT
def test_no_caller_is_offered_to_another_tenants_agent(
    world: World, unreachable: frozenset[SiteId]
) -> None:
    for offering in match(world.snapshot, NOW, unreachable=unreachable):
        ticket_of = world.snapshot.tickets[offering.call].value
        assert world.snapshot.agents[offering.agent].value.tenant == ticket_of.tenant


def test_agents_of_another_tenant_are_counted_as_such_whatever_they_can_do() -> None:
    world = World()
    world.queue("sales", sales=1)
    for name, tenant in (("ann", MAIN), ("bob", TenantId("acme")), ("cyd", TenantId("acme"))):
        world.agent(name, sales=5 if name != "cyd" else 0)
        agent = world.snapshot.agents[AgentId(name)].value
        world.put(keys.agent(agent.id), replace(agent, tenant=tenant))
    world.ticket(1, sales=1)
    (offering,) = match(world.snapshot, NOW)
    assert (offering.agent, offering.decision.excluded) == ("ann", {"another_tenant": 2})


def test_an_overflow_to_another_tenants_queue_is_passed_over() -> None:
    world = World()
    overflow = Step(after_s=5.0, overflow=QueueId("theirs"))
    world.set_queue(Queue(id=QueueId("sales"), needs=needs(sales=1), steps=(overflow,)))
    world.set_queue(Queue(id=QueueId("theirs"), needs=(), tenant=TenantId("acme")))
    world.agent("bob")
    agent = world.snapshot.agents[AgentId("bob")].value
    world.put(keys.agent(agent.id), replace(agent, tenant=TenantId("acme")))
    world.set_ticket(ticket(1, sales=1), waits_s=60.0)
    assert match(world.snapshot, NOW) == ()


@given(world=worlds(), unreachable=SITES)
@PATIENT
def test_it_gives_what_asking_everyone_for_every_call_gives(
    world: World, unreachable: frozenset[SiteId]
) -> None:
    fast = [
        (each.call, each.agent, each.decision.runners_up, dict(each.decision.excluded))
        for each in match(world.snapshot, NOW, unreachable=unreachable)
    ]
    assert fast == naive_match(world.snapshot, NOW, unreachable)


@given(world=worlds(), unreachable=SITES)
@PATIENT
def test_no_agent_is_given_twice_and_no_call_gets_two(
    world: World, unreachable: frozenset[SiteId]
) -> None:
    offerings = match(world.snapshot, NOW, unreachable=unreachable)
    assert len({each.agent for each in offerings}) == len(offerings)
    assert len({each.call for each in offerings}) == len(offerings)


@given(world=worlds(), unreachable=SITES)
@PATIENT
def test_nobody_is_offered_who_is_excluded(world: World, unreachable: frozenset[SiteId]) -> None:
    facts = agent_facts(world.snapshot)
    for each in match(world.snapshot, NOW, unreachable=unreachable):
        entry = world.snapshot.tickets[each.call]
        needs = effective_now(world.snapshot.queues, entry, NOW).needs
        because = ineligible_because(
            facts[each.agent], entry.value, NOW, unreachable=unreachable, needs=needs
        )
        assert because in {None, "tried_before"}


@given(world=worlds())
@PATIENT
def test_none_overtakes_another_of_the_same_priority_and_needs(world: World) -> None:
    served = {each.call for each in match(world.snapshot, NOW)}
    turned_away = set()
    for each in waiting_calls(world.snapshot, NOW):
        entry, rules = each.entry, each.effective
        down = out_of_reach(world.snapshot, entry.value)
        kind = (each.level, rules.needs, down)
        if entry.value.call in served:
            assert kind not in turned_away
        else:
            turned_away.add(kind)


@given(world=worlds(), later_s=st.floats(0, 0.5))
@PATIENT
def test_every_edge_comes_to_the_same_answer(world: World, later_s: float) -> None:
    """Another process has another monotonic clock, and its records in another order."""
    there = elsewhere(world.snapshot, offset_s=5000.0)
    theirs = Now(mono_s=NOW.mono_s + 5000.0, wall_ms=NOW.wall_ms)
    assert match(world.snapshot, NOW) == match(there, theirs)
    assert match(world.snapshot, NOW) == match(world.snapshot, NOW)
    soon = at(later_s)
    assert pairs(match(world.snapshot, soon)) == pairs(
        match(there, Now(mono_s=soon.mono_s + 5000.0, wall_ms=soon.wall_ms))
    )


@given(world=worlds(), unreachable=SITES)
@PATIENT
def test_the_full_account_agrees_with_the_match(
    world: World, unreachable: frozenset[SiteId]
) -> None:
    offerings = {e.call: e for e in match(world.snapshot, NOW, unreachable=unreachable)}
    for call in world.snapshot.tickets:
        account = explain(world.snapshot, call, NOW, unreachable=unreachable)
        assert account is not None
        assert {each.agent for each in account.agents} == set(world.snapshot.agents)
        if account.not_served_because is None:
            check_account(account.best, call, offerings)
        if call in offerings:
            decision = offerings[call].decision
            ranked = [each for each in account.agents if each.rank is not None]
            runners_up = [(e.agent, e.score.total) for e in ranked[1:11] if e.score is not None]
            assert tuple(runners_up) == decision.runners_up


def check_account(best: AgentId | None, call: CallId, offerings: dict[CallId, Offering]) -> None:
    assert best == (offerings[call].agent if call in offerings else None)


def elsewhere(snapshot: Snapshot, offset_s: float) -> Snapshot:
    """Return the same state as another process has it, whose monotonic clock is elsewhere."""
    return replace(
        snapshot,
        presences=_shifted(snapshot.presences, offset_s),
        works=_shifted(snapshot.works, offset_s),
        agents=Map(sorted(snapshot.agents.items(), reverse=True)),
        tickets=_shifted(snapshot.tickets, offset_s),
    )


def _shifted(records: Map[K, Entry[T]], offset_s: float) -> Map[K, Entry[T]]:
    pairs = sorted(records.items(), key=lambda pair: str(pair[0]), reverse=True)
    return Map((key, replace(entry, seen_s=entry.seen_s + offset_s)) for key, entry in pairs)
