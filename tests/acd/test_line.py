from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.index.index import MatchIndex
from edge.acd.line import level_of, waiting_calls
from edge.acd.match import match
from state import keys
from state.model import CallId, EdgeId, Queue, QueueId, Step, TicketState
from tests.acd.worlds import NOW, PATIENT, World, at, call_id, ticket

AGING_S = 10.0
CEILING = 5
AGING = Queue(id=QueueId("sales"), needs=(), aging_s=AGING_S, aging_ceiling=CEILING)


def line(world: World, after_s: float = 0.0) -> list[int]:
    return [int(each.entry.value.call, 16) for each in waiting_calls(world.snapshot, at(after_s))]


@pytest.mark.parametrize(
    ("priority", "waits_s", "level"),
    [
        (0, 0, 0),
        (0, 9.99, 0),
        (0, 10, 1),
        (0, 49.9, 4),
        (0, 50, 5),
        (0, 1e9, 5),
        (-3, 20, -1),
        (5, 1000, 5),
        (9, 1000, 9),
    ],
)
def test_waiting_raises_the_level_up_to_the_ceiling(
    priority: int, waits_s: float, level: int
) -> None:
    assert level_of(priority, waits_s, AGING) == level
    assert level_of(priority, waits_s, replace(AGING, aging_s=None)) == priority
    assert level_of(priority, waits_s, None) == priority


@pytest.mark.parametrize(("aging_s", "level"), [(0.0, 0), (-1.0, 0), (1e-300, 5), (5e-324, 5)])
def test_a_length_of_aging_that_no_file_allows_ends_no_match(aging_s: float, level: int) -> None:
    """A file takes none; a record in the store may have any, and every edge reads it."""
    queue = replace(AGING, aging_s=aging_s)
    assert level_of(0, 1e9, queue) == level
    world = World()
    world.set_queue(queue)
    world.agent("ann", sales=1)
    world.set_ticket(ticket(1, sales=1), waits_s=15.0)
    index = MatchIndex()
    index.fold(world.snapshot, world.deltas)
    assert index.offers(NOW) == match(world.snapshot, NOW)
    assert index.next_due_s() is None


def test_who_has_waited_long_comes_before_a_newcomer_of_a_higher_priority() -> None:
    world = World()
    world.set_queue(AGING)
    world.set_ticket(ticket(1, priority=0), waits_s=15.0)
    world.set_ticket(ticket(2, priority=2))
    assert line(world) == [2, 1]
    assert line(world, 4.9) == [2, 1]
    assert line(world, 5.0) == [1, 2]
    # The rival ages as well, and does not come back.
    assert line(world, 300.0) == [1, 2]


def test_a_step_may_raise_the_priority() -> None:
    world = World()
    world.set_queue(
        Queue(id=QueueId("sales"), needs=(), steps=(Step(after_s=10, raise_priority=3),))
    )
    world.set_ticket(ticket(1, priority=0))
    world.set_ticket(ticket(2, priority=2, queue="other"))
    assert line(world, 9.9) == [2, 1]
    assert line(world, 10.0) == [1, 2]


def test_only_the_calls_that_can_be_served_stand_in_line() -> None:
    world = World()
    world.ticket(1)
    world.ticket(2, state=TicketState.GREETING)
    world.ticket(3, holder="b1")
    world.drop(keys.edge(EdgeId("b1")))
    assert line(world) == [1]


def test_a_longer_greeting_does_not_cost_the_place() -> None:
    world = World()
    world.set_queue(AGING)
    first = world.set_ticket(ticket(1), waits_s=0.0)
    world.set_ticket(ticket(2), waits_s=8.0)
    assert line(world, 2.0) == [1, 2]
    (one, _) = waiting_calls(world.snapshot, at(2.0))
    assert (one.entry.value.call, one.level) == (first, 1)


WAITS = st.floats(0, 80)
CALLS = st.lists(
    st.tuples(st.integers(-2, 7), WAITS, st.sampled_from(["sales", "help"])), max_size=12
)


@given(calls=CALLS, after_s=WAITS)
@PATIENT
def test_within_a_queue_and_a_priority_nobody_overtakes_whatever_the_clocks_say(
    calls: list[tuple[int, float, str]], after_s: float
) -> None:
    world = World()
    world.set_queue(AGING)
    world.set_queue(replace(AGING, id=QueueId("help"), steps=(Step(after_s=9, raise_priority=2),)))
    for number, (priority, waits_s, queue) in enumerate(calls):
        world.set_ticket(ticket(number, priority=priority, queue=queue), waits_s=waits_s)
    last: dict[tuple[int, str], int] = {}
    for number in line(world, after_s):
        priority, _, queue = calls[number]
        assert last.get((priority, queue), -1) < number
        last[priority, queue] = number


@given(
    priority=st.integers(-2, CEILING),
    rivals=st.lists(st.tuples(st.integers(-2, 7), st.floats(0, 100)), max_size=12),
    now_s=st.floats(0, 200),
)
@PATIENT
def test_how_long_a_caller_may_be_passed_by_others_is_bounded(
    priority: int, rivals: list[tuple[int, float]], now_s: float
) -> None:
    """The rivals come so many seconds after the first caller; all have come by `now_s`."""
    world = World()
    world.set_queue(AGING)
    first = ticket(0, priority=priority)
    world.put(keys.ticket(first.call), first, seen_s=NOW.mono_s)
    come = sorted(rival for rival in rivals if rival[1] <= now_s)
    for number, (rank, after_s) in enumerate(sorted(come, key=lambda each: each[1]), start=1):
        rival = ticket(number, priority=rank)
        world.put(keys.ticket(rival.call), rival, seen_s=NOW.mono_s + after_s)
    order = [each.entry.value.call for each in waiting_calls(world.snapshot, at(now_s))]
    passed_by = set(order[: order.index(first.call)])
    assert passed_by.isdisjoint(_may_not_pass(come, priority, now_s))


def _may_not_pass(come: list[tuple[int, float]], priority: int, now_s: float) -> set[CallId]:
    found = set()
    for number, (rank, after_s) in enumerate(sorted(come, key=lambda each: each[1]), start=1):
        is_late = rank <= CEILING and after_s >= (rank - priority) * AGING_S
        is_at_ceiling = rank <= CEILING and now_s >= (CEILING - priority) * AGING_S
        if is_late or is_at_ceiling:
            found.add(call_id(number))
    return found


def test_of_two_who_share_a_place_the_one_with_the_lower_id_is_never_overtaken() -> None:
    world = World()
    world.set_queue(AGING)
    for number, waits_s in ((1, 0.0), (2, 25.0)):
        world.set_ticket(replace(ticket(number), place=7), waits_s=waits_s)
    world.set_ticket(ticket(3, priority=1))
    assert line(world) == [1, 2, 3]
