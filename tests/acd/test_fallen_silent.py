"""When somebody who has fallen silent in a talk counts as gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acd.fallen_silent import (
    AGAIN_S,
    LOOK_S,
    LOST_S,
    PATIENCE_S,
    Asked,
    Line,
    Next,
    answered,
    asked,
    due,
    looked,
)

LOOKS = st.lists(
    st.tuples(
        st.floats(0.5, 10.0), st.sampled_from([0, 0, 1]), st.sampled_from([None, True, False])
    ),
    max_size=30,
)
"""(seconds later, packets more, what the telephone answers before that look)"""


@given(LOOKS)
def test_a_line_is_given_up_only_after_silence_in_both_ways(looks: list[tuple]) -> None:  # type: ignore[type-arg]
    now_s = 0.0
    line = looked(None, 7, now_s)
    packets = 7
    unanswered_since: float | None = None
    for later_s, more, answer in looks:
        if answer is not None:
            if answer or line.asked is Asked.UNDER_WAY:
                unanswered_since = None if answer else now_s
            line = answered(line, is_there=answer)
        now_s += later_s
        packets += more
        line = looked(line, packets, now_s)
        if more:
            unanswered_since = None
            assert due(line, now_s) is Next.NOTHING
        then = due(line, now_s)
        if then is Next.GIVE_UP:
            assert unanswered_since is not None
            assert now_s - line.since_s >= LOOK_S
            assert now_s - line.asked_s >= PATIENCE_S
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
