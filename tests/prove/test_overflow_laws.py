"""Callers who overflow: other agents suit them then, and their place stays."""

from __future__ import annotations

import pytest

from drills.prove.laws_waiting import SERVED_S
from drills.prove.needs import asked_by
from drills.prove.violations import Law
from state.model import Outcome, SkillId
from tests.edge.virtual_time import in_virtual_time
from tests.prove.histories import Tale
from tests.prove.planting import plant
from tests.prove.play import broken_laws
from tests.prove.tale_center import BOTH, QUEUES, RELAXED_S, TALK, TECH

TALKS, KNOWS = {TALK: 3}, {TALK: 1, TECH: 5}
Able = dict[SkillId, int]


def _comes(tale: Tale, agent: str, levels: Able) -> int:
    """Let an agent come; return the revision at which they are there."""
    tale.can(agent, levels)
    tale.presence(agent)
    return tale.revision


def _is_served(tale: Tale, call: str, agent: str, seen: int) -> list[Law]:
    tale.gets(call, agent)
    tale.talks(call)
    tale.ends(call, Outcome.ANSWERED, decided_at=seen)
    return tale.laws()


def test_a_queue_that_is_not_there_is_overflowed_to_by_nobody() -> None:
    over, tech = (next(each for each in QUEUES if each.id == name) for name in ("over", "tech"))
    assert asked_by(over, RELAXED_S, {}) == asked_by(over, 0.0, {})
    assert asked_by(over, RELAXED_S, {tech.id: (tech, 0)}) == asked_by(tech, 0.0, {})


@pytest.mark.parametrize(("waits_s", "laws"), [(0.5, [Law.UNSKILLED]), (RELAXED_S, [])])
def test_agents_of_the_other_queue_suit_once_a_caller_can_have_overflowed(
    waits_s: float, laws: list[Law]
) -> None:
    tale = Tale()
    tale.waits("c1", queue="over")
    tale.now(waits_s)
    _comes(tale, "a01", KNOWS)
    tale.gets("c1", "a01")
    assert tale.laws() == laws


@pytest.mark.parametrize("is_seen", [True, False])
@pytest.mark.parametrize(("waits_s", "is_over"), [(0.5, False), (RELAXED_S, True)])
def test_agents_of_their_own_do_not_suit_any_more_once_a_caller_must_have_overflowed(
    waits_s: float,
    is_seen: bool,  # noqa: FBT001 - a parameter of the test
    is_over: bool,  # noqa: FBT001 - as above
) -> None:
    """Whether they have is open until their edge surely knows of their ticket."""
    tale = Tale()
    tale.waits("c1", queue="over")
    if is_seen:
        tale.is_seen()
    tale.now(waits_s)
    tale.waits("c2", queue="tech")
    seen = _comes(tale, "a01", TALKS)
    laws = [Law.UNSKILLED] if is_seen and is_over else []
    assert _is_served(tale, "c1", "a01", seen) == laws


@pytest.mark.parametrize("is_seen", [True, False])
def test_who_has_overflowed_goes_before_those_who_came_to_that_queue_later(
    is_seen: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    tale = Tale()
    tale.waits("c1", queue="over", holder="b1")
    if is_seen:
        tale.is_seen()
    tale.now(RELAXED_S)
    tale.waits("c2", queue="tech")
    seen = _comes(tale, "a01", KNOWS)
    assert _is_served(tale, "c2", "a01", seen) == ([Law.OVERTAKEN] if is_seen else [])


def test_who_has_overflowed_keeps_their_place_before_those_who_have_not() -> None:
    tale = Tale()
    tale.waits("c1", queue="over", waited_s=RELAXED_S)
    tale.waits("c2", queue="over", holder="b1")
    seen = _comes(tale, "a01", BOTH)
    assert _is_served(tale, "c2", "a01", seen) == [Law.OVERTAKEN]


def test_who_may_have_overflowed_may_have_had_either() -> None:
    """One agent of each kind is free beside the winner: whichever it was, somebody is left."""
    for asked, laws in (({}, []), ({"c9": "a02", "c8": "a03"}, [Law.OVERTAKEN])):
        tale = Tale()
        tale.waits("c1", queue="over", holder="b1")
        tale.now(RELAXED_S)
        seen = tale.waits("c2")
        for agent, levels in (("a01", BOTH), ("a02", TALKS), ("a03", KNOWS)):
            seen = _comes(tale, agent, levels)
        tale.gets("c2", "a01")
        tale.talks("c2")
        tale.ends("c2", Outcome.ANSWERED, decided_at=seen, asked=asked)
        assert tale.laws() == laws


@pytest.mark.parametrize(
    ("levels", "waits_s", "laws"),
    [
        (KNOWS, SERVED_S + 1.0, []),
        (KNOWS, RELAXED_S + SERVED_S + 1.0, [Law.FORGOTTEN]),
        (TALKS, RELAXED_S + SERVED_S + 1.0, []),
        (BOTH, SERVED_S + 1.0, [Law.FORGOTTEN]),
    ],
)
def test_who_waits_is_forgotten_beside_somebody_who_suits_them_from_now_on(
    levels: Able, waits_s: float, laws: list[Law]
) -> None:
    """Who suits them no more, once they have overflowed, is none of these."""
    tale = Tale()
    _comes(tale, "a01", levels)
    tale.waits("c1", queue="over")
    tale.now(waits_s)
    tale.ends("c1")
    assert tale.laws() == laws


@in_virtual_time
@pytest.mark.parametrize(
    ("bug", "laws"),
    [
        ("overflow_ignored", {Law.UNSKILLED, Law.OVERTAKEN}),
        ("place_lost_by_overflow", {Law.OVERTAKEN}),
    ],
)
async def test_a_bug_of_overflowing_breaks_these_laws_alone(
    bug: str, laws: set[Law], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, bug)
    found = await broken_laws(seed=3, seconds=5.0, wanted=20)
    assert found
    assert found <= laws
