"""What is put back, and given up, when a machine has no time."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.course import End
from drills.due import Due
from drills.evidence import Evidence, lacked
from drills.experiment import CALLERS_COME, Bound, Experiment
from drills.lacks import MOST_TRIES, Lacks
from drills.library import experiment_of
from tests.drills.pieces import piece

KILLED, KEYS, QUORUM = map(experiment_of, ("site_killed", "keys_lost", "etcd_quorum_lost"))
SIX, FOUR = KEYS.ready[0], QUORUM.ready[0]


def tried(experiment: Experiment, busy: float | None, end: End = End.NOT_STEADY) -> Evidence:
    """Return what is left of a drill for which so many processes wanted each core at last."""
    values = {} if busy is None else {"runnable_per_core": busy}
    why = "" if busy is None else f"it was {busy:g}"
    looks = ((0.0, {"runnable_per_core": 1.0}), (60.0, values))
    return replace(piece(), experiment=experiment, end=end, why=why, looks=looks)


def in_order(lacks: Lacks) -> list[str]:
    wanted = (KILLED, QUORUM, KEYS)
    due = lacks.in_order(Due(experiment=each, seed=1) for each in wanted)
    return [each.experiment.name for each in due]


@pytest.mark.parametrize(
    ("asks", "of", "as_much"),
    [
        (Bound(figure="waiting", at_most=4), Bound(figure="waiting", at_most=6), True),
        (Bound(figure="waiting", at_most=6), Bound(figure="waiting", at_most=6), True),
        (Bound(figure="waiting", at_most=7), Bound(figure="waiting", at_most=6), False),
        (Bound(figure="edges", at_most=4), Bound(figure="waiting", at_most=6), False),
        (Bound(figure="waiting", at_least=4), Bound(figure="waiting", at_most=6), False),
        (Bound(figure="edges", at_least=4), Bound(figure="edges", at_least=3), True),
        (Bound(figure="edges", at_least=2), Bound(figure="edges", at_least=3), False),
        (
            Bound(figure="edges", at_least=4, at_most=5),
            Bound(figure="edges", at_least=3),
            True,
        ),
    ],
)
def test_a_bound_asks_as_much_as_another_if_nothing_is_within_it_alone(
    asks: Bound, of: Bound, *, as_much: bool
) -> None:
    assert asks.asks_as_much_as(of) is as_much


def test_what_was_lacked_is_told_by_the_last_look_of_a_drill_that_was_not_begun() -> None:
    assert lacked(tried(KEYS, 7.0)) == (SIX,)
    assert lacked(tried(KEYS, None)) == (SIX,), "nobody knows whether it was there"
    assert lacked(tried(KEYS, 5.0)) == (), "something else was missing"
    assert lacked(tried(KEYS, 7.0, End.COMPLETED)) == ()
    assert lacked(tried(KEYS, 7.0, End.REFUSED)) == ()
    assert lacked(tried(KILLED, 7.0)) == ()


def test_where_callers_came_late_all_drills_are_put_back_until_one_is_begun() -> None:
    late = replace(tried(KILLED, 1.0), looks=((0.0, {"calls_late": 3.0}),))
    assert lacked(late) == (CALLERS_COME,)
    assert lacked(replace(late, looks=((0.0, {"calls_late": 0.0}),))) == ()
    lacks = Lacks()
    lacks.take(late)
    assert lacks.told(KEYS) == "it asks for calls_late <= 0; it was 1"
    assert in_order(lacks) == ["site_killed", "etcd_quorum_lost", "keys_lost"], "all the same"
    for _ in range(MOST_TRIES - 1):
        lacks.take(late)
    assert in_order(lacks) == [], "given up"
    lacks.take(tried(KILLED, 1.0, End.COMPLETED))
    assert in_order(lacks) == ["site_killed", "etcd_quorum_lost", "keys_lost"]


def test_those_that_ask_for_as_much_are_put_back_and_no_others() -> None:
    lacks = Lacks()
    assert in_order(lacks) == ["site_killed", "etcd_quorum_lost", "keys_lost"]
    lacks.take(tried(QUORUM, 5.0))
    assert lacks.puts_back(QUORUM)
    assert not lacks.puts_back(KEYS), "there was as much time as it asks for, or may have been"
    assert in_order(lacks) == ["site_killed", "keys_lost", "etcd_quorum_lost"]
    lacks.take(tried(KEYS, 9.0))
    assert lacks.puts_back(QUORUM)
    assert lacks.puts_back(KEYS)


def test_what_was_begun_shows_that_there_is_time_again_for_who_asks_no_more() -> None:
    lacks = Lacks()
    lacks.take(tried(QUORUM, 9.0))
    lacks.take(tried(KEYS, 9.0))
    lacks.take(tried(KEYS, 5.0, End.COMPLETED))
    assert not lacks.puts_back(KEYS)
    assert lacks.puts_back(QUORUM)
    lacks.take(tried(QUORUM, 3.0, End.ABORTED))
    assert not lacks.puts_back(QUORUM)


def test_after_three_tries_in_a_row_they_are_given_up() -> None:
    lacks = Lacks()
    for _ in range(MOST_TRIES - 1):
        lacks.take(tried(KEYS, 9.0))
    assert in_order(lacks) == ["site_killed", "etcd_quorum_lost", "keys_lost"]
    lacks.take(tried(KEYS, 8.0))
    assert in_order(lacks) == ["site_killed"], "both ask for it"
    assert lacks.told(QUORUM) == "it asks for runnable_per_core <= 4; it was 8"
    assert lacks.told(KILLED) == ""


def test_the_bounds_of_the_drills_are_those() -> None:
    assert (SIX.at_most, FOUR.at_most) == (6.0, 4.0)
