from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.eligibility import (
    RESERVED_AHEAD_S,
    Reason,
    agent_facts,
    capacity,
    ineligible_because,
    rings_from_s,
    unavailable_because,
    unsuited_because,
)
from edge.acd.needs import Needs
from state import keys
from state.model import Agent, AgentId, Channel, EdgeId, OfferState, PresenceState, SiteId
from tests.acd.worlds import NOW, World, at, needs, skills, ticket

ANN = AgentId("ann")
A = frozenset({SiteId("a")})

Change = Callable[[World], object]

CASES: dict[str, tuple[Change, Reason, AgentState]] = {
    "never signed in": (
        lambda w: w.drop(keys.presence(ANN)),
        Reason.NOT_SIGNED_IN,
        AgentState.SIGNED_OUT,
    ),
    "signed out": (
        lambda w: w.presence("ann", state=PresenceState.SIGNED_OUT),
        Reason.NOT_SIGNED_IN,
        AgentState.SIGNED_OUT,
    ),
    "signed in at a former home": (
        lambda w: w.presence("ann", site="b"),
        Reason.NOT_SIGNED_IN,
        AgentState.SIGNED_OUT,
    ),
    "paused": (
        lambda w: w.presence("ann", state=PresenceState.PAUSED),
        Reason.PAUSED,
        AgentState.PAUSED,
    ),
    "home without a live edge": (
        lambda w: w.drop(keys.edge(EdgeId("a1"))),
        Reason.SITE_NOT_LIVE,
        AgentState.UNREACHABLE,
    ),
    "home not configured": (
        lambda w: w.drop(keys.site(SiteId("a"))),
        Reason.SITE_NOT_LIVE,
        AgentState.UNREACHABLE,
    ),
    "rung": (lambda w: w.offer("ann"), Reason.HAS_OFFER, AgentState.OFFERED),
    "talking": (
        lambda w: w.offer("ann", state=OfferState.TALKING),
        Reason.HAS_OFFER,
        AgentState.TALKING,
    ),
    "calling from their own telephone": (
        lambda w: w.ticket(7, holder="b1", by="ann"),
        Reason.HAS_OFFER,
        AgentState.TALKING,
    ),
    "an offer that cannot be read": (
        lambda w: w.put(keys.offer(ANN), b"rubbish"),
        Reason.HAS_OFFER,
        AgentState.OFFERED,
    ),
    "resting": (
        lambda w: w.work("ann", seen_s=NOW.mono_s - 4.5, rest_s=5.0),
        Reason.WRAP_UP,
        AgentState.WRAP_UP,
    ),
}


@pytest.fixture
def world() -> World:
    world = World()
    world.agent("ann", sales=3)
    return world


@pytest.mark.parametrize(("change", "reason", "state"), CASES.values(), ids=CASES)
def test_an_agent_who_cannot_take_a_call_has_a_reason_and_a_state(
    world: World, change: Change, reason: Reason, state: AgentState
) -> None:
    change(world)
    facts = agent_facts(world.snapshot)[ANN]
    assert unavailable_because(facts, NOW) is reason
    assert ineligible_because(facts, ticket(1, sales=3), NOW) is reason
    assert agent_states(world.snapshot, NOW) == {ANN: state}


@pytest.mark.parametrize(
    ("channels", "because"),
    [
        ({}, None),
        ({Channel.CHAT: 3}, None),
        ({Channel.VOICE: 1, Channel.CHAT: 3}, None),
        ({Channel.VOICE: 0, Channel.CHAT: 3}, Reason.NO_CAPACITY),
        ({Channel.VOICE: 4}, None),
    ],
)
def test_calls_go_to_who_takes_them_by_voice(
    world: World, channels: dict[Channel, int], because: Reason | None
) -> None:
    agent = world.snapshot.agents[ANN].value
    world.put(keys.agent(ANN), replace(agent, channels=channels))
    facts = agent_facts(world.snapshot)[ANN]
    assert unavailable_because(facts, NOW) is because
    state = AgentState.READY if because is None else AgentState.ELSEWHERE
    assert agent_states(world.snapshot, NOW) == {ANN: state}
    assert capacity(facts.agent, Channel.VOICE) == (1 if because is None else 0)
    assert capacity(facts.agent, Channel.CHAT) == channels.get(Channel.CHAT, 0)


def test_an_agent_who_is_free_is_ready(world: World) -> None:
    world.work("ann", seen_s=NOW.mono_s - 5.0, rest_s=5.0)
    assert unavailable_because(agent_facts(world.snapshot)[ANN], NOW) is None
    assert agent_states(world.snapshot, NOW) == {ANN: AgentState.READY}


def test_a_site_out_of_reach_is_one_edges_opinion(world: World) -> None:
    facts = agent_facts(world.snapshot)[ANN]
    assert unavailable_because(facts, NOW, unreachable=A) is Reason.SITE_UNREACHABLE
    assert agent_states(world.snapshot, NOW, unreachable=A) == {ANN: AgentState.UNREACHABLE}
    assert unavailable_because(facts, NOW) is None


def test_who_is_talking_is_talking_though_their_site_is_gone(world: World) -> None:
    world.offer("ann", state=OfferState.TALKING)
    world.drop(keys.edge(EdgeId("a1")))
    assert agent_states(world.snapshot, NOW) == {ANN: AgentState.TALKING}


def test_a_rest_ends_by_this_process_own_clock(world: World) -> None:
    world.work("ann", seen_s=NOW.mono_s, rest_s=5.0, ended_ms=NOW.wall_ms + 600_000)
    facts = agent_facts(world.snapshot)[ANN]
    given_s = 5.0 - RESERVED_AHEAD_S
    assert unavailable_because(facts, at(given_s - 0.001)) is Reason.WRAP_UP
    assert unavailable_because(facts, at(given_s)) is None
    assert agent_states(world.snapshot, at(4.999)) == {ANN: AgentState.WRAP_UP}
    assert agent_states(world.snapshot, at(5)) == {ANN: AgentState.READY}


def rings_after_s(world: World, *, seen_s: float, ended_s: float, rest_s: float) -> float:
    """Return how long after NOW a telephone may ring, by the last work record."""
    ended_ms = NOW.wall_ms + round(1000 * ended_s)
    world.work("ann", seen_s=NOW.mono_s + seen_s, rest_s=rest_s, ended_ms=ended_ms)
    work, presence = world.snapshot.works[ANN], world.snapshot.presences[ANN]
    return rings_from_s(work, presence, NOW) - NOW.mono_s


def test_the_way_of_a_record_into_the_store_is_no_part_of_a_rest(world: World) -> None:
    told_s = rings_after_s(world, seen_s=-1.0, ended_s=-1.2, rest_s=5.0)
    assert told_s == pytest.approx(3.8)


@pytest.mark.parametrize("wrong_s", [-600.0, 600.0])
def test_a_wrong_clock_shortens_a_rest_by_little_and_prolongs_none(
    world: World, wrong_s: float
) -> None:
    told_s = rings_after_s(world, seen_s=-1.0, ended_s=-1.2 + wrong_s, rest_s=5.0)
    assert told_s == pytest.approx(4.0 if wrong_s > 0 else 4.0 - RESERVED_AHEAD_S)


def test_who_never_worked_may_be_rung_at_once(world: World) -> None:
    assert rings_from_s(None, world.snapshot.presences[ANN], NOW) == float("-inf")


def test_a_work_record_that_cannot_be_read_shuts_nobody_out(world: World) -> None:
    revision = world.put(keys.work(ANN), b"rubbish")
    facts = agent_facts(world.snapshot)[ANN]
    assert (facts.work, facts.work_revision) == (None, revision)
    assert unavailable_because(facts, NOW) is None


@pytest.mark.parametrize(
    ("has", "wants", "because"),
    [
        ({"sales": 3}, {"sales": 3}, None),
        ({"sales": 3, "help": 1}, {"sales": 1}, None),
        ({}, {}, None),
        ({"sales": 3}, {"sales": 4}, Reason.SKILL_TOO_LOW),
        ({"sales": 3}, {"help": 1}, Reason.MISSING_SKILL),
        ({"sales": 3}, {"sales": 4, "help": 1}, Reason.MISSING_SKILL),
        ({"sales": 3, "help": 1}, {"sales": 3, "help": 2}, Reason.SKILL_TOO_LOW),
    ],
)
def test_all_needs_have_to_be_met(
    has: dict[str, int], wants: dict[str, int], because: Reason | None
) -> None:
    who = Agent(id=ANN, name="ann", site=SiteId("a"), skills=skills(**has))
    assert unsuited_because(who, Needs(all_of=needs(**wants))) is because


def test_who_was_tried_is_told_from_who_cannot(world: World) -> None:
    facts = agent_facts(world.snapshot)[ANN]
    tried = ticket(1, tried=("ann",), sales=3)
    assert ineligible_because(facts, tried, NOW) is Reason.TRIED_BEFORE
    too_hard = ticket(1, tried=("ann",), sales=4)
    assert ineligible_because(facts, too_hard, NOW) is Reason.SKILL_TOO_LOW
