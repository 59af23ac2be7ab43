"""When somebody who has fallen silent in a talk counts as gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acd.fallen_silent import (
    AGAIN_S,
    LOOK_S,
    LOST_S,
    PATIENCE_BY_RIGHT_S,
    PATIENCE_S,
    Asked,
    Line,
    Next,
    answered,
    asked,
    due,
    looked,
)
from edge.sip import asking

PROXY_S = 5.0
"""The patience of a Kamailio of ours (`fr_timer`)."""
LOOKS = st.lists(
    st.tuples(
        st.floats(0.5, 10.0),
        st.sampled_from([0, 0, 1]),
        st.sampled_from([None, True, False]),
        st.sampled_from([False, False, True]),
    ),
    max_size=30,
)
"""(seconds later, packets more, what the telephone answers before that look, whether its owner has
said that they are silent by right, or are so no more)"""


@given(LOOKS)
def test_a_line_is_given_up_only_after_silence_in_both_ways(looks: list[tuple]) -> None:  # type: ignore[type-arg]
    now_s = 0.0
    line = looked(None, 7, now_s)
    packets = 7
    unanswered_since: float | None = None
    is_by_right = False
    for later_s, more, answer, turns in looks:
        if answer is not None:
            if answer or line.asked is Asked.UNDER_WAY:
                unanswered_since = None if answer else now_s
            line = answered(line, is_there=answer)
        now_s += later_s
        packets += more
        is_by_right ^= turns
        line = looked(line, packets, now_s, is_by_right=is_by_right)
        if more or turns:
            unanswered_since = None
            assert due(line, now_s) is Next.NOTHING
        then = due(line, now_s)
        if then is Next.GIVE_UP:
            assert unanswered_since is not None
            assert now_s - line.since_s >= (AGAIN_S if is_by_right else LOOK_S)
            assert now_s - line.asked_s >= (PATIENCE_BY_RIGHT_S if is_by_right else PATIENCE_S)
            return
        if then is Next.ASK:
            line = asked(line, now_s)


def test_who_was_never_heard_is_never_asked() -> None:
    assert due(looked(Line(packets=0, since_s=0.0), 0, 60.0), 60.0) is Next.NOTHING


def test_who_has_answered_is_asked_again_after_a_while() -> None:
    line = looked(looked(None, 5, 0.0), 5, LOOK_S)
    assert due(line, LOOK_S) is Next.ASK
    there = answered(asked(line, LOOK_S), is_there=True)
    assert due(there, LOOK_S + AGAIN_S - 0.1) is Next.NOTHING
    assert due(there, LOOK_S + AGAIN_S) is Next.ASK


@pytest.mark.parametrize("is_there", [True, False])
def test_an_answer_that_nobody_has_asked_for_changes_nothing(*, is_there: bool) -> None:
    line = looked(None, 5, 0.0)
    assert answered(line, is_there=is_there) == line


def test_who_answers_late_is_there_after_all() -> None:
    unanswered = answered(asked(looked(None, 5, 0.0), LOOK_S), is_there=False)
    assert due(unanswered, LOOK_S + 5.0) is Next.GIVE_UP
    assert due(answered(unanswered, is_there=True), LOOK_S + 5.0) is Next.NOTHING


def test_a_question_of_which_nothing_comes_is_lost_and_asked_again() -> None:
    line = asked(looked(None, 5, 0.0), LOOK_S)
    assert due(line, LOOK_S + LOST_S - 0.1) is Next.NOTHING
    assert due(line, LOOK_S + LOST_S) is Next.ASK


# ---- who is silent by right ----------------------------------------------------------------------


def _by_right(since_s: float = 0.0) -> Line:
    return looked(None, 5, since_s, is_by_right=True)


def test_who_is_silent_by_right_is_asked_as_seldom_as_who_has_answered() -> None:
    line = _by_right()
    assert due(line, AGAIN_S - 0.1) is Next.NOTHING
    assert due(line, AGAIN_S) is Next.ASK
    there = answered(asked(line, AGAIN_S), is_there=True)
    assert due(there, 2 * AGAIN_S - 0.1) is Next.NOTHING
    assert due(there, 2 * AGAIN_S) is Next.ASK


def test_who_is_silent_by_right_is_given_up_later() -> None:
    line = answered(asked(_by_right(), AGAIN_S), is_there=False)
    assert due(line, AGAIN_S + PATIENCE_BY_RIGHT_S - 0.1) is Next.NOTHING
    assert due(line, AGAIN_S + PATIENCE_BY_RIGHT_S) is Next.GIVE_UP


def test_they_are_asked_twice_before_that() -> None:
    """Though a proxy says only after its patience that the first question got no answer."""
    assert PATIENCE_BY_RIGHT_S > PROXY_S + asking.AGAIN_S + 1.0


@pytest.mark.parametrize("is_by_right", [True, False])
def test_who_says_whether_they_speak_is_there(*, is_by_right: bool) -> None:
    line = looked(None, 5, 0.0, is_by_right=not is_by_right)
    line = answered(asked(line, AGAIN_S), is_there=False)
    later_s = AGAIN_S + PATIENCE_BY_RIGHT_S
    line = looked(line, 5, later_s, is_by_right=is_by_right)
    assert due(line, later_s) is Next.NOTHING
    assert line.asked is Asked.NOT


def test_of_who_holds_and_sends_music_nothing_is_asked() -> None:
    line = _by_right()
    for second in range(100):
        line = looked(line, 5 + second, float(second), is_by_right=True)
        assert due(line, float(second)) is Next.NOTHING
