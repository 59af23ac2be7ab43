"""The routes without Kamailio: what comes inside dialogs, and late replies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import EDGE, PHONE, TRUNK, Script, sealed

# ---- inside dialogs


def within(script: Script, world: World, source: tuple[str, int], **fields: Any) -> Any:  # noqa: ANN401 - done
    known = {"method": "INFO", "to_tag": "t", "source": source, "next_hop": (EDGE[0], str(EDGE[1]))}
    return script.request(world, **{**known, **fields})


@pytest.mark.parametrize("source", [TRUNK, EDGE])
def test_peers_speak_inside_dialogs(script: Script, world: World, source: tuple[str, int]) -> None:
    assert within(script, world, source)[-1] == ("relay", "")


def test_a_phone_speaks_inside_its_own_dialog_only(script: Script, world: World) -> None:
    route = sealed(script, world)
    assert within(script, world, PHONE, route_uri=route)[-1] == ("relay", "")
    assert within(script, world, PHONE, route_uri="") == []
    assert within(script, world, PHONE, route_uri=route.replace("alice", "bob")) == []
    assert within(script, world, PHONE, route_uri=route.replace("~7~", "~8~")) == []
    assert within(script, world, PHONE, route_uri=route, call_id="another") == []


def test_trunks_and_phones_reach_edges_alone(script: Script, world: World) -> None:
    route = sealed(script, world)
    for source in (TRUNK, PHONE):
        within(script, world, source, route_uri=route, next_hop=("192.0.2.1", "5060"))
        assert world.was_done("relay") == []
        assert world.was_done("reply") == [(403, "Forbidden")]
    within(script, world, EDGE, next_hop=("192.0.2.1", "5060"))
    assert world.was_done("relay") == [("",)]


def test_an_alias_is_followed_only_when_the_phone_is_the_next_hop(
    script: Script, world: World
) -> None:
    assert ("unalias",) in within(script, world, EDGE)
    assert ("unalias",) not in within(script, world, EDGE, dst="sip:192.0.2.1")


def goodbye(script: Script, world: World, status: int) -> None:
    """Let alice's phone say BYE to the edge, which answers so; 408: it is silent."""
    done = within(script, world, PHONE, route_uri=sealed(script, world), method="BYE")
    assert done[-1] == ("relay", "")
    (replies,), (failed,) = world.was_done("on_reply")[0], world.was_done("on_failure")[0]
    world.status, world.source = status, EDGE
    if status != 408:
        getattr(script.routes, replies)(None)
    if status >= 300:
        getattr(script.routes, failed)(None)


def test_an_edges_bye_frees_the_gate_of_its_agent(script: Script, world: World) -> None:
    route = sealed(script, world)
    world.tables["gate"]["alice"] = "1.7.talking.c"
    within(script, world, EDGE, route_uri=route, method="BYE")
    assert world.tables["gate"]["alice"] == "1.7.idle."
    world.tables["gate"]["alice"] = "1.8.talking.d"
    within(script, world, EDGE, route_uri=route, method="BYE")
    assert world.tables["gate"]["alice"] == "1.8.talking.d"


@pytest.mark.parametrize(("before", "after"), [("7.talking.c", "7.idle."), ("8.talking.d",) * 2])
def test_a_phones_bye_frees_its_gate_once_the_edge_has_ended_the_call(
    script: Script, world: World, before: str, after: str
) -> None:
    world.tables["gate"]["alice"] = f"1.{before}"
    goodbye(script, world, 100)
    assert world.tables["gate"]["alice"] == f"1.{before}"
    goodbye(script, world, 200)
    assert world.tables["gate"]["alice"] == f"1.{after}"


@pytest.mark.parametrize("status", [481, 500, 408])
def test_a_phones_bye_that_the_edge_does_not_take_has_the_edges_look_at_the_gate(
    script: Script, world: World, status: int
) -> None:
    """An old CSeq, another's tags, a dead edge: only the store knows whether the call goes on."""
    world.tables["gate"]["alice"] = "1.7.talking.c"
    world.tables["meta"]["listeners"], world.tables["listen"]["a1"] = "a1", "1"
    goodbye(script, world, status)
    assert world.tables["gate"]["alice"] == "1.7.talking.c"
    told = [(name, json.loads(text)) for name, text in world.was_done("tell")]
    assert told == [("a1", {"event": "goodbye_unheard", "agent": "alice"})]


@pytest.mark.parametrize(
    ("method", "seen", "done"),
    [
        ("BYE", 1, [("reply", 481, "Call/Transaction Does Not Exist")]),
        ("ACK", 1, []),
        ("ACK", -1, []),
    ],
)
def test_a_request_without_a_route_of_ours(
    script: Script, world: World, method: str, seen: int, done: list[tuple[Any, ...]]
) -> None:
    world.results |= {"rr.loose_route": -1, "tm.t_check_trans": seen}
    assert within(script, world, TRUNK, method=method) == done


def test_an_ack_to_a_refusal_goes_no_further(script: Script, world: World) -> None:
    world.results["tm.t_check_trans"] = 0
    assert within(script, world, TRUNK, method="ACK") == []


def test_phones_behind_a_nat_are_given_an_alias_and_edges_are_not(
    script: Script, world: World
) -> None:
    for source, wanted in ((PHONE, [("alias",)]), (EDGE, [])):
        world.source = source
        world.done.clear()
        script.routes.ksr_in_dialog_replies(None)
        assert world.done == wanted


# ---- replies before tm


@pytest.mark.parametrize(
    ("known", "method", "status", "silent", "dropped"),
    [
        (1, "INVITE", 200, False, False),
        (1, "INVITE", 200, True, True),
        (1, "INVITE", 180, True, True),
        (1, "INVITE", 100, True, False),
        (-1, "INVITE", 100, True, True),
        (-1, "INVITE", 200, False, False),
        (-1, "INVITE", 200, True, True),
        (-1, "INVITE", 486, False, True),
        (-1, "INVITE", 100, False, True),
        (-1, "BYE", 200, False, True),
        (1, "BYE", 200, False, False),
    ],
)
def test_late_replies_are_dropped(  # noqa: PLR0913, PLR0917 - one row of a table
    script: Script,
    world: World,
    known: int,
    method: str,
    status: int,
    silent: bool,  # noqa: FBT001 - a parameter
    dropped: bool,  # noqa: FBT001 - a parameter
) -> None:
    world.method, world.status, world.source = method, status, EDGE
    world.results["tm.t_check_trans"] = known
    if silent:
        world.tables["silent"] = {"call-id {}:{}".format(*EDGE): "1", "*": "1"}
    script.routes.ksr_reply_route(None)
    assert (("drop",) in world.done) == dropped


def test_a_reply_with_strange_bytes_is_dropped(script: Script, world: World) -> None:
    world.call_id, world.tables["silent"] = "\xfc", {"*": "1"}
    script.routes.ksr_reply_route(None)
    assert world.done == [("drop",)]
