"""An agent whose telephone has gone is not rung, and soon not offered any more."""

from __future__ import annotations

import pytest

from drills.prove.history import FaultKind, PhoneBack, PhoneGone
from drills.prove.laws_gone import SLACK_S, TOLD_S, UNTOLD_S
from drills.prove.laws_waiting import SERVED_S
from drills.prove.people import LONG_AWAY_S
from drills.prove.violations import Law
from state.model import AgentId
from tests.prove.histories import Tale
from tests.prove.test_people import Stage

AGENT = AgentId("a01")


def _goes(tale: Tale, *, is_told: bool) -> None:
    tale.note(PhoneGone(at_s=tale.now(), agent=AGENT, is_told=is_told))


def _comes(tale: Tale) -> None:
    tale.note(PhoneBack(at_s=tale.now(), agent=AGENT))


def _gets(tale: Tale, later_s: float) -> None:
    tale.now(later_s)
    tale.waits("c1", holder="b1")
    tale.gets("c1", AGENT)


@pytest.mark.parametrize(
    ("later_s", "is_told", "laws"),
    [
        (TOLD_S, True, []),
        (TOLD_S + 2.0, True, [Law.GONE]),
        (TOLD_S + 2.0, False, []),
        (UNTOLD_S + 2.0, False, [Law.GONE]),
    ],
)
def test_who_has_gone_may_be_given_to_a_call_only_until_that_must_be_known(
    later_s: float, laws: list[Law], *, is_told: bool
) -> None:
    tale = Tale(AGENT)
    _goes(tale, is_told=is_told)
    _gets(tale, later_s)
    assert tale.laws() == laws


def test_who_is_back_may_be_given_again() -> None:
    tale = Tale(AGENT)
    _goes(tale, is_told=True)
    tale.now(UNTOLD_S)
    _comes(tale)
    _gets(tale, UNTOLD_S)
    tale.rings("c1")
    assert tale.laws() == []


@pytest.mark.parametrize(
    ("kind", "target", "excuses"),
    [
        (FaultKind.FREEZE_EDGE, "a1", True),
        (FaultKind.RESTART_PROXY, "a", True),
        (FaultKind.LOSE_EVENTS, "b1", True),
        (FaultKind.FREEZE_EDGE, "c1", False),
        (FaultKind.FREEZE_ETCD, "c", True),
        (FaultKind.WRONG_CLOCK, "a1", False),
    ],
)
def test_what_keeps_the_news_from_the_home_edge_or_from_who_decides_excuses_it(
    kind: FaultKind, target: str, *, excuses: bool
) -> None:
    tale = Tale(AGENT)
    tale.breaks(kind, target)
    tale.mends(kind, target)
    _goes(tale, is_told=True)
    _gets(tale, UNTOLD_S + 2.0)
    assert tale.laws() == ([] if excuses else [Law.GONE])


@pytest.mark.parametrize("is_told", [False, True])
def test_no_gate_lets_them_be_rung_at_any_time(*, is_told: bool) -> None:
    tale = Tale(AGENT)
    tale.waits("c1")
    tale.gets("c1", AGENT)
    _goes(tale, is_told=is_told)
    tale.breaks(FaultKind.FREEZE_EDGE, "a1")
    tale.rings("c1")
    assert tale.laws() == [Law.GONE]


def test_nobody_is_forgotten_beside_somebody_who_seems_free_and_has_no_telephone() -> None:
    for is_gone in (False, True):
        tale = Tale(AGENT)
        if is_gone:
            _goes(tale, is_told=False)
        tale.waits("c1")
        tale.now(SERVED_S + 1.0)
        tale.ends("c1")
        assert tale.laws() == ([] if is_gone else [Law.FORGOTTEN])


# -- the people of a run


def _away(stage: Stage) -> dict[str, bool]:
    return {agent: told for way in stage.ways.values() for agent, told in way.away.items()}


@pytest.mark.parametrize("seed", range(6))
def test_a_telephone_goes_for_a_while_and_comes_back_and_that_is_noted(seed: int) -> None:
    stage = Stage(seed)
    stage.crowd.somebody_goes_away()
    ((agent, is_told),) = _away(stage).items()
    assert stage.noted == [PhoneGone(at_s=0.0, agent=AgentId(agent), is_told=is_told)]
    stage.pass_time(LONG_AWAY_S[1])
    assert not _away(stage)
    assert isinstance(stage.noted[-1], PhoneBack)


def test_some_goings_are_told_and_some_last_for_longer_than_they_may_stay_unnoticed() -> None:
    told, longest_s = set(), 0.0
    for seed in range(20):
        stage = Stage(seed)
        stage.crowd.somebody_goes_away()
        told |= set(_away(stage).values())
        while _away(stage):
            stage.pass_time(stage.now_s + 0.5)
        longest_s = max(longest_s, stage.now_s)
    assert told == {False, True}
    assert longest_s > UNTOLD_S + SLACK_S + 2.0


def test_nobody_goes_away_in_a_call_nor_twice_and_all_are_back_at_the_end() -> None:
    stage = Stage(3)
    stage.ring("a01")
    for _ in range(3):
        stage.crowd.somebody_goes_away()
    assert list(_away(stage)) == ["b01"]
    stage.crowd.close()
    stage.crowd.somebody_goes_away()
    assert not _away(stage)
    stage.pass_time(60.0)
    assert [type(each) for each in stage.noted].count(PhoneBack) == 1
