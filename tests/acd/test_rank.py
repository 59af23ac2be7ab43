from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.eligibility import agent_facts
from edge.acd.needs import Needs
from edge.acd.rank import IDLE_FULL_S, Ranking, idle_s, occupancy, score, skill_fit, sort_key
from state import keys
from state.model import (
    Agent,
    AgentId,
    Entry,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    ScoreWeights,
    SiteId,
    SkillId,
    SkillNeed,
    Strategy,
    Work,
)
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, needs, skills

ANN = AgentId("ann")
LEVELS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(1, 10))


def work(**fields: float) -> Work:
    return Work(agent=ANN, busy_s=fields.get("busy_s", 0.0), idle_s=fields.get("idle_s", 0.0))


def worked(*, ended_s: float, seen_s: float = 0.0, rest_s: float = 0.0) -> Entry[Work]:
    """Return a work record that ended `ended_s` ago by its writer's clock, seen `seen_s` ago."""
    value = Work(agent=ANN, rest_s=rest_s, ended_ms=WALL_MS - round(ended_s * 1000))
    return Entry(value=value, create_revision=1, mod_revision=1, seen_s=NOW.mono_s - seen_s)


def present(*, since_s: float) -> Entry[Presence]:
    value = Presence(
        agent=ANN,
        site=SiteId("a"),
        state=PresenceState.READY,
        since_ms=WALL_MS - round(since_s * 1000),
    )
    return Entry(value=value, create_revision=1, mod_revision=1, seen_s=NOW.mono_s)


@pytest.mark.parametrize(
    ("has", "wants", "fit"),
    [
        ({"x": 3}, {"x": 3}, 1.0),
        ({"x": 7}, {"x": 3}, 4 / 8),
        ({"x": 3, "y": 4}, {"x": 3}, 4 / 8),
        ({"x": 3, "y": 4}, {"x": 3, "y": 4}, 1.0),
        ({}, {}, 1.0),
        ({"x": 3}, {}, 1 / 4),
    ],
)
def test_who_has_just_what_is_needed_fits_best(
    has: dict[str, int], wants: dict[str, int], fit: float
) -> None:
    assert skill_fit(skills(**has), needs(**wants)) == fit


def test_a_skill_that_is_asked_for_twice_counts_once() -> None:
    twice = (SkillNeed(skill=SkillId("x"), level=2), SkillNeed(skill=SkillId("x"), level=3))
    assert skill_fit(skills(x=3), twice) == 1.0


@given(has=LEVELS, wants=LEVELS)
@PATIENT
def test_fit_is_a_share(has: dict[str, int], wants: dict[str, int]) -> None:
    assert 0.0 <= skill_fit(skills(**has), needs(**wants)) <= 1.0


@given(level=st.integers(1, 9), need=st.integers(1, 9), other=st.integers(1, 10))
@PATIENT
def test_more_than_is_needed_never_fits_better(level: int, need: int, other: int) -> None:
    base = skill_fit(skills(x=max(level, need)), needs(x=need))
    assert skill_fit(skills(x=max(level, need) + 1), needs(x=need)) < base
    assert skill_fit(skills(x=max(level, need), y=other), needs(x=need)) < base


@pytest.mark.parametrize(
    ("done", "share"),
    [
        (None, 0.0),
        (work(), 0.0),
        (work(busy_s=30, idle_s=90), 0.25),
        (work(busy_s=30), 1.0),
        (work(busy_s=-5, idle_s=10), 0.0),
        (work(busy_s=5, idle_s=-10), 1.0),
        (work(busy_s=math.inf, idle_s=1), 0.0),
    ],
)
def test_occupancy_is_the_share_of_busy_time(done: Work | None, share: float) -> None:
    assert occupancy(done) == share


@pytest.mark.parametrize(
    ("presence", "record", "expected"),
    [
        (None, None, 0.0),
        (present(since_s=40), None, 40.0),
        (present(since_s=40), worked(ended_s=10), 10.0),
        (present(since_s=5), worked(ended_s=100), 5.0),
        (None, worked(ended_s=30, rest_s=10), 20.0),
        (None, worked(ended_s=5, rest_s=10), 0.0),
        (present(since_s=9999), None, IDLE_FULL_S),
    ],
    ids=[
        "nothing_known",
        "since_sign_in",
        "since_work",
        "back_from_pause",
        "rested",
        "resting",
        "saturated",
    ],
)
def test_idle_time_runs_from_what_ended_last(
    presence: Entry[Presence] | None, record: Entry[Work] | None, expected: float
) -> None:
    assert idle_s(presence, record, NOW) == pytest.approx(expected)


def test_a_writer_whose_clock_is_ahead_hides_no_more_than_this_process_has_not_seen() -> None:
    ahead = worked(ended_s=-600, seen_s=12)
    assert idle_s(None, ahead, NOW) == pytest.approx(12)


@given(
    ended_s=st.floats(-1e6, 1e6),
    seen_s=st.floats(0, 1e5),
    rest_s=st.floats(-100, 1e4),
    busy_s=st.floats(allow_nan=False),
)
@PATIENT
def test_every_part_is_a_share_whatever_the_records_say(
    ended_s: float, seen_s: float, rest_s: float, busy_s: float
) -> None:
    world = World()
    ended_ms = WALL_MS - round(ended_s * 1000)
    world.agent("ann", sales=2)
    world.work("ann", seen_s=NOW.mono_s - seen_s, rest_s=rest_s, ended_ms=ended_ms)
    facts = agent_facts(world.snapshot)[ANN]
    scored = score(facts, Needs(all_of=needs(sales=1)), Ranking(), NOW)
    assert all(0.0 <= part <= 1.0 for part in scored.parts().values())
    assert 0.0 <= occupancy(work(busy_s=busy_s, idle_s=1.0)) <= 1.0


def test_the_parts_are_weighted_and_summed() -> None:
    world = World()
    world.agent("ann", since_ms=WALL_MS - 150_000, sales=1)
    world.presence("ann", since_ms=WALL_MS - 150_000)
    facts = agent_facts(world.snapshot)[ANN]
    weights = ScoreWeights(skill_fit=2.0, load=3.0, idle=4.0)
    scored = score(facts, Needs(all_of=needs(sales=1)), Ranking(weights=weights), NOW)
    assert scored.total == 7.0
    assert scored.parts() == {"skill_fit": 2.0, "load": 3.0, "idle": 2.0}


def test_ties_go_to_who_finished_work_first_by_the_store_and_then_by_id() -> None:
    world = World()
    for name in ("dan", "cyd", "bob", "ann"):
        world.agent(name, sales=1)
    world.work("ann")
    world.work("cyd")
    facts = agent_facts(world.snapshot)
    order = sorted(facts.values(), key=lambda each: sort_key(each, 2.0))
    assert [each.agent.id for each in order] == ["bob", "dan", "ann", "cyd"]
    assert sort_key(facts[AgentId("cyd")], 2.1) < sort_key(facts[AgentId("bob")], 2.0)


def test_who_is_nearer_to_the_callers_site_scores_more_if_distance_has_a_weight() -> None:
    world = World()
    world.site("b", sip="198.18.2.10:5060", a=50)
    for name, site in (("ann", "a"), ("bob", "b"), ("cyd", "c")):
        world.agent(name, site=site, sales=1)
    queue = Queue(id=QueueId("sales"), needs=(), weights=ScoreWeights(distance=2.0))
    ranking = Ranking.of(queue, SiteId("b"), world.snapshot.sites)
    assert ranking.nearness == (("a", 0.75), ("b", 1.0), ("c", 0.0))
    facts = agent_facts(world.snapshot)
    found = {name: score(each, Needs(), ranking, NOW).parts() for name, each in facts.items()}
    assert [found[AgentId(n)]["distance"] for n in ("ann", "bob", "cyd")] == [1.5, 2.0, 0.0]
    unweighted = replace(queue, weights=ScoreWeights())
    assert Ranking.of(unweighted, SiteId("b"), world.snapshot.sites).nearness == ()


FIRST_BY: dict[Strategy, tuple[str, float]] = {
    Strategy.LONGEST_IDLE: ("idler", 3000.0),
    Strategy.LEAST_OCCUPIED: ("lazy", 0.9),
    Strategy.FEWEST_CALLS: ("few", -1.0),
    Strategy.MOST_SKILLED: ("expert", 9.0),
    Strategy.LEAST_SKILLED_SUFFICIENT: ("novice", -2.0),
    Strategy.ROUND_ROBIN: ("first", -1.0),
}


@pytest.mark.parametrize(("strategy", "expected"), FIRST_BY.items(), ids=FIRST_BY)
def test_each_strategy_has_its_own_first(strategy: Strategy, expected: tuple[str, float]) -> None:
    world = World()
    levels = {"expert": {"sales": 9, "help": 1}, "novice": {"sales": 2}}
    names = ["first", "idler", "lazy", "few", "expert", "novice"]
    for name in names:
        has = skills(**levels.get(name, {"sales": 3, "help": 5}))
        world.set_agent(Agent(id=AgentId(name), name=name, site=SiteId("a"), skills=has))
        world.presence(name, since_ms=WALL_MS - 3_600_000)
    for name in names:
        done = Work(
            agent=AgentId(name),
            busy_s=10.0 if name == "lazy" else 50.0,
            idle_s=90.0 if name == "lazy" else 50.0,
            recent_calls=1.0 if name == "few" else 7.0,
            ended_ms=WALL_MS - (3_000_000 if name == "idler" else 400_000),
        )
        world.put(keys.work(AgentId(name)), done, seen_s=NOW.mono_s)
    facts = agent_facts(world.snapshot)
    ranking = Ranking.of(Queue(id=QueueId("q"), needs=(), strategy=strategy), SiteId("a"), {})
    wants = Needs(all_of=needs(sales=1))
    scored = {each.agent.id: score(each, wants, ranking, NOW) for each in facts.values()}
    order = sorted(facts.values(), key=lambda e: sort_key(e, scored[e.agent.id].total))
    first = order[0].agent.id
    assert first == expected[0]
    assert scored[first].parts() == {strategy.value: scored[first].total}
    if strategy is not Strategy.ROUND_ROBIN:
        assert scored[first].total == pytest.approx(expected[1])
