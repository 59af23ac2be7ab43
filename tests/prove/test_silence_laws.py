"""Callers of an edge that is said to be silent: who may be passed over, and who may not."""

from __future__ import annotations

from typing import Any

import pytest

from drills.prove.history import FaultKind
from drills.prove.laws_silence import count_passed_over
from drills.prove.violations import Law
from edge.acd.match import PASSED_OVER
from state.model import Outcome
from tests.prove.comings import comes, inherits
from tests.prove.histories import NOBODY, Tale

NEXT = {"c1": str(PASSED_OVER)}


def served(tale: Tale, asked: dict[str, str] | None = None, *, first: str = "b1") -> list[Law]:
    """Let the second caller, of a1, get the only agent."""
    tale.waits("c1", holder=first)
    seen = tale.waits("c2")
    tale.now(3.0)
    tale.gets("c2", "a01")
    tale.talks("c2")
    tale.ends("c2", Outcome.ANSWERED, decided_at=seen, asked=NOBODY if asked is None else asked)
    return tale.laws()


def broken(kind: FaultKind, target: str) -> Tale:
    tale = Tale("a01")
    tale.breaks(kind, target)
    return tale


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.KILL_EDGE, "b1"),
        (FaultKind.FREEZE_EDGE, "b1"),
        (FaultKind.CUT_OFF, "b"),
        (FaultKind.CUT_ONE_WAY, "b>c"),
        (FaultKind.CUT_ONE_WAY, "c>a"),
        (FaultKind.LOSE_EVENTS, "b1"),
        (FaultKind.LATE_EVENTS, "a1"),
        (FaultKind.KILL_ETCD, "c"),
    ],
)
def test_who_was_kept_from_acting_may_be_passed_over_if_the_decision_says_so(
    kind: FaultKind, target: str
) -> None:
    assert served(broken(kind, target), NEXT) == []


def test_decisions_that_pass_callers_over_are_counted() -> None:
    for asked, many in ((NEXT, 1), ({}, 0)):
        tale = broken(FaultKind.KILL_EDGE, "b1")
        served(tale, asked)
        assert count_passed_over(tale.events) == many


def test_a_dead_edges_caller_is_not_passed_over_without_a_word() -> None:
    assert served(broken(FaultKind.KILL_EDGE, "b1")) == [Law.OVERTAKEN]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.FREEZE_EDGE, "a1"),
        (FaultKind.KILL_EDGE, "c1"),
        (FaultKind.CUT, "c"),
        (FaultKind.WRONG_CLOCK, "b1"),
        (FaultKind.RESTART_PROXY, "b"),
    ],
)
def test_what_did_not_keep_it_from_acting_is_no_excuse(kind: FaultKind, target: str) -> None:
    assert served(broken(kind, target), NEXT) == [Law.PASSED_OVER]


def test_what_was_mended_long_ago_is_no_excuse() -> None:
    tale = broken(FaultKind.FREEZE_EDGE, "b1")
    tale.mends(FaultKind.FREEZE_EDGE, "b1")
    tale.now(20.0)
    assert served(tale, NEXT) == [Law.PASSED_OVER]


def test_only_the_callers_of_that_edge_are_passed_over() -> None:
    tale = broken(FaultKind.KILL_EDGE, "b1")
    tale.waits("c0", holder="a1")
    assert served(tale, NEXT) == [Law.OVERTAKEN]


def test_all_its_callers_are_whichever_the_decision_names() -> None:
    tale = broken(FaultKind.KILL_EDGE, "b1")
    tale.waits("c0", holder="b1")
    assert served(tale, NEXT) == []


def test_nobodys_own_callers_are_ever_passed_over() -> None:
    tale = broken(FaultKind.KILL_EDGE, "a1")
    assert Law.PASSED_OVER in served(tale, NEXT, first="a1")


def test_a_caller_who_is_not_there_names_nobody() -> None:
    tale = broken(FaultKind.KILL_EDGE, "b1")
    assert served(tale, {"c9": str(PASSED_OVER)}) == [Law.OVERTAKEN]


# -- who has come again


def again(
    *,
    caller: str = "+49",
    again_of: str = "c1",
    asked: dict[str, str] | None = None,
    first: str = "c3",
    had: bool = False,
) -> list[Law]:
    """Let the first caller, of b1, come to a1 again as the third; one of a1's gets the agent."""
    tale = broken(FaultKind.KILL_EDGE, "b1")
    place = tale.waits("c1", holder="b1", caller="+49")
    tale.waits("c2", caller="+1")
    seen = tale.waits("c3", caller=caller, again_of=again_of)
    if had:
        tale.presence("a02")
        comes(tale, "c0", again_of="c1")
        seen = inherits(tale, "c0", "c1", place, "a02")
    tale.now(3.0)
    tale.gets(first, "a01")
    tale.talks(first)
    tale.ends(first, Outcome.ANSWERED, decided_at=seen, asked=NEXT if asked is None else asked)
    return tale.laws()


def test_who_has_come_again_is_served_before_who_came_between() -> None:
    assert again() == []
    assert again(first="c2") == [Law.OVERTAKEN]


@pytest.mark.parametrize(
    "how",
    [{"caller": "+48"}, {"again_of": ""}, {"again_of": "c2"}, {"had": True}],
    ids=["another number", "names nobody", "names another", "a place that was had"],
)
def test_nobody_else_is(how: dict[str, Any]) -> None:
    assert again(**how) == [Law.OVERTAKEN]
    assert again(**how, first="c2") == []


def test_while_the_edge_is_not_said_to_be_silent_each_has_their_own_place() -> None:
    assert again(asked={}, first="c2") == [Law.OVERTAKEN]


def test_whether_the_old_call_lifts_who_stands_at_its_place_is_open() -> None:
    tale = broken(FaultKind.KILL_EDGE, "b1")
    tale.waits("c1", holder="b1", caller="+49", queue="ages", waited_s=9.0)
    tale.waits("c2", caller="+49", queue="ages", again_of="c1")
    seen = tale.waits("c3", priority=1)
    tale.now(3.0)
    tale.gets("c3", "a01")
    tale.talks("c3")
    tale.ends("c3", Outcome.ANSWERED, decided_at=seen, asked=NEXT)
    assert tale.laws() == []
