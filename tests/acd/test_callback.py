"""When a callback is due, and that nobody is dialled of whom nobody has looked if they may be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.callback import ASKED_S, is_due, is_refused, waits_for_clearance
from edge.acd.ending import Ending, place_kept
from state import keys
from state.codec import decode, encode
from state.model import CallBack, Clearance, DidNumber, Entry, Now, Outcome, Place, TrunkId
from tests.acd.worlds import WALL_MS, World, call_id, ticket

RULES = CallBack(trunk=TrunkId("t"))
UNASKED = replace(RULES, needs_clearance=False)
LOST = Place(
    call=call_id(1),
    did=DidNumber("15550100"),
    caller="+4930123",
    place=1,
    call_back=RULES,
    due_s=0.0,
)


def center(place: Place) -> World:
    """Return a center with such a place, written at 100 s."""
    world = World()
    world.queue("sales", sales=1)
    world.did("15550100", "sales")
    world.put(keys.place(place.call), place, seen_s=100.0)
    return world


def held(world: World) -> Entry[Place]:
    """Return the place."""
    return world.snapshot.places[LOST.call]


def say(world: World, *, may_call: bool, place: int | None = None) -> None:
    """Let a control plane have looked."""
    of = held(world).mod_revision if place is None else place
    told = Clearance(call=LOST.call, place=of, may_call=may_call)
    world.put(keys.clearance(LOST.call), told)


def after(seconds: float) -> Now:
    """Return the instant so long after the place was written."""
    return Now(mono_s=100.0 + seconds, wall_ms=WALL_MS)


@pytest.mark.parametrize(
    ("due_s", "after_s", "is_now"),
    [
        (0.0, 0.0, True),
        (30.0, ASKED_S, False),
        (30.0, 30.0, True),
        (None, 3600.0, False),
    ],
)
def test_who_may_be_called_back_is_when_it_is_time(
    due_s: float | None, after_s: float, *, is_now: bool
) -> None:
    world = center(replace(LOST, due_s=due_s))
    say(world, may_call=True)
    assert is_due(world.snapshot, held(world), after(after_s)) is is_now


@pytest.mark.parametrize("after_s", [0.0, ASKED_S, 3600.0])
def test_nobody_is_dialled_of_whom_nobody_has_looked_however_long_ago(after_s: float) -> None:
    world = center(LOST)
    assert not is_due(world.snapshot, held(world), after(after_s))
    assert waits_for_clearance(world.snapshot, held(world), after(after_s))


def test_what_was_said_of_an_earlier_version_of_the_place_counts_no_more() -> None:
    world = center(LOST)
    say(world, may_call=True)
    assert is_due(world.snapshot, held(world), after(1.0))
    world.put(keys.place(LOST.call), replace(LOST, tries=1), seen_s=100.0)
    assert not is_due(world.snapshot, held(world), after(1.0))
    assert waits_for_clearance(world.snapshot, held(world), after(1.0))


@pytest.mark.parametrize("rules", [RULES, UNASKED], ids=["needed", "not needed"])
def test_who_said_no_is_not_dialled_whatever_the_rules(rules: CallBack) -> None:
    world = center(replace(LOST, call_back=rules))
    say(world, may_call=False)
    assert not is_due(world.snapshot, held(world), after(60.0))
    assert is_refused(world.snapshot, held(world))
    assert not waits_for_clearance(world.snapshot, held(world), after(60.0))


def test_where_nothing_needs_to_be_looked_at_control_planes_have_a_moment_all_the_same() -> None:
    world = center(replace(LOST, call_back=UNASKED))
    assert not is_due(world.snapshot, held(world), after(ASKED_S - 0.01))
    assert is_due(world.snapshot, held(world), after(ASKED_S))
    assert not waits_for_clearance(world.snapshot, held(world), after(ASKED_S))


def test_a_place_that_an_older_edge_has_written_needs_clearance_too() -> None:
    told = encode(LOST).replace(b',"needs_clearance":true', b"")
    assert b"needs_clearance" not in told
    assert decode(Place, told, keys.place(LOST.call)) == LOST


@pytest.mark.parametrize("expires_s", [-1e300, 0.0, 7200.0, 1e300, 1.7e308])
def test_a_call_ends_and_leaves_its_place_however_long_its_callback_is_to_be_valid(
    expires_s: float,
) -> None:
    rules = CallBack(trunk=TrunkId("t"), after_lost_s=1.0, expires_s=expires_s)
    lost = Entry(
        value=replace(ticket(1), call_back=rules), create_revision=1, mod_revision=1, seen_s=0.0
    )
    put = place_kept(lost, Ending(outcome=Outcome.LOST, cause="edge_died"), after(0.0))
    assert put is not None
    until_ms = decode(Place, put.value, put.key).until_ms
    assert until_ms is not None
    assert until_ms >= after(0.0).wall_ms
