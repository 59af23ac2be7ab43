from __future__ import annotations

from collections import Counter

from edge.steering import home_edge, janitor
from state import keys
from state.model import AgentId, EdgeId, EdgeState
from tests.acd.worlds import World

AGENTS = [f"agent{number}" for number in range(40)]


def crowded() -> World:
    world = World()
    for number in (2, 3):
        world.edge(f"a{number}", sip=f"198.18.1.10:508{number}")
    for agent in AGENTS:
        world.agent(agent)
    return world


def homes(world: World) -> dict[str, EdgeId | None]:
    return {agent: home_edge(world.snapshot, AgentId(agent)) for agent in AGENTS}


def test_an_agent_is_seen_to_by_an_edge_of_their_home_site() -> None:
    shares = Counter(homes(crowded()).values())
    assert set(shares) == {"a1", "a2", "a3"}
    assert min(shares.values()) >= 4


def test_when_an_edge_dies_only_its_agents_change_hands() -> None:
    world = crowded()
    before = homes(world)
    world.drop(keys.edge(EdgeId("a2")))
    after = homes(world)
    assert all(after[agent] == before[agent] for agent in AGENTS if before[agent] != "a2")
    assert "a2" not in after.values()


def test_an_edge_that_drains_sees_to_nobody_while_another_serves() -> None:
    world = crowded()
    for edge in ("a1", "a3"):
        world.edge(edge, sip=f"198.18.1.10:{edge}", state=EdgeState.DRAINING)
    assert set(homes(world).values()) == {"a2"}
    world.edge("a2", sip="198.18.1.10:5082", state=EdgeState.DRAINING)
    assert None not in homes(world).values()


def test_nobody_sees_to_an_agent_who_is_unknown_or_whose_site_is_dead() -> None:
    world = World()
    world.agent("ann", site="a")
    assert home_edge(world.snapshot, AgentId("nobody")) is None
    world.drop(keys.edge(EdgeId("a1")))
    assert home_edge(world.snapshot, AgentId("ann")) is None


def test_one_survivor_clears_up_after_a_dead_edge() -> None:
    world = crowded()
    dead = EdgeId("a2")
    while_still_listed = janitor(world.snapshot, dead)
    world.drop(keys.edge(dead))
    assert while_still_listed == janitor(world.snapshot, dead)
    assert while_still_listed in world.snapshot.edges


def test_the_dead_are_spread_over_the_survivors() -> None:
    world = crowded()
    assert len({janitor(world.snapshot, EdgeId(f"z{number}")) for number in range(30)}) > 2


def test_nobody_clears_up_when_nobody_lives() -> None:
    world = World()
    for edge in list(world.snapshot.edges):
        world.drop(keys.edge(edge))
    assert janitor(world.snapshot, EdgeId("a1")) is None
