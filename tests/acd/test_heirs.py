"""Who has come again while their old edge cannot act, and stands where they stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.ending import UNKNOWN_CALLER
from edge.acd.explain import explain
from edge.acd.heirs import Heirs, Numbers, at_their_places, heirs
from edge.acd.index.index import MatchIndex
from edge.acd.line import standing_of, waiting_calls
from edge.acd.match import NOTHING_ASKED, PASSED_OVER, match, silent
from state import keys
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    Heir,
    Place,
    Queue,
    QueueId,
    Ticket,
    TicketState,
)
from tests.acd.worlds import NOW, PATIENT, World, at, call_id, ticket

QUEUED, OFFERED, GREETING = TicketState.QUEUED, TicketState.OFFERED, TicketState.GREETING
OLD, BETWEEN, AGAIN = call_id(1), call_id(2), call_id(3)
CALLER = "+4915777"
B1 = frozenset({EdgeId("b1")})
SILENT = {OLD: PASSED_OVER}


def of_caller(number: int, **how: object) -> Ticket:
    """Return the ticket of somebody who is known by their number."""
    holder = str(how.pop("holder", "a1"))
    return replace(ticket(number, holder=holder, sales=1), **{"caller": CALLER, **how})


def again_of(number: int, *earlier: int, **how: object) -> Ticket:
    """Return the ticket of the same caller, who names their earlier calls."""
    return of_caller(number, **{"again_of": tuple(map(call_id, earlier or (1,))), **how})


def place_left(number: int, **how: object) -> Place:
    """Return what is left of a call of the same caller who waited, and was lost with their edge."""
    left = Place(call=call_id(number), did=of_caller(number).did, caller=CALLER, place=number)
    return replace(left, **how)


def scene(*, old: Ticket | None = None, again: Ticket | None = None) -> World:
    """Let a caller be lost with b1, another come, and the first again; one agent is free."""
    world = World()
    world.agent("ann", sales=1)
    world.set_ticket(old or of_caller(1, holder="b1"))
    world.ticket(2, sales=1)
    world.set_ticket(again or again_of(3))
    return world


def served(world: World, asked: dict[CallId, AgentId] | None = None) -> list[CallId]:
    """Return who gets somebody."""
    return [each.call for each in match(world.snapshot, NOW, asked=asked or NOTHING_ASKED)]


def test_who_comes_again_while_their_edge_is_silent_is_served_at_the_old_place() -> None:
    world = scene()
    assert served(world, SILENT) == [AGAIN]
    world.agent("bob", sales=1)
    assert served(world, SILENT) == [AGAIN, BETWEEN]


def test_so_is_who_comes_again_when_the_lease_has_run_out_and_nobody_has_closed_the_call() -> None:
    world = scene()
    world.drop(keys.edge(EdgeId("b1")))
    assert served(world) == [AGAIN]


def closed(**how: object) -> World:
    """Let the old call be closed when its caller has come again."""
    world = scene()
    place = world.snapshot.tickets[OLD].create_revision
    world.drop(keys.ticket(OLD))
    world.put(keys.place(OLD), place_left(1, place=place, **how))
    return world


def test_so_is_whose_old_call_has_been_closed_and_who_has_not_been_given_the_place_yet() -> None:
    world = closed()
    assert served(world) == [AGAIN]
    world.agent("bob", sales=1)
    assert served(world) == [AGAIN, BETWEEN]


def test_the_place_of_a_closed_call_is_theirs_once_alone_and_says_what_was_waited() -> None:
    world = closed(waited_s=70.0)
    stands = at_their_places(world.snapshot, heirs(world.snapshot, frozenset())).tickets[AGAIN]
    assert stands.value.place == world.snapshot.places[OLD].value.place
    assert stands.value.waited_s == 70.0
    world.set_ticket(again_of(4))
    assert heirs(world.snapshot, frozenset()) == {AGAIN: OLD}
    world.drop(keys.place(OLD))
    assert served(world) == [BETWEEN]


@pytest.mark.parametrize(
    "how", [{"was_sent_away": True}, {"prefers": AgentId("ann")}], ids=["sent_away", "talked"]
)
def test_who_was_sent_away_or_talked_has_no_such_place(how: dict[str, object]) -> None:
    assert served(closed(**how)) == [BETWEEN]


def test_while_the_edge_lives_somebody_else_of_that_number_is_somebody_else() -> None:
    world = scene()
    assert served(world) == [OLD]
    world.drop(keys.ticket(OLD))
    assert served(world) == [BETWEEN]


def test_when_the_edge_is_heard_again_each_stands_at_their_own_place() -> None:
    world = scene()
    world.agent("bob", sales=1)
    assert served(world, SILENT) == [AGAIN, BETWEEN]
    assert served(world) == [OLD, BETWEEN]


def test_the_wait_before_counts_as_the_old_ticket_says() -> None:
    world = scene(old=of_caller(1, holder="b1", waited_s=30.0), again=again_of(3, waited_s=2.0))
    world.set_queue(Queue(id=QueueId("sales"), needs=(), aging_s=10.0, aging_ceiling=9))
    line = waiting_calls(at_their_places(world.snapshot, {AGAIN: OLD}), at(5))
    assert {each.entry.value.call: each.level for each in line}[AGAIN] == 3


@pytest.mark.parametrize(
    ("state", "level"),
    [(QUEUED, 4), (OFFERED, 4), (GREETING, 3)],
    ids=["waits", "rings", "greeted"],
)
def test_and_what_was_waited_since_that_was_written(state: TicketState, level: int) -> None:
    world = World()
    world.set_ticket(of_caller(1, holder="b1", waited_s=30.0, state=state), waits_s=9.0)
    world.set_ticket(again_of(3, waited_s=2.0))
    world.set_queue(Queue(id=QueueId("sales"), needs=(), aging_s=10.0, aging_ceiling=9))
    world.drop(keys.edge(EdgeId("b1")))
    line = waiting_calls(at_their_places(world.snapshot, {AGAIN: OLD}), at(3))
    assert {each.entry.value.call: each.level for each in line}[AGAIN] == level


@pytest.mark.parametrize(
    ("old", "again"),
    [
        pytest.param({}, {"again_of": ()}, id="names nobody"),
        pytest.param({"state": TicketState.CONNECTED}, {}, id="they talk"),
        pytest.param({}, {"place": 10_000}, id="has a place of another call"),
        pytest.param({}, {"state": TicketState.CONNECTED}, id="has somebody"),
        pytest.param({}, {"holder": EdgeId("b1")}, id="at the same edge"),
    ],
)
def test_nobody_inherits_but_who_names_one_who_waits_and_waits_elsewhere(
    old: dict[str, object], again: dict[str, object]
) -> None:
    world = scene(old=of_caller(1, **{"holder": "b1", **old}), again=again_of(3, **again))
    assert heirs(world.snapshot, B1) == {}


@pytest.mark.parametrize("state", [TicketState.GREETING, TicketState.OFFERED])
def test_who_heard_the_greeting_or_a_telephone_that_rang_had_a_place(state: TicketState) -> None:
    world = scene(old=of_caller(1, holder="b1", state=state))
    assert heirs(world.snapshot, B1) == {AGAIN: OLD}


def test_who_came_before_the_lost_call_has_not_come_again() -> None:
    world = World()
    world.set_ticket(again_of(3))
    world.set_ticket(of_caller(1, holder="b1"))
    assert heirs(world.snapshot, B1) == {}


def test_of_two_who_come_again_one_has_the_place() -> None:
    world = scene()
    world.set_ticket(again_of(4))
    assert heirs(world.snapshot, B1) == {AGAIN: OLD}


def test_of_two_places_who_comes_first_has_the_better_one_whichever_was_lost_first() -> None:
    world = World()
    world.set_ticket(of_caller(5, holder="b1", place=7))
    world.set_ticket(of_caller(6, holder="b1", place=3))
    world.set_ticket(again_of(7, 5, 6, holder="c1"))
    world.set_ticket(again_of(8, 5, 6))
    assert heirs(world.snapshot, B1) == {call_id(7): call_id(6), call_id(8): call_id(5)}


def test_a_place_that_an_heir_has_had_is_had() -> None:
    world = scene()
    world.put(keys.heir(OLD), Heir(call=OLD, heir=call_id(9)))
    assert heirs(world.snapshot, B1) == {}
    assert served(world, SILENT) == [BETWEEN]


def test_an_explanation_says_at_whose_place_a_call_stands() -> None:
    world = scene()
    told = explain(world.snapshot, AGAIN, NOW, asked=SILENT)
    assert told is not None
    assert (told.heir_of, told.place, told.best) == (OLD, 2, "ann")
    assert told.passed_over == {OLD: "b1"}
    other = explain(world.snapshot, BETWEEN, NOW, asked=SILENT)
    assert other is not None
    assert (other.heir_of, other.place, other.best) == (None, 3, None)


# -- after any history

Change = Callable[[World], object]


def _put(
    number: int, earlier: Sequence[int], state: TicketState, holder: str, place: int | None
) -> Change:
    named = tuple(map(call_id, earlier))
    record = of_caller(number, again_of=named, holder=holder, state=state, place=place)
    return lambda world: world.set_ticket(record)


def _close(number: int, was_sent_away: bool, prefers: str | None) -> Change:  # noqa: FBT001 - drawn
    """Close a call that was lost, which leaves its place: after all who have come since."""

    def close(world: World) -> None:
        world.drop(keys.ticket(call_id(number)))
        agent = None if prefers is None else AgentId(prefers)
        left = place_left(number, was_sent_away=was_sent_away, prefers=agent)
        world.put(keys.place(left.call), left)

    return close


NUMBERS = st.integers(0, 9)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        _put,
        NUMBERS,
        st.lists(NUMBERS, max_size=3, unique=True),
        st.sampled_from(TicketState),
        st.sampled_from(["a1", "b1", "c1"]),
        st.sampled_from([None, None, None, 1]),
    ),
    st.builds(lambda n: lambda w: w.drop(keys.ticket(call_id(n))), NUMBERS),
    st.builds(
        lambda n: lambda w: w.put(keys.heir(call_id(n)), Heir(call=call_id(n), heir=call_id(99))),
        NUMBERS,
    ),
    st.builds(lambda n: lambda w: w.drop(keys.heir(call_id(n))), NUMBERS),
    st.builds(_close, NUMBERS, st.booleans(), st.sampled_from([None, None, "ann"])),
    st.builds(lambda n: lambda w: w.drop(keys.place(call_id(n))), NUMBERS),
    st.sampled_from([lambda w: w.drop(keys.edge(EdgeId("c1")))]),
    st.sampled_from([lambda w: w.edge("c1", sip="198.18.3.10:5081")]),
)


@given(history=st.lists(st.tuples(CHANGES, st.sampled_from(["", "b1", "b1 c1"])), max_size=25))
@PATIENT
def test_each_place_has_one_heir_and_who_keeps_count_knows_what_the_snapshot_says(
    history: list[tuple[Change, str]],
) -> None:
    world, kept = World(), Heirs()
    before: Mapping[CallId, CallId] = {}
    for change, names in history:
        change(world)
        changed = [
            delta.id
            for delta in world.deltas
            if delta.kind in {"state/ticket", "state/heir", "state/place"}
        ]
        world.deltas.clear()
        unheard, snapshot = frozenset(map(EdgeId, names.split())), world.snapshot
        moved = kept.look(snapshot, unheard, changed)
        places = kept.places
        assert places == heirs(snapshot, unheard)
        assert {call for call in {*before, *places} if before.get(call) != places.get(call)} <= {
            *moved
        }
        before = places
        assert len(set(places.values())) == len(places)
        assert not {*places} & {*places.values()}
        for heir, left in places.items():
            come, old = snapshot.tickets[heir], snapshot.tickets.get(left)
            if old is None:
                was = snapshot.places[left].value
                assert not was.was_sent_away
                assert was.prefers is None
            else:
                assert old.create_revision < come.create_revision
        line = waiting_calls(at_their_places(snapshot, places), NOW)
        stand = [each.entry for each in line if each.entry.value.holder not in unheard]
        own = [each for each in stand if each.value.place is None or each.value.call in places]
        assert len({standing_of(each)[0] for each in own if each.value.place != 1}) == len(
            [each for each in own if each.value.place != 1]
        )


def _asked(world: World, names: str) -> dict[CallId, AgentId]:
    """Say of edges that they are silent: of those that hold somebody."""
    holders = names.split()
    return {
        call: PASSED_OVER
        for call, entry in world.snapshot.tickets.items()
        if entry.value.holder in holders
    }


@given(history=st.lists(st.tuples(CHANGES, st.sampled_from(["", "b1", "b1 c1"])), max_size=25))
@PATIENT
def test_the_index_serves_heirs_as_a_match_from_nothing_does(
    history: list[tuple[Change, str]],
) -> None:
    world, index = World(), MatchIndex(EdgeId("a1"))
    world.agent("ann", sales=1)
    for change, names in history:
        change(world)
        index.fold(world.snapshot, world.deltas)
        world.deltas.clear()
        asked = _asked(world, names)
        theirs = [each for each in match(world.snapshot, NOW, asked=asked) if each.holder == "a1"]
        assert list(index.offers(NOW, asked=asked)) == theirs
        unheard = silent(world.snapshot, asked)
        places = heirs(world.snapshot, unheard)
        for each in theirs:
            left = index.left_by(each.call)
            assert (None if left is None else left.value.call) == places.get(each.call)


def test_the_index_sees_an_edge_fall_silent_and_wake_up_and_what_is_written_meanwhile() -> None:
    world, index = scene(), MatchIndex(EdgeId("a1"))

    def first(asked: dict[CallId, AgentId]) -> CallId | None:
        index.fold(world.snapshot, world.deltas)
        world.deltas.clear()
        index.offers(NOW, asked=asked)
        return next(iter(index.offered), None)

    assert first({}) == OLD
    assert first(SILENT) == AGAIN
    assert first({}) == OLD
    assert first(SILENT) == AGAIN
    world.put(keys.heir(OLD), Heir(call=OLD, heir=call_id(9)))
    assert first(SILENT) == BETWEEN
    world.drop(keys.heir(OLD))
    assert first(SILENT) == AGAIN
    world.drop(keys.ticket(OLD))
    assert first({}) == BETWEEN
    world.set_ticket(again_of(4))
    assert first({}) == BETWEEN


@pytest.mark.parametrize("gone", [(OLD,), (AGAIN,), (OLD, AGAIN)], ids=["left", "heir", "both"])
def test_the_index_knows_who_has_gone_as_a_clock_was_set(gone: tuple[CallId, ...]) -> None:
    """It begins anew then, with nobody but those who are there."""
    world, index = scene(), MatchIndex(EdgeId("a1"))
    world.set_ticket(of_caller(4, holder="b1", caller="+4915778"))
    asked = {call_id(4): PASSED_OVER}
    index.fold(world.snapshot, world.deltas)
    world.deltas.clear()
    index.offers(NOW, asked=asked)
    assert list(index.offered) == [AGAIN]
    for call in gone:
        world.drop(keys.ticket(call))
    index.fold(world.snapshot, world.deltas)
    set_later = replace(NOW, wall_ms=NOW.wall_ms + 600_000)
    assert index.offers(set_later, asked=asked) == match(world.snapshot, set_later, asked=asked)


def test_what_is_left_for_the_next_who_comes_is_told() -> None:
    world, index = World(), MatchIndex(EdgeId("a1"))
    world.agent("ann", sales=1)
    for number in (1, 2):
        world.set_ticket(of_caller(number, holder="b1"))
    index.fold(world.snapshot, world.deltas)
    both = (call_id(2), call_id(1))

    def left() -> CallId | None:
        index.offers(NOW, asked=SILENT)
        entry = index.left_of(both)
        return None if entry is None else entry.value.call

    index.offers(NOW)
    assert index.left_of(both) is None
    assert left() == call_id(1)
    assert index.left_of((call_id(9),)) is None
    for number, then in ((3, call_id(2)), (4, None)):
        world.deltas.clear()
        world.set_ticket(again_of(number, 1, 2))
        index.fold(world.snapshot, world.deltas)
        assert left() == then


# -- who is who


def test_a_caller_is_told_of_calls_from_their_number_to_their_did_at_other_edges() -> None:
    world, numbers = World(), Numbers(EdgeId("a1"))
    did = of_caller(1).did
    others: dict[int, dict[str, object]] = {
        2: {"caller": "+4915778"},
        3: {"did": DidNumber("4930199")},
        4: {"holder": EdgeId("a1")},
        5: {"state": TicketState.CONNECTED},
        6: {"callback_of": call_id(99)},
        9: {"callback_of": call_id(98), "state": TicketState.CONNECTED},
    }
    for number, how in others.items():
        world.set_ticket(of_caller(number, **{"holder": "b1", **how}))
    for number, place, state in ((7, None, OFFERED), (1, 2, QUEUED), (8, None, GREETING)):
        world.set_ticket(of_caller(number, holder="c1", place=place, state=state))
    numbers.take(world.deltas)
    assert numbers.waiting(CALLER, did) == (call_id(1), call_id(7), call_id(8))
    assert numbers.talking(CALLER, did) == (call_id(5), call_id(9))
    world.deltas.clear()
    world.drop(keys.ticket(call_id(9)))
    world.drop(keys.ticket(call_id(7)))
    world.set_ticket(of_caller(8, holder="c1", state=TicketState.CONNECTED))
    world.set_ticket(of_caller(5, holder="c1"))
    numbers.take(world.deltas)
    assert numbers.waiting(CALLER, did) == (call_id(1), call_id(5))
    assert numbers.talking(CALLER, did) == (call_id(8),)
    world.deltas.clear()
    for number in (1, 5):
        world.drop(keys.ticket(call_id(number)))
    numbers.take(world.deltas)
    assert numbers.waiting(CALLER, did) == ()


@pytest.mark.parametrize("caller", ["", UNKNOWN_CALLER])
def test_who_withholds_their_number_is_not_known_again(caller: str) -> None:
    world, numbers = World(), Numbers(EdgeId("a1"))
    world.set_ticket(of_caller(1, caller=caller, holder="b1"))
    numbers.take(world.deltas)
    assert numbers.waiting(caller, of_caller(1).did) == ()


def test_no_more_are_named_than_a_ticket_has_room_for() -> None:
    world, numbers = World(), Numbers(EdgeId("a1"))
    for number in range(20):
        world.set_ticket(of_caller(number, holder="b1"))
    numbers.take(world.deltas)
    assert numbers.waiting(CALLER, of_caller(1).did) == tuple(map(call_id, range(8)))
