"""Who goes first where waiting counts: queues that age their callers, and steps that raise them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drills.prove.center import QUEUES
from drills.prove.checker import check
from drills.prove.decisions import decisions
from drills.prove.history import FaultKind, Mode
from drills.prove.needs import Able, asked_by, level_of
from drills.prove.turns import Asking, is_overtaken, overtaken
from drills.prove.violations import Law
from edge.acd.line import level_of as edges_level_of
from edge.acd.relaxation import in_force
from state.model import EdgeId, Outcome, Queue
from tests.edge.competition import Delays
from tests.edge.virtual_time import in_virtual_time
from tests.prove import tale_center
from tests.prove.histories import Tale
from tests.prove.planting import plant
from tests.prove.play import broken_laws, play
from tests.prove.tale_center import BOTH, RELAXED_S, TALK, can

KNOWS, TALKS = {TALK: 1}, {TALK: 3}


def _seen(queue: str, *, by: str = "a1") -> Tale:
    """Let c1 wait at b1, and an edge show that it knows of it: it decides about another call."""
    tale = Tale()
    tale.waits("c1", holder="b1", queue=queue)
    tale.is_seen(by=by)
    return tale


def _next_is_served(tale: Tale, waits_s: float, **how: Any) -> list[Law]:  # noqa: ANN401
    """Let c2 come when c1 has waited so long, and get the only agent."""
    tale.now(waits_s)
    seen = tale.waits("c2", **how)
    tale.can("a01", BOTH)
    seen = max(seen, tale.revision + 1)
    tale.presence("a01")
    tale.gets("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen)
    return tale.laws()


# -- levels


@pytest.mark.parametrize("queue", [*QUEUES, *tale_center.QUEUES], ids=lambda queue: queue.id)
@pytest.mark.parametrize("waits_s", [0.0, 0.15, 0.25, 0.9, 1.1, 2.5, 40.0])
def test_the_edge_and_the_proof_agree_on_the_level_of_a_call(queue: Queue, waits_s: float) -> None:
    """They share no code."""
    ticket = replace(Tale().arrives("c1"), queue=queue.id, priority=queue.priority)
    raised = in_force(queue, ticket, waits_s).priority
    assert level_of(queue, queue.priority, waits_s) == edges_level_of(raised, waits_s, queue)


def test_who_has_waited_for_ever_is_at_the_ceiling() -> None:
    (ages,) = (queue for queue in tale_center.QUEUES if queue.aging_s is not None)
    assert level_of(ages, 0, float("inf")) == ages.aging_ceiling
    assert level_of(ages, 7, float("inf")) == 7
    assert level_of(None, 7, float("inf")) == 7


# -- who must have waited for so long


@pytest.mark.parametrize(
    ("queue", "priority", "waits_s", "laws"),
    [
        ("ages", 1, 0.1, []),
        ("ages", 1, 1.0, [Law.OVERTAKEN]),
        ("ages", 2, 1.0, []),
        ("ages", 3, 4.0, [Law.OVERTAKEN]),
        ("ages", 4, 4.0, []),
        ("raised", 5, RELAXED_S - 1.0, []),
        ("raised", 5, RELAXED_S, [Law.OVERTAKEN]),
    ],
)
def test_who_has_waited_for_long_goes_before_a_newcomer_of_a_higher_priority(
    queue: str, priority: int, waits_s: float, laws: list[Law]
) -> None:
    assert _next_is_served(_seen(queue), waits_s, priority=priority) == laws


def test_how_long_somebody_has_waited_is_open_until_an_edge_surely_knows_of_them() -> None:
    """Nor does it help that another edge does."""
    tale = Tale()
    tale.waits("c1", holder="b1", queue="ages")
    assert _next_is_served(tale, 4.0, priority=1) == []
    assert _next_is_served(_seen("ages", by="b1"), 4.0, priority=1) == []
    assert _next_is_served(_seen("ages", by="b1"), 4.0, priority=1, holder="b1") == [Law.OVERTAKEN]


def test_a_ticket_says_itself_how_long_its_caller_has_waited() -> None:
    for waited_s, laws in ((1.5, [Law.OVERTAKEN]), (0.5, [])):
        tale = Tale()
        tale.waits("c1", holder="b1", queue="ages", waited_s=waited_s)
        assert _next_is_served(tale, 0.0, priority=1) == laws


@pytest.mark.parametrize(("target", "laws"), [("a1", []), ("b1", [Law.OVERTAKEN])])
def test_a_next_life_of_the_edge_has_seen_nothing_yet(target: str, laws: list[Law]) -> None:
    tale = _seen("ages")
    tale.breaks(FaultKind.KILL_EDGE, target)
    tale.mends(FaultKind.KILL_EDGE, target)
    assert _next_is_served(tale, 2.0, priority=1) == laws


@pytest.mark.parametrize(("edge", "laws"), [("a1", []), ("b1", [Law.OVERTAKEN])])
def test_what_an_edge_knew_before_it_was_alone_is_left_open(edge: str, laws: list[Law]) -> None:
    tale = _seen("ages")
    for mode in ("alone", "quorum"):
        tale.note(Mode(at_s=tale.now(), edge=EdgeId(edge), mode=mode))
    assert _next_is_served(tale, 2.0, priority=1) == laws


def test_no_clock_makes_a_caller_wait_for_less_than_an_edge_has_seen() -> None:
    tale = _seen("ages")
    tale.breaks(FaultKind.WRONG_CLOCK, "a1")
    assert _next_is_served(tale, 2.0, priority=1) == [Law.OVERTAKEN]


# -- who cannot have waited for so long


@pytest.mark.parametrize(
    ("queue", "priority", "waits_s", "laws"),
    [
        ("ages", 2, 1.0, [Law.OVERTAKEN]),
        ("ages", 2, 3.5, []),
        ("ages", 4, 9.0, [Law.OVERTAKEN]),
        ("raised", 1, RELAXED_S - 1.0, [Law.OVERTAKEN]),
        ("raised", 1, RELAXED_S, []),
    ],
)
@pytest.mark.parametrize("is_wrong", [True, False])
def test_nobody_is_raised_before_their_time_but_by_a_clock_that_is_wrong(
    queue: str,
    priority: int,
    waits_s: float,
    laws: list[Law],
    is_wrong: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """And above the ceiling of their queue by none."""
    tale = Tale()
    if is_wrong:
        tale.breaks(FaultKind.WRONG_CLOCK, "a1")
    tale.waits("c1", queue=queue)
    tale.now(waits_s)
    seen = tale.waits("c2", holder="b1", priority=priority)
    tale.can("a01", BOTH)
    tale.presence("a01")
    tale.gets("c1", "a01")
    tale.talks("c1")
    tale.ends("c1", Outcome.ANSWERED, decided_at=seen + 1)
    is_at_ceiling = queue == "ages" and priority == 4
    assert tale.laws() == ([] if is_wrong and not is_at_ceiling else laws)


# -- within a queue


def test_within_a_queue_nobody_overtakes_whatever_the_clocks_say() -> None:
    tale = Tale()
    tale.breaks(FaultKind.WRONG_CLOCK, "a1")
    tale.waits("c1", holder="b1", queue="ages")
    assert _next_is_served(tale, 0.0, queue="ages") == [Law.OVERTAKEN]


def test_a_caller_is_lifted_to_the_level_of_who_came_after_them() -> None:
    """Who called before, and got a later place, may have waited for longer."""
    for lifts_s, laws in ((2.5, []), (0.0, [Law.OVERTAKEN])):
        tale = Tale()
        late = tale.arrives("c2", queue="ages")
        tale.now(lifts_s)
        tale.waits("c1", queue="ages")
        tale.store(tale.ticket(late))
        seen = tale.waits("c3", holder="b1", priority=2)
        tale.can("a01", BOTH)
        tale.presence("a01")
        tale.gets("c1", "a01")
        tale.talks("c1")
        tale.ends("c1", Outcome.ANSWERED, decided_at=seen + 1)
        assert tale.laws() == laws


def test_so_may_somebody_lift_them_whom_the_store_has_not_got_yet() -> None:
    """But for a second alone."""
    for level, laws in ((1, []), (2, [Law.OVERTAKEN])):
        tale = Tale()
        late = tale.arrives("c2", queue="ages")
        tale.now(2.0)
        tale.waits("c1", queue="ages")
        seen = tale.waits("c3", holder="b1", priority=level)
        tale.can("a01", BOTH)
        tale.presence("a01")
        tale.gets("c1", "a01")
        tale.talks("c1")
        tale.ends("c1", Outcome.ANSWERED, decided_at=seen + 1)
        tale.store(tale.ticket(late))
        assert tale.laws() == laws


# -- in whatever order


KINDS = tuple(can(each) for each in (BOTH, TALKS, KNOWS))
ASKS = tuple(asked_by(queue, 0.0, {}) for queue in QUEUES)
LINES = st.lists(st.builds(Asking, st.lists(st.sampled_from(ASKS), max_size=2)), max_size=4)


@given(LINES, st.dictionaries(st.sampled_from(KINDS), st.integers(0, 2)), st.sampled_from(KINDS))
def test_somebody_was_overtaken_for_sure_if_they_were_in_every_order(
    line: list[Asking], crew: Mapping[Able, int], winner: Able
) -> None:
    every = all(overtaken(order, crew, winner) is not None for order in permutations(line))
    assert is_overtaken(line, crew, winner) is every


def test_where_it_is_open_who_of_two_came_first_both_have_to_be_served() -> None:
    for asked, laws in (({}, []), ({"c9": "a02"}, [Law.OVERTAKEN])):
        tale = Tale()
        for call, queue in (("c1", "ages"), ("c2", "raised")):
            tale.waits(call, queue=queue, holder="b1", priority=3, waited_s=0.1)
        tale.now(RELAXED_S)
        tale.waits("c3")
        for agent in ("a00", "a01", "a02"):
            tale.can(agent, BOTH)
            tale.presence(agent)
        seen = tale.revision
        tale.gets("c3", "a00")
        tale.talks("c3")
        tale.ends("c3", Outcome.ANSWERED, decided_at=seen, asked=asked)
        assert tale.laws() == laws


# -- decisions


def test_an_agent_who_was_given_twice_was_given_by_each_decision_at_its_time() -> None:
    tale = Tale("a01")
    first = tale.waits("c1")
    tale.gets("c1", "a01")
    second = tale.declines("c1", "a01")
    again_s = tale.at_s
    tale.gets("c1", "a01")
    tale.talks("c1")
    tale.ends("c1", Outcome.ANSWERED, decided_at=second)
    (due,) = decisions(tale.events)
    assert first < second == due.decision.revision
    assert due.given_s > again_s


# -- what the edges themselves do


@in_virtual_time
@pytest.mark.parametrize("wanted", [6, 16])
@pytest.mark.parametrize("delays", [Delays(), Delays(txn_s=(0.01, 0.3), watch_s=(0.0, 0.4))])
async def test_what_sound_edges_do_breaks_no_law(wanted: int, delays: Delays) -> None:
    history = await play(seed=wanted, seconds=4.0, wanted=wanted, delays=delays)
    assert history.operations > 30
    assert check(history.events) == ()


@in_virtual_time
@pytest.mark.parametrize("bug", ["aging_ignored", "raise_ignored"])
async def test_a_bug_that_forgets_who_has_waited_breaks_this_law_alone(
    bug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, bug)
    assert await broken_laws(seed=2, seconds=5.0, wanted=20) == {Law.OVERTAKEN}
