"""The routes without Kamailio: offers, and the gate that lets them through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import EDGE, PHONE, TRUNK, Script, says


def offer(script: Script, world: World, token: str = "c 1 7", agent: str = "alice") -> Any:  # noqa: ANN401, S107 - done; not a password
    return script.request(
        world,
        source=EDGE,
        ruri=f"sip:{agent}@everline",
        headers={"X-Everline-Offer": token},
        call_id="leg-1",
    )


def test_an_offer_that_the_gate_lets_through_rings(script: Script, world: World) -> None:
    done = offer(script, world)
    assert world.was_done("relay") == [("",)]
    assert world.tables["gate"] == {"alice": "1.7.ringing.c"}
    assert world.tables["leg"] == {"alice": "leg-1 1"}
    assert world.tables["served_by"] == {"alice": f"{EDGE[0]}:{EDGE[1]}"}
    assert world.fr == (120_000, 2000)
    assert ("on_failure", "ksr_agent_failed") in done
    assert ("on_reply", "ksr_agent_replies") in done


@pytest.mark.parametrize(
    ("gate", "meta", "answer"),
    [
        ("1.7.idle.", {}, (403, "stale token")),
        ("2.1.idle.", {}, (403, "stale token")),
        ("1.6.ringing.x", {}, (486, "busy")),
        ("1.6.talking.x.y.z", {}, (486, "busy")),
        ("1.8.talking.x", {}, (403, "stale token")),
        (None, {"gate_floor": "1.7"}, (403, "stale token")),
        ("1.6.idle.", {"gate_floor": "1.7"}, (403, "stale token")),
        (None, {"epoch": "2"}, (403, "stale token")),
        (None, {"gate_loaded": None}, (503, "gate not loaded")),
    ],
)
def test_an_offer_that_the_gate_refuses_rings_nobody(
    script: Script,
    world: World,
    gate: str | None,
    meta: dict[str, str | None],
    answer: tuple[int, str],
) -> None:
    if gate is not None:
        world.tables["gate"]["alice"] = gate
    merged = {**world.tables["meta"], **meta}
    world.tables["meta"] = {key: value for key, value in merged.items() if value is not None}
    world.tables["meta"]["listeners"], world.tables["listen"]["a1"] = "a1", "1"
    offer(script, world)
    assert world.was_done("reply") == [answer]
    assert world.was_done("relay") == []
    assert world.tables["gate"].get("alice") == gate
    ((_, text),) = world.was_done("tell")
    assert json.loads(text) == {
        "event": "refused",
        "agent": "alice",
        "call": "c",
        "why": answer[1],
    }


def test_a_proxy_that_wakes_up_rings_nobody_until_its_edges_are_back_for_a_moment(
    script: Script, world: World
) -> None:
    says(script, world, {"do": "listen", "name": "a1"})
    del world.tables["listen"]["a1"]  # it expired: for so long nothing was heard
    offer(script, world)
    assert world.was_done("reply") == [(503, "nobody listens")]
    says(script, world, {"do": "listen", "name": "a1"})
    offer(script, world)
    assert world.was_done("reply") == [(503, "nobody listens")]
    assert world.was_done("relay") == []
    del world.tables["woke"]["up"]  # it expires by itself
    offer(script, world)
    assert world.was_done("relay") == [("",)]


@pytest.mark.parametrize(
    ("floor", "answer"),
    [(None, (403, "not homed here")), ("1.7", (403, "stale token")), ("3.1", (403, "stale token"))],
)
def test_an_agent_who_is_at_home_elsewhere_or_came_since_is_not_rung(
    script: Script, world: World, floor: str | None, answer: tuple[int, str]
) -> None:
    world.tables["home"] = {} if floor is None else {"alice": floor}
    offer(script, world)
    assert world.was_done("reply") == [answer]
    assert world.tables["gate"] == {}


def test_an_agent_who_came_is_rung_with_the_tokens_made_since(script: Script, world: World) -> None:
    world.tables["home"] = {"alice": "1.6"}
    offer(script, world)
    assert world.tables["gate"] == {"alice": "1.7.ringing.c"}


@pytest.mark.parametrize(
    ("known", "listens", "answers"),
    [
        (True, True, [(200, "OK")]),
        (True, False, [(503, "Service Unavailable")]),
        (False, True, []),
    ],
)
def test_a_phone_that_asks_is_told_whether_its_agent_can_be_rung_here(
    script: Script,
    world: World,
    known: bool,  # noqa: FBT001 - a row of a table
    listens: bool,  # noqa: FBT001 - likewise
    answers: list[tuple[int, str]],
) -> None:
    world.tables["known"] = {PHONE[0]: "1"} if known else {}
    world.tables["meta"] |= {"listeners": "a1", "draining": "1"}
    world.tables["listen"] = {"a1": "1"} if listens else {}
    script.request(world, source=PHONE, method="OPTIONS")
    assert world.was_done("reply") == answers


@pytest.mark.parametrize("agent", ["no%20body", "", "x" * 65, "-x"])
def test_a_name_that_is_no_agents_is_not_registered(
    script: Script, world: World, agent: str
) -> None:
    offer(script, world, agent=agent)
    assert world.was_done("reply") == [(480, "not registered")]


def test_an_agent_without_a_phone_keeps_the_token(script: Script, world: World) -> None:
    world.results["registrar.lookup"] = -1
    offer(script, world)
    assert world.was_done("reply") == [(480, "not registered")]
    assert world.tables["gate"] == {}


@pytest.mark.parametrize("token", ["", "c", "c 1", "c x y", "c 1 7 9", "c d 1 7", "c 1 -7"])
def test_an_invite_without_a_token_is_no_offer(script: Script, world: World, token: str) -> None:
    offer(script, world, token=token)
    assert world.was_done("reply") == [(403, "No Offer")]


@pytest.mark.parametrize(
    ("number", "trunk", "passes"),
    [
        ("4930123", "t1", True),
        ("+4930123", "t1", True),
        ("1900123", "t1", False),
        ("4930123", "t2", False),
        ("4930123", "t3", False),
        ("4930123", "", False),
        ("49301*#", "t1", False),
        ("alice", "t1", False),
        ("493", "t1", True),
        ("4930123;x=y", "t1", False),
    ],
)
def test_an_edge_dials_out_only_what_the_trunk_allows(
    script: Script, world: World, number: str, trunk: str, *, passes: bool
) -> None:
    world.tables["dial"] = {"t1": "198.18.10.10:5060 49,+49,", "t3": "198.18.10.10:5060 "}
    headers = {"X-Everline-Dial": trunk or " "}
    done = script.request(
        world, method="INVITE", source=EDGE, ruri=f"sip:{number}@everline", headers=headers
    )
    assert (("reply", 403, "Forbidden") in done) is not passes
    assert (("relay",) in [each[:1] for each in done]) is passes
    if passes:
        assert ("uri", f"sip:{number}@198.18.10.10:5060") in done
        assert ("remove", "X-Everline-Dial") in done


@pytest.mark.parametrize("source", [TRUNK, PHONE], ids=["trunk", "phone"])
def test_nobody_but_an_edge_dials_out(
    script: Script, world: World, source: tuple[str, int]
) -> None:
    world.tables["dial"] = {"t1": "198.18.10.10:5060 49"}
    headers = {"X-Everline-Dial": "t1"}
    done = script.request(
        world, method="INVITE", source=source, ruri="sip:4930999@x", headers=headers
    )
    assert not [each for each in done if each[0] == "relay"]


def test_a_retransmission_that_slips_through_takes_nothing(script: Script, world: World) -> None:
    world.results["tm.t_newtran"] = 0
    assert offer(script, world) == []
    assert world.tables["gate"] == {}


def test_given_the_phone_cannot_be_reached_at_all_then_the_gate_is_free_again(
    script: Script, world: World
) -> None:
    world.results["tm.t_relay"] = -1
    offer(script, world)
    assert world.was_done("reply") == [(480, "not reachable")]
    assert world.tables["gate"] == {"alice": "1.7.idle."}
    assert world.tables["leg"] == {}


def test_a_leg_that_was_forgotten_is_cancelled_before_the_next(
    script: Script, world: World
) -> None:
    world.tables["leg"]["alice"] = "an old leg 4"
    done = offer(script, world)
    assert done.index(("cancel", "an old leg", "4")) < done.index(("relay", ""))


def test_replies_and_failures_move_the_gate(script: Script, world: World) -> None:
    offer(script, world)
    for status, wanted in ((100, "ringing"), (180, "ringing"), (200, "talking"), (200, "talking")):
        world.status = status
        script.routes.ksr_agent_replies(None)
        assert world.tables["gate"]["alice"] == f"1.7.{wanted}.c"
    assert world.tables["leg"] == {}
    world.tables["gate"]["alice"] = "1.7.ringing.c"
    script.routes.ksr_agent_failed(None)
    assert world.tables["gate"]["alice"] == "1.7.idle."


def answered(script: Script, world: World, *routes: str, status: int = 200) -> list[str]:
    """Let the phone answer with these Record-Routes; return what is put in their place."""
    offer(script, world)
    world.status, world.source = status, PHONE
    world.headers["Record-Route"] = "\n".join(routes)
    world.done.clear()
    script.routes.ksr_agent_replies(None)
    assert (("remove", "Record-Route") in world.done) is bool(world.was_done("header"))
    return [text for (text,) in world.was_done("header")]


def test_a_phone_that_answers_by_our_route_is_believed(script: Script, world: World) -> None:
    world.call_id = "leg-1"
    seal = script.routes.sealer.param("alice", (1, 7))
    ours, hop = f"<sip:198.18.1.10;lr=on{seal}>", "<sip:198.51.100.7;lr>"
    over_tcp = (
        f"<sip:198.18.1.10;transport=tcp;r2=on;lr=on{seal}>",
        f"<sip:198.18.1.10;r2=on;lr=on{seal}>",
    )
    for routes in ((ours,), (f"{hop}, {ours}",), (hop, ours), over_tcp, (", ".join(over_tcp),)):
        for status in (180, 200):
            assert answered(script, world, *routes, status=status) == []


def test_a_phone_that_answers_by_another_route_is_heard_by_ours(
    script: Script, world: World
) -> None:
    world.call_id = "leg-1"
    seal = script.routes.sealer.param("alice", (1, 7))
    other = script.routes.sealer.param("bob", (1, 7))
    ours, evil = f"<sip:198.18.1.10;lr=on{seal}>", "<sip:10.0.0.5:2379;lr>"
    for routes in (
        (),
        (evil,),
        (ours, evil),
        (f"{ours}, {evil}",),
        (f"<sip:10.0.0.5;lr=on{seal}>",),
        (f"<sip:198.18.1.10:2379;lr=on{seal}>",),
        (f"<sip:198.18.1.10@10.0.0.5;lr=on{seal}>",),
        (f"<sip:198.18.1.10{seal}>",),
        (f"<sip:198.18.1.10;lr=on{other}>",),
        (f"<sip:198.18.1.10;lr=on{seal};x=y>",),
        (f'<sip:10.0.0.5;lr>;x=", {ours}',),
        (f"<sip:10.0.0.5;lr;x=, {ours}",),
        (f"<sip:10.0.0.5;lr {ours}",),
        ("\xfc",),
    ):
        for status in (180, 200):
            assert answered(script, world, *routes, status=status) == [f"Record-Route: {ours}"]
    assert answered(script, world, evil, status=486) == []
    assert world.tables["gate"]["alice"] == "1.7.talking.c"


@pytest.mark.parametrize("row", ["1.8.ringing.d", "1.8.idle.", "2.7.talking.c"])
def test_a_late_failure_of_an_older_offer_changes_nothing(
    script: Script, world: World, row: str
) -> None:
    offer(script, world)
    world.tables["gate"]["alice"] = row
    world.tables["leg"]["alice"] = "the newer leg 1"
    world.status = 200
    script.routes.ksr_agent_replies(None)
    script.routes.ksr_agent_failed(None)
    assert world.tables["gate"]["alice"] == row
    assert world.tables["leg"]["alice"] == "the newer leg 1"


@pytest.mark.parametrize("verb", ["htable.sht_sets", "htable.sht_get"])
def test_no_lock_is_kept_whatever_fails_inside(
    script: Script, world: World, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = script.ksr._verbs[verb]  # noqa: SLF001 - the fake's own

    def broken(table: str, *rest: str) -> Any:  # noqa: ANN401 - as KSR
        if table == "gate" and world.locked:
            raise RuntimeError("broken")
        return whole(table, *rest)

    monkeypatch.setitem(script.ksr._verbs, verb, broken)  # noqa: SLF001 - likewise
    offer(script, world)
    assert world.locked == []
    assert world.was_done("reply") == [(503, "Internal Failure")]
