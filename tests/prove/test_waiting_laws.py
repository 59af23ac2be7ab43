"""Nobody is forgotten: neither a caller beside a free agent, nor the calls of a killed edge."""

from __future__ import annotations

import pytest

from drills.prove.history import FaultKind, Mirrored
from drills.prove.laws_takeover import SOON_S
from drills.prove.laws_waiting import SERVED_S
from drills.prove.violations import Law
from state.model import EdgeId, Outcome, PresenceState
from state.overlay import ALONE_FROM
from tests.prove.histories import Tale


def test_a_caller_who_waits_beside_a_free_agent_is_forgotten() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S + 1.0)
    tale.ends("c1")
    assert tale.laws() == [Law.FORGOTTEN]


def test_a_caller_who_still_waits_as_the_history_ends_is_forgotten() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S + 1.0)
    tale.lives("b1")
    assert tale.laws() == [Law.FORGOTTEN]


def test_a_caller_who_got_the_agent_late_was_forgotten_before() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S + 1.0)
    tale.gets("c1", "a01")
    assert tale.laws() == [Law.FORGOTTEN]


def test_a_caller_who_waits_for_a_moment_is_not() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S - 1.0)
    tale.ends("c1")
    assert tale.laws() == []


def test_a_caller_may_wait_while_nobody_is_ready_for_long() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    for _ in range(3):
        tale.presence("a01", PresenceState.PAUSED)
        tale.now(SERVED_S - 1.0)
        tale.presence("a01")
    tale.gets("c1", "a01")
    assert tale.laws() == []


@pytest.mark.parametrize(
    ("kind", "target", "laws"),
    [
        (FaultKind.FREEZE_EDGE, "a1", []),
        (FaultKind.CUT, "b", []),
        (FaultKind.SLOW_DISK, "c", []),
        (FaultKind.FREEZE_EDGE, "c1", [Law.FORGOTTEN]),
    ],
)
def test_who_waits_is_judged_where_nothing_was_broken_on_the_way(
    kind: FaultKind, target: str, laws: list[Law]
) -> None:
    tale = Tale("b01")
    tale.breaks(kind, target)
    tale.waits("c1")
    tale.mends(kind, target)
    tale.now(SERVED_S + 1.0)
    tale.ends("c1")
    assert tale.laws() == laws


def test_an_agent_at_a_site_that_the_edge_does_not_reach_is_not_free_for_its_callers() -> None:
    tale = Tale("b01")
    tale.probe("a1", "b")
    tale.waits("c1")
    tale.now(SERVED_S + 1.0)
    tale.probe("a1", "")
    tale.now(SERVED_S - 1.0)
    tale.ends("c1")
    assert tale.laws() == []


def _mirrors(tale: Tale, revision: int) -> None:
    said = Mirrored(at_s=tale.now(), edge=EdgeId("b1"), revision=revision, digest="")
    tale.note(said)


def test_a_change_of_which_the_history_hears_late_was_there_when_a_mirror_told_of_it() -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S - 1.0)
    _mirrors(tale, tale.revision + 1)
    tale.now(2.0)
    tale.gets("c1", "a01")
    assert tale.laws() == []


def test_who_has_come_before_the_history_hears_of_them_waits_since_a_mirror_told_of_them() -> None:
    tale = Tale("a01")
    _mirrors(tale, tale.revision + 1)
    tale.now(2.0)
    tale.waits("c1")
    tale.now(SERVED_S - 1.0)
    tale.gets("c1", "a01")
    assert tale.laws() == [Law.FORGOTTEN]


@pytest.mark.parametrize("is_alone", [False, True])
def test_no_other_revision_tells_when_a_change_was_there(*, is_alone: bool) -> None:
    tale = Tale("a01")
    tale.waits("c1")
    tale.now(SERVED_S - 1.0)
    _mirrors(tale, ALONE_FROM if is_alone else tale.revision)
    tale.now(2.0)
    tale.gets("c1", "a01")
    assert tale.laws() == [Law.FORGOTTEN]


def _killed(tale: Tale, down_s: float) -> None:
    tale.waits("c1")
    tale.gets("c1", "a01")
    tale.now(2.0)
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    tale.now(down_s)
    tale.mends(FaultKind.KILL_EDGE, "a1")
    tale.ends("c1", Outcome.LOST, cause="edge_died")


def test_an_edge_that_is_soon_back_loses_none_of_its_calls() -> None:
    tale = Tale("a01")
    _killed(tale, 1.0)
    assert tale.laws() == [Law.NOT_TAKEN_UP]


def test_the_calls_of_an_edge_that_is_back_too_late_may_be_closed() -> None:
    tale = Tale("a01")
    _killed(tale, SOON_S + 1.0)
    assert tale.laws() == []


def test_a_call_that_was_answered_as_its_edge_was_killed_may_be_unknown_to_the_next_life() -> None:
    tale = Tale()
    tale.waits("c1")
    tale.breaks(FaultKind.KILL_EDGE, "a1")
    tale.mends(FaultKind.KILL_EDGE, "a1")
    tale.ends("c1", Outcome.LOST, cause="edge_died")
    assert tale.laws() == []


def test_an_edge_that_is_frozen_soon_after_may_lose_its_calls_to_others() -> None:
    tale = Tale("a01")
    tale.breaks(FaultKind.FREEZE_EDGE, "a1")
    tale.mends(FaultKind.FREEZE_EDGE, "a1")
    _killed(tale, 1.0)
    assert tale.laws() == []
