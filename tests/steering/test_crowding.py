from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from edge.steering.crowding import AT_EASE_S, CROWDED_S, Crowding


def after(crowding: Crowding, looks: Iterable[tuple[float, bool]]) -> Crowding:
    for now_s, is_limiting in looks:
        crowding = crowding.after(now_s, is_limiting=is_limiting)
    return crowding


def test_a_short_pause_is_no_load() -> None:
    short = [(0.0, True), (CROWDED_S - 0.1, True), (CROWDED_S, False), (2 * CROWDED_S, True)]
    assert not after(Crowding(), short).is_crowded


def test_an_edge_that_lets_in_fewer_for_a_while_is_crowded() -> None:
    assert after(Crowding(), [(0.0, True), (CROWDED_S, True)]).is_crowded


def test_it_is_taken_back_when_it_has_not_been_so_for_long() -> None:
    crowded = Crowding(is_crowded=True)
    rested = [(0.0, False), (AT_EASE_S - 0.1, False)]
    assert after(crowded, rested).is_crowded
    assert not after(crowded, [*rested, (AT_EASE_S, False)]).is_crowded
    assert after(crowded, [*rested, (AT_EASE_S - 0.05, True), (AT_EASE_S, False)]).is_crowded


@given(st.lists(st.tuples(st.floats(0.01, 40.0), st.booleans()), max_size=200))
def test_it_is_said_and_taken_back_no_more_often_than_the_pauses_allow(
    looks: list[tuple[float, bool]],
) -> None:
    crowding, now_s, changed = Crowding(), 0.0, list[float]()
    for pause_s, is_limiting in looks:
        now_s += pause_s
        before, crowding = crowding, crowding.after(now_s, is_limiting=is_limiting)
        if before.is_crowded != crowding.is_crowded:
            changed.append(now_s)
    back = changed[1::2]
    assert all(at - said >= AT_EASE_S for said, at in zip(changed[::2], back, strict=False))
