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
    within(script, world, EDGE, route_uri="", next_hop=("192.0.2.1", "5060"))
    assert world.was_done("relay") == [("",)]


OURS = ";alias=203.0.113.9~40000~1"
EVIL = ";alias=10.0.0.5~2379~1"


@pytest.mark.parametrize("dst", ["", "sip:10.0.0.5:2379"], ids=["no route", "a route of its own"])
@pytest.mark.parametrize("method", ["INFO", "BYE", "ACK", "INVITE"])
def test_an_edge_reaches_a_phone_where_that_spoke_from_wherever_the_route_leads(
    script: Script, world: World, method: str, dst: str
) -> None:
    route = sealed(script, world)
    for uri in (f"sip:alice@10.0.0.5:2379{OURS}", f"sip:alice@10.0.0.5:2379{OURS}{EVIL}"):
        within(script, world, EDGE, route_uri=route, ruri=uri, dst=dst, method=method)
        assert world.was_done("relay") == [("sip:203.0.113.9:40000",)]


def test_where_a_phone_spoke_from_is_not_known_it_is_where_it_is_registered(
    script: Script, world: World
) -> None:
    route, uri = sealed(script, world), "sip:alice@10.0.0.5:2379"
    within(script, world, EDGE, route_uri=route, ruri=uri, dst="sip:10.0.0.5")
    assert world.was_done("relay") == [("sip:203.0.113.9:40000",)]
    world.tables["gate"]["alice"] = "1.7.talking.c"
    world.registered = ""
    within(script, world, EDGE, route_uri=route, ruri=uri, method="BYE")
    assert world.was_done("relay") == []
    assert world.was_done("reply") == [(403, "Forbidden")]
    assert world.tables["gate"]["alice"] == "1.7.idle."


def test_what_a_trunk_writes_behind_its_address_is_for_itself(script: Script, world: World) -> None:
    within(script, world, EDGE, ruri=f"sip:x@198.18.10.10{EVIL}")
    assert world.was_done("relay") == [("",)]
    assert world.ruri.endswith(EVIL)


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


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("source", [PHONE, TRUNK])
def test_a_change_of_a_call_that_no_edge_answers_leaves_the_call_as_it_was(
    script: Script, world: World, source: tuple[str, int], method: str
) -> None:
    """A 408 would end the call (RFC 3261 §12.2.1.2)."""
    route = sealed(script, world) if source == PHONE else ""
    within(script, world, source, route_uri=route, method=method)
    assert world.fr == (10_000, 5000)
    ((failed,),) = world.was_done("on_failure")
    world.results["tm.t_branch_timeout"] = -1  # the edge refuses it: passed on as it is
    getattr(script.routes, failed)(None)
    assert world.was_done("reply") == []
    world.results["tm.t_branch_timeout"] = 1
    getattr(script.routes, failed)(None)
    assert world.was_done("reply") == [(500, "Server Internal Error")]
    assert world.reply_headers == ["Retry-After: 2\r\n"]


@pytest.mark.parametrize(("source", "method"), [(TRUNK, "INFO"), (EDGE, "INVITE")])
def test_what_changes_no_call_or_goes_to_a_telephone_is_left_to_whoever_sends_it(
    script: Script, world: World, source: tuple[str, int], method: str
) -> None:
    within(script, world, source, method=method)
    assert world.was_done("on_failure") == []
    assert world.fr == (120_000, 5000)


def test_an_edges_bye_frees_the_gate_of_its_agent(script: Script, world: World) -> None:
    route = sealed(script, world)
    world.tables["gate"]["alice"] = "1.7.talking.c"
    within(script, world, EDGE, route_uri=route, method="BYE")
    assert world.tables["gate"]["alice"] == "1.7.idle."
    world.tables["gate"]["alice"] = "1.8.talking.d"
    within(script, world, EDGE, route_uri=route, method="BYE")
    assert world.tables["gate"]["alice"] == "1.8.talking.d"


@pytest.mark.parametrize(
    ("answer", "after_ms", "is_rung"),
    [
        (None, 0, True),
        (None, 399, True),
        (None, 401, False),
        (100, 401, False),
        (200, 401, True),
        (481, 401, True),
        (None, 4999, False),
        (None, 5000, True),
    ],
)
def test_an_agent_whose_telephone_has_not_answered_the_edges_bye_is_not_rung(  # noqa: PLR0913, PLR0917 - one row of a table
    script: Script,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    answer: int | None,
    after_ms: int,
    is_rung: bool,  # noqa: FBT001 - a row of a table
) -> None:
    """The BYE is lost, and tm sends it again: the telephone talks on as far as it knows."""
    now_ms = 10**9
    monkeypatch.setattr(script.modules["calls"], "now_ms", lambda: now_ms)
    route = sealed(script, world)
    world.tables["gate"]["alice"] = "1.7.talking.c"
    within(script, world, EDGE, route_uri=route, method="BYE")
    if answer is not None:
        ((replies,),) = world.was_done("on_reply")
        world.status, world.source = answer, PHONE
        getattr(script.routes, replies)(None)
    now_ms += after_ms
    ring = {"source": EDGE, "ruri": "sip:alice@everline", "to_tag": "", "method": "INVITE"}
    script.request(world, headers={"X-Everline-Offer": "d 1 8"}, **ring)
    assert world.was_done("reply") == ([] if is_rung else [(486, "busy")])
    assert world.tables["gate"]["alice"] == ("1.8.ringing.d" if is_rung else "1.7.idle.")


def test_a_bye_of_a_call_that_is_over_keeps_nobody_from_being_rung(
    script: Script, world: World
) -> None:
    route = sealed(script, world)
    world.tables["gate"]["alice"] = "1.8.talking.d"
    within(script, world, EDGE, route_uri=route, method="BYE")
    assert world.tables["goodbye"] == {}


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
    where = ("alias", PHONE[0], str(PHONE[1]), "udp")
    for source, wanted in ((PHONE, [where]), (EDGE, [])):
        world.source = source
        world.done.clear()
        script.routes.ksr_in_dialog_replies(None)
        assert world.done == wanted


def test_a_phone_over_ipv6_is_written_down_in_brackets(script: Script, world: World) -> None:
    world.source = ("2001:db8::9", 40000)
    script.routes.ksr_in_dialog_replies(None)
    assert world.was_done("alias") == [("[2001:db8::9]", "40000", "udp")]


def test_a_contact_that_cannot_be_written_to_leads_nowhere(script: Script, world: World) -> None:
    world.results["nathelper.add_contact_alias_addr"] = -1
    done = within(script, world, PHONE, route_uri=sealed(script, world))
    assert [each for each in done if each[0] == "remove"] == [
        ("remove", "Contact"),
        ("remove", "m"),
    ]


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


@pytest.mark.parametrize(
    ("source", "known", "status", "noted"),
    [(PHONE, -1, 200, 1), (PHONE, 1, 200, 0), (PHONE, -1, 180, 0), (EDGE, -1, 200, 0)],
)
def test_where_a_phone_answers_from_is_noted_if_no_transaction_will(  # noqa: PLR0913, PLR0917 - a row
    script: Script,
    world: World,
    source: tuple[str, int],
    known: int,
    status: int,
    noted: int,
) -> None:
    world.method, world.status, world.source = "INVITE", status, source
    world.results["tm.t_check_trans"] = known
    script.routes.ksr_reply_route(None)
    assert len(world.was_done("alias")) == noted


def test_a_reply_with_strange_bytes_is_dropped(script: Script, world: World) -> None:
    world.call_id, world.tables["silent"] = "\xfc", {"*": "1"}
    script.routes.ksr_reply_route(None)
    assert world.done == [("drop",)]
