"""What other edges are taken to be reserving, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.acd.match import match
from edge.acd.presumed import MOST_S, Presumed
from state import keys
from state.model import EdgeId, TicketState
from tests.acd.worlds import NOW, World, at, call_id, ticket

THEIRS, OURS = call_id(1), call_id(2)


def furnished() -> World:
    """Return a world in which ann goes to the others' caller, who came first, and bob to ours."""
    world = World()
    world.agent("ann", sales=1)
    world.agent("bob", sales=9)
    world.ticket(1, holder="b1", sales=1)
    world.ticket(2, sales=1)
    return world


def presumed_in(world: World) -> Presumed:
    presumed = Presumed(EdgeId("a1"))
    offers = match(world.snapshot, NOW)
    presumed.note(world.snapshot, {each.call: each.agent for each in offers}, NOW)
    return presumed


def test_others_are_taken_to_do_what_the_match_says_and_own_calls_are_left_out() -> None:
    world = furnished()
    assert presumed_in(world).agents(world.snapshot, NOW) == {THEIRS: "ann"}


def test_a_better_agent_who_comes_meanwhile_does_not_turn_it_round() -> None:
    world = furnished()
    presumed = presumed_in(world)
    world.agent("amy", since_ms=0, sales=1)
    asked = presumed.agents(world.snapshot, NOW)
    assert [(each.call, each.agent) for each in match(world.snapshot, NOW, asked=asked)] == [
        (OURS, "amy")
    ]
    # Without that, ours would reach for ann, whom the others are getting.
    assert [each.agent for each in match(world.snapshot, NOW)] == ["amy", "ann"]


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.ticket(1, holder="b1", sales=1, state=TicketState.OFFERED),
        lambda world: world.set_ticket(ticket(1, holder="b1", sales=2)),
        lambda world: world.drop(keys.ticket(THEIRS)),
        lambda world: world.offer("ann"),
    ],
    ids=["got somebody", "asks anew", "is gone", "the agent went elsewhere"],
)
def test_it_is_over_when_the_snapshot_tells_of_the_call_or_the_agent(
    change: Callable[[World], object],
) -> None:
    world = furnished()
    presumed = presumed_in(world)
    change(world)
    assert presumed.agents(world.snapshot, NOW) == {}
    assert presumed.next_due_s() is None


def test_it_is_over_after_a_moment_and_counted_from_the_first_time() -> None:
    world = furnished()
    presumed = presumed_in(world)
    assert presumed.next_due_s() == NOW.mono_s + MOST_S
    presumed.note(world.snapshot, presumed.agents(world.snapshot, NOW), at(MOST_S / 2))
    assert presumed.agents(world.snapshot, at(MOST_S - 0.001)) == {THEIRS: "ann"}
    assert presumed.agents(world.snapshot, at(MOST_S)) == {}
