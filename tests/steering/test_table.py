from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.acd.eligibility import AgentFacts, facts_of
from edge.steering import ANY, encode, rows, table
from state import keys
from state.model import (
    AgentId,
    Did,
    DidNumber,
    EdgeId,
    EdgeState,
    PresenceState,
    QueueId,
    Site,
    SiteId,
)
from state.snapshot import Snapshot
from tests.acd.worlds import NOW, PATIENT, World, at

SALES = DidNumber("4930100")
HELP = DidNumber("4930200")
A, B, C = (SiteId(name) for name in "abc")
A1, A2 = "198.18.1.10:5081", "198.18.1.10:5082"
B1, C1 = "198.18.2.10:5081", "198.18.3.10:5081"


@pytest.fixture
def world() -> World:
    world = World()
    world.site("a", sip="198.18.1.10:5060", b=10, c=30)
    world.queue("sales", sales=3)
    world.queue("help", help=1)
    world.did(SALES, "sales")
    world.did(HELP, "help")
    return world


def test_the_own_site_comes_first_then_the_nearer(world: World) -> None:
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,))


def test_all_edges_of_a_site_are_one_group_in_a_stable_order(world: World) -> None:
    world.edge("a2", sip=A2)
    assert rows(world.snapshot, A, NOW)[SALES][0] == (A1, A2)


def test_a_site_with_a_free_skilled_agent_comes_before_a_nearer_one_without(world: World) -> None:
    world.agent("cleo", site="c", sales=3)
    table = rows(world.snapshot, A, NOW)
    assert table[SALES] == ((A1,), (C1,), (B1,))
    assert table[HELP] == ((A1,), (B1,), (C1,))


def test_a_site_that_has_too_much_to_do_comes_after_the_others(world: World) -> None:
    world.agent("bert", site="b", sales=3)
    world.edge("b1", sip=B1, is_crowded=True)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (C1,), (B1,))
    world.edge("c1", sip=C1, is_crowded=True)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,)), "nobody has room"


def test_a_site_with_one_edge_that_has_room_is_not_full(world: World) -> None:
    world.edge("b1", sip=B1, is_crowded=True)
    world.edge("b2", sip="198.18.2.10:5082")
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1, "198.18.2.10:5082"), (C1,))


def test_the_own_site_is_not_left_for_having_too_much_to_do(world: World) -> None:
    world.edge("a1", sip=A1, is_crowded=True)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,))


UNFIT: dict[str, Callable[[World], object]] = {
    "level": lambda world: world.agent("cleo", site="c", sales=2),
    "busy": lambda world: world.offer("cleo"),
    "resting": lambda world: world.work("cleo", seen_s=NOW.mono_s, rest_s=5.0),
    "paused": lambda world: world.presence("cleo", site="c", state=PresenceState.PAUSED),
}


@pytest.mark.parametrize("why", UNFIT)
def test_an_agent_who_cannot_take_the_call_now_draws_no_calls(world: World, why: str) -> None:
    world.agent("cleo", site="c", sales=3)
    UNFIT[why](world)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,))


def test_the_number_of_free_agents_does_not_move_a_row(world: World) -> None:
    world.agent("bob", site="b", sales=3)
    world.agent("cleo", site="c", sales=3)
    before = rows(world.snapshot, A, NOW)
    world.agent("cyd", site="c", sales=3)
    assert rows(world.snapshot, A, at(1)) == before


def test_a_draining_site_is_the_last_even_for_itself(world: World) -> None:
    world.site("a", sip="198.18.1.10:5060", draining=True, b=10, c=30)
    assert rows(world.snapshot, A, NOW)[SALES] == ((B1,), (C1,), (A1,))
    assert rows(world.snapshot, C, NOW)[SALES] == ((C1,), (B1,), (A1,))


def test_an_edge_that_drains_comes_after_all_that_serve(world: World) -> None:
    world.edge("a1", sip=A1, state=EdgeState.DRAINING)
    world.edge("a2", sip=A2)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A2,), (B1,), (C1,), (A1,))


def test_dead_edges_are_left_out(world: World) -> None:
    world.drop(keys.edge(EdgeId("b1")))
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (C1,))


def test_sites_out_of_reach_are_left_out_but_never_the_own(world: World) -> None:
    table = rows(world.snapshot, A, NOW, unreachable=frozenset({A, B}))
    assert table[SALES] == ((A1,), (C1,))


def test_the_last_good_site_is_never_removed(world: World) -> None:
    world.drop(keys.edge(EdgeId("a1")))
    table = rows(world.snapshot, A, NOW, unreachable=frozenset({B, C}))
    assert table[SALES] == ((B1,), (C1,))


def test_without_any_live_edge_there_is_nothing_to_say(world: World) -> None:
    for edge in list(world.snapshot.edges):
        world.drop(keys.edge(edge))
    assert rows(world.snapshot, A, NOW) == {}


def test_numbers_without_a_row_go_to_somebody_too(world: World) -> None:
    world.agent("cleo", site="c", sales=3)
    assert rows(world.snapshot, A, NOW)[ANY] == ((A1,), (B1,), (C1,))


def test_a_number_whose_queue_is_missing_has_a_row_all_the_same(world: World) -> None:
    world.drop(keys.queue(next(q for q in world.snapshot.queues if q == "help")))
    assert rows(world.snapshot, A, NOW)[HELP] == ((A1,), (B1,), (C1,))


def test_a_site_that_is_not_configured_serves_last_of_its_kind(world: World) -> None:
    world.edge("x1", sip="198.18.9.10:5081")
    assert rows(world.snapshot, A, NOW)[SALES][-1] == ("198.18.9.10:5081",)
    assert rows(world.snapshot, SiteId("x"), NOW)[SALES][0] == ("198.18.9.10:5081",)


def test_a_row_is_written_with_bars_between_groups_and_commas_within() -> None:
    assert encode(((A1, A2), (B1,))) == f"{A1},{A2}|{B1}"
    assert encode(()) == ""


@given(
    edges=st.sets(st.sampled_from(["a1", "a2", "b1", "b2", "c1"]), min_size=1),
    draining=st.sets(st.sampled_from(["a1", "a2", "b1", "b2", "c1"])),
    unreachable=st.frozensets(st.sampled_from([A, B, C])),
    own=st.sampled_from([A, B, C]),
)
@PATIENT
def test_every_row_has_an_edge_and_none_twice(
    edges: set[str], draining: set[str], unreachable: frozenset[SiteId], own: SiteId
) -> None:
    world = World()
    for edge in ("a1", "b1", "c1"):
        world.drop(keys.edge(EdgeId(edge)))
    for edge in edges:
        state = EdgeState.DRAINING if edge in draining else EdgeState.SERVING
        world.edge(edge, sip=f"198.18.0.10:{edge}", state=state)
    world.did(SALES, "sales")
    for groups in rows(world.snapshot, own, NOW, unreachable=unreachable).values():
        targets = [target for group in groups for target in group]
        assert targets
        assert len(targets) == len(set(targets))
        reachable = {e for e in edges if e[0] == own or SiteId(e[0]) not in unreachable}
        assert {t.partition(":")[2] for t in targets} == (reachable or edges)


def test_a_number_that_names_sites_has_those_first_and_drained_ones_last(world: World) -> None:
    named = Did(number=SALES, queue=QueueId("sales"), sites=(C, B))
    world.put(keys.did(SALES), named)
    assert rows(world.snapshot, A, NOW)[SALES] == ((C1,), (B1,), (A1,))
    assert rows(world.snapshot, A, NOW)[HELP] == ((A1,), (B1,), (C1,))
    world.site("c", sip="198.18.3.10:5060", draining=True)
    assert rows(world.snapshot, A, NOW)[SALES] == ((B1,), (A1,), (C1,))


def test_while_a_site_drains_its_backups_come_first_there(world: World) -> None:
    world.agent("bob", site="b", sales=3)
    backed = Site(
        id=A, name="a", sip="198.18.1.10:5060", distance_ms={B: 10, C: 30}, backups=(C, A)
    )
    world.put(keys.site(A), backed)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,))
    world.put(keys.site(A), replace(backed, draining=True))
    assert rows(world.snapshot, A, NOW)[SALES] == ((C1,), (B1,), (A1,))


def sharing(world: World, **parts: int) -> None:
    shares = {SiteId(site): count for site, count in parts.items()}
    distances = {B: 10, C: 30}
    world.put(keys.site(A), Site(id=A, name="a", sip="h:1", distance_ms=distances, shares=shares))


@given(parts=st.tuples(*(st.integers(0, 10) for _ in "abc")), edges=st.integers(1, 3))
@PATIENT
def test_sites_that_share_have_their_parts_of_the_first_group(
    parts: tuple[int, int, int], edges: int
) -> None:
    world = World()
    world.queue("sales", sales=3)
    world.did(SALES, "sales")
    for number in range(2, edges + 1):
        world.edge(f"b{number}", sip=f"198.18.2.10:508{number}")
    sharing(world, a=parts[0], b=parts[1], c=parts[2])
    row = rows(world.snapshot, A, NOW)[SALES]
    if not any(parts):
        assert row[0] == (A1,)
        return
    found = [sum(each.startswith(f"198.18.{n}.") for each in row[0]) for n in (1, 2, 3)]
    for mine, wanted in zip(found, parts, strict=True):
        assert mine * sum(parts) == wanted * len(row[0])
    # Every site stands in the row, in the first group or after it.
    assert {A1, B1, C1} <= {edge for group in row for edge in group}
    of_b = [row[0].count(f"198.18.2.10:508{n}") for n in range(1, edges + 1)]
    assert max(of_b) - min(of_b) <= 1


@pytest.mark.parametrize("percent", [1, 37, 50, 99])
def test_shares_are_exact_to_the_percent_with_every_edge_in_turn(
    world: World, percent: int
) -> None:
    for name in ("a2", "b2"):
        world.edge(name, sip=f"198.18.{'ab'.index(name[0]) + 1}.10:5082")
    sharing(world, a=100 - percent, b=percent)
    (shared, *_) = rows(world.snapshot, A, NOW)[SALES]
    assert 100 * sum(each.startswith("198.18.2.") for each in shared) == percent * len(shared)
    assert len(set(shared)) == 4


def test_a_site_that_drains_or_dies_leaves_its_part_to_the_others(world: World) -> None:
    sharing(world, a=1, b=1)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1, B1), (C1,))
    world.site("b", sip="h:2", draining=True)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (C1,), (B1,))
    world.site("b", sip="h:2")
    world.drop(keys.edge(EdgeId("b1")))
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (C1,))


def test_a_site_that_gives_all_away_comes_after_those_that_share(world: World) -> None:
    sharing(world, b=2, c=1)
    assert rows(world.snapshot, A, NOW)[SALES] == ((B1, C1, B1), (A1,))


def test_where_many_are_free_only_few_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        world.agent(f"agent{number}", site="abc"[number % 3], sales=3)
    looked_at = []

    def facts(snapshot: Snapshot, agent: AgentId, live: frozenset[SiteId]) -> AgentFacts:
        looked_at.append(agent)
        return facts_of(snapshot, agent, live)

    monkeypatch.setattr(table, "facts_of", facts)
    assert rows(world.snapshot, A, NOW)[SALES] == ((A1,), (B1,), (C1,))
    assert len(looked_at) <= 3, "one of each site is enough"
