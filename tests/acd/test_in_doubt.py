"""Whom a survivor has closed as lost, and a site that is only cut off may be serving yet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.acd.callback import is_due
from edge.acd.ending import Ending, place_kept
from edge.acd.in_doubt import IN_DOUBT_S, SETTLES_S, Doubts
from state import keys
from state.codec import decode
from state.model import (
    CallBack,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Entry,
    Now,
    Outcome,
    Place,
    PresenceState,
    SiteId,
    TicketState,
    TrunkId,
)
from tests.acd.worlds import WALL_MS, World, call_id

A1 = EdgeId("a1")
PLACE = Place(
    call=call_id(1),
    did=DidNumber("15550100"),
    caller="+4930123",
    place=1,
    call_back=CallBack(trunk=TrunkId("t"), needs_clearance=False),
    due_s=0.0,
    held_by=A1,
    held_at=SiteId("a"),
)
SOON_S, LATER_S = SETTLES_S, IN_DOUBT_S - 1.0


def cut_off(*agents: str, place: Place = PLACE) -> World:
    """Return a center of whose site a nothing is heard, and which had these agents."""
    world = World()
    world.queue("sales", sales=1)
    world.did("15550100", "sales")
    for name in agents:
        world.agent(name, site="a", sales=1)
        world.presence(name)
    world.drop(keys.edge(A1))
    world.put(keys.place(place.call), place, seen_s=100.0)
    return world


def lives(world: World, edge: str, *alone: str) -> None:
    """Let an edge of site a say that it lives, and who is alone."""
    life = EdgeLife(
        edge=EdgeId(edge),
        site=SiteId("a"),
        sip="198.18.1.10:5081",
        state=EdgeState.SERVING,
        started_ms=WALL_MS,
        alone=tuple(EdgeId(each) for each in alone),
    )
    world.put(keys.edge(life.edge), life)


def after(seconds: float) -> Now:
    """Return the instant so long after the place was seen."""
    return Now(mono_s=100.0 + seconds, wall_ms=WALL_MS)


def place_of(world: World) -> Entry[Place]:
    """Return the place."""
    return world.snapshot.places[PLACE.call]


def is_doubted(world: World, after_s: float = LATER_S) -> bool:
    """Tell whether it is in doubt, which keeps it from being due."""
    doubted = Doubts(world.snapshot).has(place_of(world), after(after_s))
    assert is_due(world.snapshot, place_of(world), after(after_s)) is not doubted
    return doubted


def test_nobody_is_called_back_whom_a_site_with_agents_may_be_serving_for_ten_minutes() -> None:
    world = cut_off("ann")
    assert is_doubted(world, SOON_S)
    assert is_doubted(world, LATER_S)
    assert not is_doubted(world, IN_DOUBT_S)


def test_who_wants_to_be_called_back_soon_is_in_doubt_for_half_of_that_time() -> None:
    soon = CallBack(trunk=TrunkId("t"), needs_clearance=False, expires_s=120.0)
    world = cut_off("ann", place=replace(PLACE, call_back=soon))
    assert is_doubted(world, 59.0)
    assert not is_doubted(world, 60.0)


def test_who_was_lost_by_the_word_of_their_own_edge_is_not_in_doubt() -> None:
    assert not is_doubted(cut_off("ann", place=replace(PLACE, held_by=None, held_at=None)), 1.0)


def test_a_site_whose_telephones_have_gone_to_others_is_dead() -> None:
    world = cut_off("ann", "bob", "cy", "dee", "eve")
    world.move("ann", "b", home="a")
    world.move("bob", "c", home="a")
    assert is_doubted(world, SOON_S), "two may have bad lines"
    world.move("cy", "b", home="a")
    assert not is_doubted(world, SOON_S)


def test_who_talks_at_an_edge_that_lives_serves_nobody_at_the_dead_site() -> None:
    world = cut_off("ann", "bob", "cy")
    world.move("ann", "b", home="a")
    assert is_doubted(world, SOON_S)
    world.offer("bob", 5, edge="b1")
    assert not is_doubted(world, SOON_S)


@pytest.mark.parametrize("state", [PresenceState.SIGNED_OUT, PresenceState.PAUSED])
def test_a_site_at_which_nobody_was_signed_in_serves_nobody(state: PresenceState) -> None:
    world = cut_off("ann")
    world.presence("ann", state=state)
    assert is_doubted(world, SOON_S) is (state is not PresenceState.SIGNED_OUT)


def test_the_leases_of_one_site_run_out_one_after_the_other() -> None:
    world = cut_off()
    lives(world, "a2")
    assert is_doubted(world, SETTLES_S - 0.1)
    assert not is_doubted(world, SETTLES_S), "an edge alone has died, and its sister lives"


def test_an_edge_that_is_back_is_waited_for_until_it_has_merged() -> None:
    world = cut_off("ann")
    lives(world, "a1", "a1", "a2")
    assert is_doubted(world, 2 * IN_DOUBT_S)
    lives(world, "a1", "a2")
    assert not is_doubted(world)


def test_what_a_sister_holds_who_serves_alone_is_waited_for_by_the_word_of_another() -> None:
    held = replace(PLACE, held_by=EdgeId("a2"))
    world = cut_off("ann", place=held)
    lives(world, "a1", "a2")
    assert is_doubted(world, 2 * IN_DOUBT_S)
    lives(world, "a1")
    assert not is_doubted(world)


@pytest.mark.parametrize(
    ("changes", "is_guess", "held_by"),
    [
        ({}, True, A1),
        ({}, False, None),
        ({"callback_of": call_id(2), "tries": 1}, True, None),
        ({"callback_of": call_id(2), "tries": 1, "state": TicketState.OFFERED}, True, A1),
    ],
    ids=["by a survivor", "by its edge", "whom nobody has dialled", "who is being dialled"],
)
def test_in_doubt_is_whom_a_survivor_closed_and_their_edge_may_serve(
    changes: dict[str, object], held_by: EdgeId | None, *, is_guess: bool
) -> None:
    world = World()
    world.ticket(1)
    ticket = world.snapshot.tickets[call_id(1)]
    value = replace(ticket.value, call_back=PLACE.call_back, **changes)
    entry = replace(ticket, value=value)
    lost = Ending(outcome=Outcome.LOST, cause="edge_died")
    put = place_kept(entry, lost, after(0.0), is_guess=is_guess)
    assert put is not None
    kept = decode(Place, put.value, put.key)
    assert (kept.held_by, kept.held_at) == (held_by, held_by and SiteId("a"))
