"""Who is taken over from a home that is dead or has no telephone of theirs, and by whom."""

from __future__ import annotations

import pytest

from edge.steering import MoveDue, moves_due
from state import keys
from state.model import (
    AgentId,
    Barred,
    EdgeId,
    EdgeState,
    Move,
    PresenceState,
    Readiness,
    SiteId,
    Wish,
)
from tests.acd.worlds import WALL_MS, World

ANN = AgentId("ann")


def two_sites() -> World:
    """Ann is at home at a; her telephone is registered at b."""
    world = World()
    for name in ("a1", "b1"):
        world.edge(name, sip=f"198.18.{name[1]}.10:5081")
    world.agent(ANN, site="a")
    return world


def due(world: World, edge: str = "b1") -> list[MoveDue]:
    return list(moves_due(world.snapshot, EdgeId(edge), {ANN}, WALL_MS))


def kill(world: World, edge: str = "a1") -> None:
    world.drop(keys.edge(EdgeId(edge)))


def test_a_dead_home_loses_its_agent_to_the_site_that_has_the_telephone() -> None:
    world = two_sites()
    assert due(world) == []
    kill(world)
    presence = world.snapshot.presences[ANN]
    moved = Move(agent=ANN, site=SiteId("b"), home=SiteId("a"), since_ms=WALL_MS)
    assert due(world) == [MoveDue(move=moved, replaces=0, presence=presence.mod_revision)]
    assert list(moves_due(world.snapshot, EdgeId("b1"), (), WALL_MS)) == []


def test_a_home_that_lives_and_has_no_telephone_of_the_agent_loses_them_too() -> None:
    world = two_sites()
    world.presence(ANN, state=PresenceState.SIGNED_OUT)
    assert [each.move.site for each in due(world)] == ["b"]
    world.drop(keys.presence(ANN))
    assert [(each.move.site, each.presence) for each in due(world)] == [("b", 0)]


def test_an_agent_whose_home_a_plan_has_changed_stays_reachable_where_their_telephone_is() -> None:
    world = two_sites()
    world.presence(ANN, site="b")
    assert world.snapshot.agents[ANN].value.site == "a", "a plan has made it her home"
    (stays,) = due(world)
    assert (stays.move.site, stays.move.home) == ("b", "a")
    world.put(keys.move(ANN), stays.move)
    # Her telephone comes to the new home, and has left the old one: a takes her, for good.
    world.presence(ANN, site="b", state=PresenceState.SIGNED_OUT)
    assert [each.move.site for each in due(world, "a1")] == ["a"]


def test_who_wishes_to_be_signed_out_stays_where_they_are() -> None:
    world = two_sites()
    world.presence(ANN, state=PresenceState.SIGNED_OUT)
    world.put(keys.wish(ANN), Wish(agent=ANN, readiness=Readiness.SIGNED_OUT))
    assert due(world) == []
    kill(world)
    assert len(due(world)) == 1, "a dead site helps nobody"


def test_nobody_is_moved_in_a_call_nor_who_is_barred_nor_who_is_unknown() -> None:
    world = two_sites()
    kill(world)
    world.offer(ANN)
    assert due(world) == []
    world.drop(keys.offer(ANN))
    world.put(keys.barred(ANN), Barred(agent=ANN, since_ms=WALL_MS))
    assert due(world) == []
    assert list(moves_due(world.snapshot, EdgeId("b1"), {AgentId("eve")}, WALL_MS)) == []


def test_one_edge_of_the_site_moves_and_it_is_one_that_serves() -> None:
    world = two_sites()
    world.edge("b2", sip="198.18.2.10:5082")
    kill(world)
    assert sorted(len(due(world, edge)) for edge in ("b1", "b2")) == [0, 1]
    world.edge("b1", sip="198.18.2.10:5081", state=EdgeState.DRAINING)
    assert [len(due(world, edge)) for edge in ("b1", "b2")] == [0, 1]
    kill(world, "b2")
    assert len(due(world)) == 1
    assert due(world, "b2") == [], "it does not live"


def test_they_go_home_by_the_same_rule() -> None:
    world = two_sites()
    world.move(ANN, "b", home="a")
    world.presence(ANN, site="b")
    assert due(world) == [], "she is at home at b by now"
    assert due(world, "a1") == [], "b has her telephone, whatever else is registered at a"
    world.presence(ANN, site="b", state=PresenceState.SIGNED_OUT)
    (back,) = due(world, "a1")
    assert (back.move.site, back.move.home) == ("a", "a")
    assert back.replaces == world.snapshot.moves[ANN].mod_revision
    world.put(keys.move(ANN), back.move)
    assert world.snapshot.agents[ANN].value.site == "a"


def test_a_new_home_may_speak_before_it_is_held_against_it_that_it_has_not() -> None:
    world = two_sites()
    world.move(ANN, "b", home="a")
    assert due(world, "a1") == []
    kill(world, "b1")
    assert [each.move.site for each in due(world, "a1")] == ["a"]


@pytest.mark.parametrize("home", ["a", "b", "c"])
def test_a_move_is_void_once_the_agent_is_configured_to_be_elsewhere(home: str) -> None:
    world = two_sites()
    world.move(ANN, "b", home="c")
    assert world.snapshot.agents[ANN].value.site == "a"
    kill(world)
    (move,) = due(world)
    assert (move.move.site, move.move.home) == ("b", "a")
    world.agent(ANN, site=home)
    assert world.snapshot.agents[ANN].value.site == ("b" if home == "c" else home)
