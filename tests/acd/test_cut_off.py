"""In which call somebody was cut off who comes again, and for whom they wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from edge.acd.cut_off import CutOff, coming_again, cut_off
from edge.acd.places import SAME_AGENT_S
from state import keys
from state.model import AgentId, EdgeId, Heir, PresenceState, SiteId, TicketState
from tests.acd.worlds import NOW, World, call_id, ticket

DEAD = frozenset({SiteId("a")})
ANN, BEA = AgentId("ann"), AgentId("bea")
OLD = ticket(1, state=TicketState.CONNECTED, agent="bea", sales=1)
CALLS = (OLD.call,)


@pytest.fixture
def world() -> World:
    """Two sites; a caller talks at the first with an agent of the second."""
    world = World()
    world.agent("ann", site="a", sales=3)
    world.agent("bea", site="b", sales=3)
    world.queue("sales", sales=2)
    world.did(OLD.did, "sales")
    world.set_ticket(OLD)
    world.offer("bea", call=1)
    return world


def test_at_a_site_out_of_reach_they_were_cut_off_and_wait_for_the_same_agent(world: World) -> None:
    found = cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD)
    assert found == CutOff(call=OLD.call, agent=BEA)
    told = coming_again(ticket(2, sales=1), found)
    assert (told.cut_off_of, told.prefers, told.prefers_for_s) == (OLD.call, BEA, SAME_AGENT_S)


def test_at_a_site_in_reach_they_are_somebody_else_who_shares_the_number(world: World) -> None:
    assert cut_off(world.snapshot, CALLS, NOW, unreachable=frozenset({SiteId("b")})) is None
    assert coming_again(ticket(2, sales=1), None) == ticket(2, sales=1)


def test_where_no_edge_of_that_name_lives_they_were_cut_off_too(world: World) -> None:
    world.drop(keys.edge(EdgeId("a1")))
    found = cut_off(world.snapshot, CALLS, NOW, unreachable=frozenset())
    assert found == CutOff(call=OLD.call, agent=BEA)


def test_who_was_called_back_was_cut_off_in_the_call_by_which_their_place_is_kept(
    world: World,
) -> None:
    world.set_ticket(replace(OLD, callback_of=call_id(9)))
    found = cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD)
    assert found == CutOff(call=call_id(9), agent=BEA)
    world.put(keys.heir(call_id(9)), Heir(call=call_id(9), heir=call_id(2)))
    assert cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD) is None


@pytest.mark.parametrize("state", set(TicketState) - {TicketState.CONNECTED})
def test_who_waited_was_not_cut_off_in_talk(world: World, state: TicketState) -> None:
    world.set_ticket(replace(OLD, state=state))
    assert cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD) is None


GONE: dict[str, Callable[[World], object]] = {
    "at the dead site": lambda world: world.set_ticket(replace(OLD, agent=ANN)),
    "paused": lambda world: world.presence("bea", site="b", state=PresenceState.PAUSED),
    "with another": lambda world: world.offer("bea", call=7),
    "unskilled for the queue": lambda world: world.agent("bea", site="b", sales=1),
    "no longer configured": lambda world: world.drop(keys.agent(BEA)),
}


@pytest.mark.parametrize("why", GONE)
def test_an_agent_who_will_not_be_free_is_not_waited_for(world: World, why: str) -> None:
    GONE[why](world)
    found = cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD)
    assert found == CutOff(call=OLD.call)
    told = coming_again(ticket(2, sales=1), found)
    assert (told.cut_off_of, told.prefers, told.prefers_for_s) == (OLD.call, None, 0.0)


def test_an_agent_who_rests_or_is_free_by_now_is_waited_for(world: World) -> None:
    world.drop(keys.offer(BEA))
    assert cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD) == CutOff(call=OLD.call, agent=BEA)
    world.work("bea", seen_s=NOW.mono_s, rest_s=30.0)
    assert cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD) == CutOff(call=OLD.call, agent=BEA)


def test_a_site_that_serves_alone_waits_for_nobody_as_it_closes_no_call(world: World) -> None:
    found = cut_off(world.snapshot, CALLS, NOW, unreachable=DEAD, is_alone=True)
    assert found == CutOff(call=OLD.call)


def test_each_call_is_that_of_one_who_comes_again_the_best_place_first(world: World) -> None:
    second = replace(OLD, call=call_id(3), place=1, agent=None)
    world.set_ticket(second)
    calls = (OLD.call, second.call)
    assert cut_off(world.snapshot, calls, NOW, unreachable=DEAD) == CutOff(call=second.call)
    world.set_ticket(replace(ticket(4, sales=1), cut_off_of=second.call))
    found = cut_off(world.snapshot, calls, NOW, unreachable=DEAD)
    assert found == CutOff(call=OLD.call, agent=BEA)
    world.set_ticket(replace(ticket(5, sales=1), cut_off_of=OLD.call))
    assert cut_off(world.snapshot, calls, NOW, unreachable=DEAD) is None
