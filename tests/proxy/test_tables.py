"""Rows for Kamailio's htables: what they are, how two sets differ, and the file of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.proxy.errors import TablesFileError
from edge.proxy.tables import (
    AgentRows,
    Drop,
    Key,
    Put,
    Tables,
    changes,
    decode_file,
    encode_file,
    ha1,
    homes,
    peers,
    rows,
)
from state import keys
from state.model import Agent, AgentId, Barred, SiteId, Trunk, TrunkId
from tests.acd.worlds import World

KEYS = st.tuples(st.sampled_from(["steer", "peers", "ha1"]), st.text(min_size=1, max_size=3))
ROWS = st.dictionaries(KEYS, st.text(min_size=1, max_size=3), max_size=8)


def test_tables_become_rows() -> None:
    tables = Tables(
        steer={"4930": "h:1,h:2", "4931": ""},
        peers={"192.0.2.1": "trunk:t"},
        ha1={AgentId("alice"): "f" * 32},
        epoch=3,
        draining=True,
    )
    assert rows(tables) == {
        ("steer", "4930"): "h:1,h:2",
        ("steer", "4931"): "|",
        ("peers", "192.0.2.1"): "trunk:t",
        ("ha1", "alice"): "f" * 32,
        ("meta", "tables"): "1",
        ("meta", "epoch"): "3",
        ("meta", "draining"): "1",
    }


def test_an_edge_that_serves_has_no_row_that_says_it_drains() -> None:
    assert ("meta", "draining") not in rows(Tables())


@given(before=ROWS, after=ROWS)
def test_the_changes_turn_one_set_into_the_other_and_change_nothing_twice(
    before: dict[Key, str], after: dict[Key, str]
) -> None:
    now = dict(before)
    touched = []
    for change in changes(before, after):
        key = (change.table, change.key)
        touched.append(key)
        match change:
            case Put(value=value):
                assert now.get(key) != value
                now[key] = value
            case Drop():
                del now[key]
    assert now == after
    assert len(touched) == len(set(touched))
    assert changes(after, after) == ()


def test_rows_are_added_before_others_go() -> None:
    kinds = [type(change) for change in changes({("steer", "1"): "a"}, {("steer", "2"): "a"})]
    assert kinds == [Put, Drop]


def test_the_file_holds_what_a_restart_needs_and_nothing_of_the_moment() -> None:
    tables = Tables(steer={"1": "h:1"}, ha1={AgentId("alice"): "f"}, draining=True)
    told = decode_file(encode_file(tables))
    assert told == {("steer", "1"): "h:1", ("ha1", "alice"): "f"}


def test_what_is_handed_on_outlives_a_restart() -> None:
    tables = Tables(steer={"1": "h:1"}, forward={"1": "t2 +4930123456"})
    assert rows(tables)["forward", "1"] == "t2 +4930123456"
    assert decode_file(encode_file(tables))["forward", "1"] == "t2 +4930123456"
    assert "4930" not in repr(tables), "whose number it may be is in no log"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"v": 1}',
        b'{"v": 1, "steer": {"\xff": ""}, "peers": {}, "ha1": {}}',
        json.dumps({"v": 2, "steer": {}, "peers": {}, "ha1": {}}).encode(),
    ],
)
def test_a_file_that_is_not_ours_is_an_error(content: bytes) -> None:
    with pytest.raises(TablesFileError, match=r"tables\.json"):
        decode_file(content)


def test_peers_are_trunks_by_address_and_edges_by_port() -> None:
    trunk = Trunk(id=TrunkId("t1"), addresses=("192.0.2.1", "192.0.2.2"))
    assert peers([trunk], ["198.18.1.10:5081"]) == {
        "192.0.2.1": "trunk:t1",
        "192.0.2.2": "trunk:t1",
        "198.18.1.10:5081": "edge",
    }


def test_secrets_are_those_of_all_agents_since_any_site_takes_in_those_of_a_dead_one() -> None:
    def agent(name: str, site: str, secret: str) -> Agent:
        return Agent(id=AgentId(name), name=name, site=SiteId(site), skills={}, ha1=secret)

    everyone = [agent("alice", "a", "1"), agent("bob", "b", "2"), agent("carol", "a", "")]
    assert ha1(everyone) == {AgentId("alice"): "1", AgentId("bob"): "2", AgentId("carol"): "-"}


def test_homed_here_are_those_who_are_at_home_here_for_now_from_their_move_on() -> None:
    world = World()
    for name, site in (("ann", "a"), ("bob", "b"), ("carl", "b")):
        world.agent(name, site=site)
    for name, site in (("ann", "b"), ("carl", "a")):
        world.move(name, site, home="b" if site == "a" else "a")
    moved = {agent: entry.mod_revision for agent, entry in world.snapshot.moves.items()}
    ann, bob, carl = AgentId("ann"), AgentId("bob"), AgentId("carl")
    assert homes(world.snapshot, SiteId("a")) == {carl: f"1.{moved[carl]}"}
    assert homes(world.snapshot, SiteId("b")) == {ann: f"1.{moved[ann]}", bob: "0.0"}
    world.presence("carl", site="a", epoch=3)
    assert homes(world.snapshot, SiteId("a")) == {carl: f"3.{moved[carl]}"}


def _agents_world() -> World:
    world = World()
    for name, site in (("alice", "a"), ("bob", "b"), ("carl", "b")):
        world.agent(name, site=site)
    world.move("carl", "a", home="b")
    return world


def test_a_call_makes_no_agents_rows_anew() -> None:
    world, made = _agents_world(), AgentRows(SiteId("a"))
    ha1_before, home_before = made.of(world.snapshot)
    world.offer("alice")
    world.work("bob")
    ha1_after, home_after = made.of(world.snapshot)
    assert ha1_after is ha1_before
    assert home_after is home_before


NEWS: dict[str, Callable[[World], object]] = {
    "another": lambda world: world.agent("dora", site="a"),
    "barred": lambda world: world.put(
        keys.barred(AgentId("bob")), Barred(agent=AgentId("bob"), since_ms=1)
    ),
    "moved": lambda world: world.move("bob", "a", home="b"),
    "moved again": lambda world: world.move("carl", "a", home="b"),
    "another epoch": lambda world: world.presence("carl", site="a", epoch=7),
}


@pytest.mark.parametrize("news", NEWS)
def test_agents_rows_follow_what_changes_of_agents(news: str) -> None:
    world, made = _agents_world(), AgentRows(SiteId("a"))
    before = made.of(world.snapshot)
    NEWS[news](world)
    after, snapshot = made.of(world.snapshot), world.snapshot
    agents = [entry.value for entry in snapshot.agents.values()]
    assert after == (ha1(agents, snapshot.barred), homes(snapshot, SiteId("a")))
    assert after != before


def test_who_is_barred_has_no_row_with_or_without_a_password() -> None:
    everyone = [
        Agent(id=AgentId(name), name=name, site=SiteId("a"), skills={}, ha1=secret)
        for name, secret in (("alice", "1"), ("bob", ""), ("carol", "2"))
    ]
    barred = {AgentId("alice"), AgentId("bob")}
    assert ha1(everyone, barred) == {AgentId("carol"): "2"}


def test_secrets_of_phones_stand_in_the_file_and_in_no_log() -> None:
    tables = Tables(sip_secret={"1a2b3c4d": "s" * 40})
    assert decode_file(encode_file(tables))["sip_secret", "1a2b3c4d"] == "s" * 40
    assert "sss" not in repr(tables)
    before = b'{"v": 1, "steer": {}, "peers": {}, "ha1": {"a": "1"}}'
    assert decode_file(before) == {("ha1", "a"): "1"}, "a file of before"


def test_secrets_do_not_show_in_a_log() -> None:
    tables = Tables(ha1={AgentId("alice"): "0123456789abcdef"})
    assert "0123456789abcdef" not in repr(tables)
    assert "0123456789abcdef" not in repr(changes({}, rows(tables)))
