"""What other edges are taken to be reserving, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.acd.match import match
from edge.acd.presumed import DOUBT, MOST_S, Presumed
from state import keys
from state.model import (
    Agent,
    AgentId,
    EdgeId,
    Queue,
    QueueId,
    SiteId,
    Step,
    TicketState,
)
from tests.acd.worlds import NOW, World, at, call_id, needs, skills, ticket

THEIRS, OURS = call_id(1), call_id(2)
SALES, FRENCH = QueueId("sales"), QueueId("french")


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


# -- only of who does what was presumed


def test_nothing_is_presumed_for_a_while_of_who_gives_a_caller_somebody_else() -> None:
    world = furnished()
    world.agent("amy", since_ms=0, sales=1)
    also = world.set_ticket(ticket(3, holder="b1", sales=1))
    presumed = presumed_in(world)
    assert presumed.agents(world.snapshot, NOW).keys() == {THEIRS, also}
    got = ticket(1, holder="b1", sales=1, state=TicketState.OFFERED, agent=AgentId("bob"))
    world.set_ticket(got)
    assert presumed.agents(world.snapshot, at(0.25)) == {}
    sure_s = 0.25 + DOUBT * 0.25
    assert presumed.note(world.snapshot, {also: AgentId("ann")}, at(sure_s - 0.001)) == [also]
    assert presumed.agents(world.snapshot, at(sure_s - 0.001)) == {}
    assert presumed.note(world.snapshot, {also: AgentId("ann")}, at(sure_s)) == []
    assert presumed.agents(world.snapshot, at(sure_s)) == {also: "ann"}


def test_who_gives_a_caller_whom_they_were_presumed_to_get_is_not_doubted() -> None:
    world = furnished()
    also = world.set_ticket(ticket(3, holder="b1", sales=1))
    presumed = presumed_in(world)
    agent = presumed.agents(world.snapshot, NOW)[THEIRS]
    world.set_ticket(ticket(1, holder="b1", sales=1, state=TicketState.OFFERED, agent=agent))
    presumed.note(world.snapshot, {also: AgentId("bob")}, NOW)
    assert presumed.agents(world.snapshot, NOW) == {also: "bob"}


# -- only as long as the rules let the agent have the call


def with_steps(*steps: Step) -> World:
    """Return that world with these steps for who waits, and a queue to overflow to."""
    world = furnished()
    world.set_queue(Queue(id=FRENCH, needs=needs(french=1)))
    world.set_queue(Queue(id=SALES, needs=needs(sales=1), steps=steps))
    return world


def test_it_is_over_when_the_call_overflows_to_a_queue_whose_needs_the_agent_does_not_meet() -> (
    None
):
    world = with_steps(Step(after_s=0.5, overflow=FRENCH))
    presumed = presumed_in(world)
    assert presumed.next_due_s() == NOW.mono_s + 0.5
    assert presumed.agents(world.snapshot, at(0.499)) == {THEIRS: "ann"}
    assert presumed.agents(world.snapshot, at(0.5)) == {}


def test_a_step_by_which_the_agent_suits_the_call_still_ends_nothing() -> None:
    world = with_steps(Step(after_s=0.25, lower=needs(sales=1)), Step(after_s=0.5, overflow=FRENCH))
    presumed = presumed_in(world)
    assert presumed.next_due_s() == NOW.mono_s + 0.25
    assert presumed.agents(world.snapshot, at(0.25)) == {THEIRS: "ann"}
    assert presumed.next_due_s() == NOW.mono_s + 0.5
    assert presumed.agents(world.snapshot, at(0.5)) == {}


def unskilled(world: World) -> None:
    agent = Agent(id=AgentId("ann"), name="ann", site=SiteId("a"), skills=skills(french=1))
    world.set_agent(agent)


@pytest.mark.parametrize(
    "change",
    [
        unskilled,
        lambda world: world.drop(keys.agent(AgentId("ann"))),
        lambda world: world.probe("b1", down="a"),
        lambda world: world.set_queue(
            Queue(id=SALES, needs=(), steps=(Step(after_s=0.0, overflow=FRENCH),))
        ),
    ],
    ids=["has other skills", "is gone", "out of the holder's reach", "the queue is another"],
)
def test_it_is_over_when_a_change_of_the_configuration_or_of_a_probe_parts_the_two(
    change: Callable[[World], object],
) -> None:
    world = with_steps()
    presumed = presumed_in(world)
    assert presumed.agents(world.snapshot, NOW) == {THEIRS: "ann"}
    change(world)
    assert presumed.agents(world.snapshot, NOW) == {}


def test_who_stands_at_anothers_place_asks_by_what_was_waited_there() -> None:
    world = World()
    world.agent("ann", sales=1)
    left = world.set_ticket(ticket(1, holder="c1", sales=1), waits_s=6.0)
    heir = world.set_ticket(ticket(3, holder="b1", sales=1))
    world.set_queue(Queue(id=FRENCH, needs=needs(french=1)))
    steps = (Step(after_s=5.0, overflow=FRENCH),)
    world.set_queue(Queue(id=SALES, needs=needs(sales=1), steps=steps))
    presumed = Presumed(EdgeId("a1"))
    presumed.note(world.snapshot, {heir: AgentId("ann")}, NOW)
    assert presumed.agents(world.snapshot, NOW) == {heir: "ann"}
    assert presumed.agents(world.snapshot, NOW, places={heir: left}) == {}
