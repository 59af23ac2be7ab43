"""Whom a move would make worse off: by what it does to them, and never by chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.steering.capacity import QueueForecast
from edge.steering.coming import MORE, MORE_AGENTS, Coming, Stream, demand_of, heavier
from edge.steering.imagined import Horizon
from edge.steering.judgement import ROUNDS, Move, move, worse_off
from edge.steering.prediction import Prediction, QueuePrediction
from state import keys
from state.configuration import Configuration
from state.model import (
    Agent,
    AgentId,
    Did,
    DidNumber,
    Limit,
    Queue,
    QueueId,
    Scope,
    SiteId,
    Step,
)
from tests.acd.worlds import NOW, PATIENT, WALL_MS, World, needs, skills, ticket

ORDERS, BILLING, SUPPORT = (QueueId(each) for each in ("orders", "billing", "support"))
NUMBERS = {queue: DidNumber(f"493010{n}") for n, queue in enumerate((ORDERS, BILLING, SUPPORT))}
A = SiteId("a")

# ---- a center whose queues share their people ----------------------------------------------------

SHARED: tuple[dict[str, int], ...] = (
    {"orders": 9, "billing": 3},
    {"orders": 6, "billing": 7},
    {"billing": 9},
    {"technical": 8, "orders": 2},
    {"technical": 5, "orders": 4, "billing": 5},
    {"orders": 6, "billing": 7},
    {"orders": 3},
)
QUEUES = (
    Queue(id=ORDERS, needs=needs(orders=1), wrap_up_s=1.25),
    Queue(id=BILLING, needs=needs(billing=4), wrap_up_s=1.0),
    Queue(id=SUPPORT, needs=needs(technical=3), wrap_up_s=1.0, priority=5),
)


def center(
    people: Iterable[dict[str, int]] = SHARED, queues: tuple[Queue, ...] = QUEUES
) -> Configuration:
    return Configuration(
        sites=tuple(entry.value for entry in World().snapshot.sites.values()),
        queues=queues,
        dids=tuple(Did(number=NUMBERS[queue.id], queue=queue.id) for queue in queues),
        agents=tuple(
            Agent(id=AgentId(f"x{n}"), name="", site=SiteId("abc"[n % 3]), skills=skills(**has))
            for n, has in enumerate(people)
        ),
    )


def edited(rules: Configuration, queue: QueueId, **changes: Any) -> Configuration:  # noqa: ANN401
    """Change a queue."""
    queues = tuple(replace(q, **changes) if q.id == queue else q for q in rules.queues)
    return replace(rules, queues=queues)


def standing(rules: Configuration, *, waiting: int = 0) -> World:
    """Let all agents be at work, and so many callers wait for each queue."""
    world = World()
    for key, record in rules.by_key().items():
        world.put(key, record)
    for agent in rules.agents:
        world.presence(agent.id, site=agent.site)
    for number in range(waiting * len(rules.queues)):
        queue = rules.queues[number % len(rules.queues)]
        asks = {str(need.skill): need.level for need in queue.needs}
        waits = ticket(number, queue=queue.id, priority=queue.priority, wants=asks)
        waits = replace(waits, did=NUMBERS[queue.id])
        world.put(keys.ticket(waits.call), waits, seen_s=NOW.mono_s)
    return world


def load(talk_s: float = 6.0, **erlangs: float) -> Coming:
    """Return what brings each queue so many erlangs of talk."""
    seconds = 10_000
    streams = tuple(
        Stream(
            did=NUMBERS[QueueId(queue)],
            via=A,
            queue=QueueId(queue),
            calls=round(each / talk_s * seconds),
            talk_s=talk_s,
            ring_s=0.5,
        )
        for queue, each in erlangs.items()
    )
    return Coming(from_ms=WALL_MS - seconds * 1000, to_ms=WALL_MS, streams=streams)


TOO_MUCH = load(orders=6.0, billing=4.0, support=2.5)
"""For the seven who share the queues: as when a site has died."""
SEEDS = (1, 2, 3, 4, 8, 10)


def moved(
    rules: Configuration, what: Coming, *, seed: int = 1, waiting: int = 2, calls: int = 100
) -> Move:
    before = center()
    horizon = Horizon(seed=seed, seconds=300.0, most_calls=calls)
    return move(standing(before, waiting=waiting).snapshot, rules, what, NOW, horizon)


# ---- edits that harm nobody ----------------------------------------------------------------------


@given(
    seed=st.integers(0, 10**6),
    erlangs=st.tuples(*(st.floats(0.1, 9.0) for _ in QUEUES)),
    waiting=st.integers(0, 4),
)
@settings(PATIENT, max_examples=12)
def test_an_edit_by_which_nobody_gets_another_agent_foretells_the_very_same(
    seed: int, erlangs: tuple[float, ...], waiting: int
) -> None:
    what = load(**{queue.id: each for queue, each in zip(QUEUES, erlangs, strict=True)})
    everywhere = Scope(sites=tuple(SiteId(site) for site in "abc"))
    rules = edited(center(), ORDERS, scope=everywhere)
    found = moved(rules, what, seed=seed, waiting=waiting, calls=40)
    assert found.after == found.before
    assert found.fits


def by_one_round(found: Move) -> bool:
    """Tell whether one look at both would have taken a queue for worse by a hundredth."""
    pairs = zip(found.before.queues, found.after.queues, strict=True)
    return any((was.level or 0.0) - (now.level or 0.0) > 0.01 for was, now in pairs)


@pytest.mark.parametrize(
    ("queue", "changes"),
    [
        (ORDERS, {"wrap_up_s": 1.5}),
        (ORDERS, {"wrap_up_s": 1.3}),
        (ORDERS, {"wrap_up_s": 1.249}),
        (SUPPORT, {"wrap_up_s": 1.001}),
    ],
    ids=["what a demo's manager does", "little", "a millisecond less", "a millisecond more"],
)
def test_where_more_come_than_there_are_people_for_an_edit_that_harms_nobody_is_not_refused(
    queue: QueueId, changes: dict[str, float]
) -> None:
    found = [moved(edited(center(), queue, **changes), TOO_MUCH, seed=seed) for seed in SEEDS]
    assert all(not each.fits for move_ in found for each in move_.before.queues)
    assert [each.worse for each in found] == [frozenset()] * len(found)


def test_one_look_at_few_callers_would_have_refused_what_harms_nobody() -> None:
    """Else the test above would show nothing."""
    little = edited(center(), ORDERS, wrap_up_s=1.3)
    found = [moved(little, TOO_MUCH, seed=seed) for seed in SEEDS]
    assert sum(map(by_one_round, found)) == 2


@pytest.mark.parametrize(("wrap_up_s", "is_refused"), [(0.25, False), (20.0, True)])
def test_a_goal_that_is_missed_by_less_than_is_known_of_the_load_is_not_missed_by_the_move(
    wrap_up_s: float, *, is_refused: bool
) -> None:
    """With a quarter of a second more of handling in sixty it is not kept any more."""
    people = [{"orders": 3}] * 6
    rules = center(people, (Queue(id=ORDERS, needs=needs(orders=1), wrap_up_s=0.0),))
    what = load(60.0, orders=4.225)
    world, horizon = standing(rules), Horizon(seed=1, seconds=300.0, most_calls=60)
    found = move(world.snapshot, edited(rules, ORDERS, wrap_up_s=wrap_up_s), what, NOW, horizon)
    assert found.before.queues[0].forecast.fits
    assert not found.after.queues[0].forecast.fits
    assert (not found.fits) is is_refused


# ---- edits that harm -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {"needs": needs(ballet=9)},
        {"needs": needs(orders=6)},
        {"wrap_up_s": 3.0},
        {"longest_queue": Limit(most=1)},
    ],
    ids=["nobody suits", "few suit", "they rest long", "callers are turned away"],
)
def test_where_more_come_than_there_are_people_for_an_edit_that_harms_them_is_refused(
    changes: dict[str, Any], seed: int
) -> None:
    found = moved(edited(center(), ORDERS, **changes), TOO_MUCH, seed=seed, waiting=6)
    assert ORDERS in found.worse


def test_whoever_waits_for_ever_is_worse_off_though_nobody_was_served_in_time_before() -> None:
    """The level has nothing left to lose there."""
    what = load(orders=60.0)
    found = moved(edited(center(), ORDERS, needs=needs(ballet=9)), what, waiting=20)
    (was,), (now,) = found.before.queues, found.after.queues
    assert (was.level, was.forecast.level) == (now.level, now.forecast.level) == (0.0, 0.0)
    assert found.worse == {ORDERS}


def test_who_loses_the_help_that_came_late_is_worse_off_by_the_wait() -> None:
    """The formula knows no later steps, and the level ends at its twenty seconds."""
    late = Step(after_s=30.0, overflow=SUPPORT)
    queues = (replace(QUEUES[0], steps=(late,)), QUEUES[2])
    rules = center([{"orders": 3}, *[{"technical": 5}] * 8], queues)
    what, horizon = load(orders=4.0, support=0.1), Horizon(seed=1, seconds=300.0, most_calls=80)
    found = move(standing(rules).snapshot, edited(rules, ORDERS, steps=()), what, NOW, horizon)
    assert found.worse == {ORDERS}


# ---- what counts ---------------------------------------------------------------------------------


@given(
    talk_s=st.floats(1.0, 900.0),
    erlangs=st.floats(1.0, 300.0),
    wrap_up_s=st.floats(0.0, 60.0),
)
@settings(PATIENT)
def test_a_little_more_is_a_twentieth_or_half_an_agents_work(
    talk_s: float, erlangs: float, wrap_up_s: float
) -> None:
    rules = center(queues=(replace(QUEUES[0], wrap_up_s=wrap_up_s),))
    snapshot, what = standing(rules).snapshot, load(talk_s, orders=erlangs)
    was, now = (demand_of(each, snapshot)[ORDERS] for each in (what, heavier(what, snapshot)))
    little = min(MORE * was.erlangs, MORE_AGENTS)
    assert now.erlangs - was.erlangs == pytest.approx(little, abs=1e-6)
    assert now.calls_per_s == was.calls_per_s


def told(
    level: float, *, reckoned: float = 0.9, wait_s: float = 30.0, never: int = 0
) -> Prediction:
    """Return how one queue would fare, for a hundred imagined callers."""
    forecast = QueueForecast(
        queue=ORDERS, erlangs=4.0, agents=5.0, suited=5, mean_wait_s=1.0,
        level=reckoned, short=0 if reckoned >= 0.8 else 1,
    )  # fmt: skip
    queue = QueuePrediction(
        queue=ORDERS, forecast=forecast, calls=100, wait_s=wait_s, level=level,
        turned_away=0, never=never,
    )  # fmt: skip
    return Prediction(queues=(queue,), sites=(), unserved_per_s=0.0)


def test_the_word_of_imagined_callers_counts_when_those_of_all_seeds_say_the_same() -> None:
    left, now, well = told(0.5), told(0.4), told(0.5)
    assert worse_off(left, now, [(left, now)] * ROUNDS) == {ORDERS}
    for number in range(ROUNDS):
        rounds = [(left, now)] * ROUNDS
        rounds[number] = left, well
        assert worse_off(left, now, rounds) == frozenset()


def test_no_round_is_asked_for_where_nothing_gets_worse_and_none_after_the_first_that_says_no() -> (
    None
):
    asked = 0

    def rounds() -> Iterator[tuple[Prediction, Prediction]]:
        nonlocal asked
        while True:
            asked += 1
            yield told(0.5), told(0.5)

    assert worse_off(told(0.5), told(0.5), rounds()) == frozenset()
    assert worse_off(told(0.5), told(0.9), rounds()) == frozenset()
    assert asked == 0
    assert worse_off(told(0.5), told(0.4), rounds()) == frozenset()
    assert asked == 1


def test_the_formula_is_asked_once() -> None:
    was, now = told(0.9), told(0.9, reckoned=0.7)
    rounds = iter([(was, now), (was, was)])
    assert worse_off(was, now, rounds) == {ORDERS}
    assert next(rounds, None) is not None


@pytest.mark.parametrize(
    ("left", "now"),
    [
        (told(0.0), told(0.0, wait_s=32.0)),
        (told(0.0), told(0.0, wait_s=30.0, never=2)),
        (told(0.02), told(0.0)),
    ],
    ids=["they wait longer", "two never get anybody", "fewer in time"],
)
def test_what_is_lost_in_a_queue_that_does_not_fit(left: Prediction, now: Prediction) -> None:
    assert worse_off(left, now, [(left, now)] * ROUNDS) == {ORDERS}
    assert worse_off(now, left, [(now, left)] * ROUNDS) == frozenset()


def test_the_same_calls_summed_in_another_order_are_no_calls_that_nobody_takes() -> None:
    found = moved(center(), TOO_MUCH, calls=20)
    before = replace(found.before, unserved_per_s=0.1 + 0.2)
    after = replace(found.after, unserved_per_s=0.3 + 2e-16)
    assert not replace(found, before=before, after=after).is_unserved
    assert not replace(found, before=after, after=before).is_unserved
    assert replace(found, after=replace(after, unserved_per_s=0.31), before=before).is_unserved
