"""The routes without Kamailio: calls that are handed on to a backup number outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import EDGE, PHONE, TRUNK, Script, says

OUT, CARRIER = "+493012345678", ("198.18.20.20", 5060)


@pytest.fixture
def handed(world: World) -> World:
    """Return a world in which 4930111 has a backup number, through t2."""
    world.tables["peers"][CARRIER[0]] = "trunk:t2"
    world.tables["dial"] = {"t2": "198.18.20.20:5060 +4930"}
    world.tables["forward"] = {"4930111": f"t2 {OUT}"}
    return world


def told(world: World) -> list[dict[str, Any]]:
    return [json.loads(text) for _, text in world.was_done("tell")]


def test_a_trunks_call_goes_out_with_the_number_called_and_is_counted(
    script: Script, handed: World
) -> None:
    says(script, handed, {"do": "listen", "name": "a1"})
    handed.headers["X-Everline-Trunk"] = "forged"
    script.request(handed, ruri="sip:4930111;npdi@198.18.1.10")
    assert handed.was_done("uri") == [(f"sip:{OUT}@198.18.20.20:5060",)]
    assert handed.was_done("relay") == [("",)]
    assert handed.was_done("remove")[0] == ("X-Everline-Trunk",)
    assert handed.was_done("header") == []
    ((diversion,),) = handed.was_done("insert")
    assert diversion == "Diversion: <sip:4930111@198.18.1.10>;reason=unconditional;counter=1"
    ((param,),) = handed.was_done("rr_param")
    assert script.routes.sealer.is_handed_on(param)
    assert handed.fr == (120_000, 4000)
    assert told(handed) == [{"event": "forwarded", "trunk": "t2", "outcome": "sent", "count": 1}]
    script.request(handed)
    assert told(handed)[0]["count"] == 2


def test_a_number_that_is_escaped_is_handed_on_too(script: Script, handed: World) -> None:
    script.request(handed, ruri="sip:%34930111@198.18.1.10")
    assert handed.was_done("uri") == [(f"sip:{OUT}@198.18.20.20:5060",)]
    ((diversion,),) = handed.was_done("insert")
    assert diversion.startswith("Diversion: <sip:4930111@")


def test_it_needs_no_edge(script: Script, handed: World) -> None:
    handed.tables["steer"]["4930111"] = "|"
    assert ("relay", "") in script.request(handed)


def test_nobody_but_a_trunk_is_handed_on(script: Script, handed: World) -> None:
    handed.tables["ha1"]["alice"] = "0"
    script.request(handed, source=PHONE)
    script.request(handed, source=EDGE)
    assert handed.was_done("uri") == []
    assert handed.was_done("relay") == []


def test_an_agent_who_calls_the_number_gets_an_edge(
    script: Script, handed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.modules["agents"], "authenticated", lambda: "alice")
    script.request(handed, source=PHONE, from_user="alice")
    assert handed.was_done("uri") == []
    assert handed.was_done("relay") == [("sip:198.18.1.1:5081",)]


@pytest.mark.parametrize(
    "row", ["198.18.20.20:5060 +4930999", "198.18.20.20:5060 ", " +4930", "", None]
)
def test_what_the_trunk_may_not_dial_stays_with_the_edges(
    script: Script, handed: World, row: str | None
) -> None:
    handed.tables["dial"] = {} if row is None else {"t2": row}
    script.request(handed)
    assert handed.was_done("uri") == []
    assert handed.was_done("relay") == [("sip:198.18.1.1:5081",)]


@pytest.mark.parametrize("row", ["t2", "t2 alice", f"t2 {OUT}@evil", f"t2 {OUT} x", "|"])
def test_a_row_that_is_none_hands_nothing_on(script: Script, handed: World, row: str) -> None:
    handed.tables["forward"]["4930111"] = row
    script.request(handed)
    assert handed.was_done("relay") == [("sip:198.18.1.1:5081",)]


@pytest.mark.parametrize(
    "diversion",
    [
        "<sip:4930111@198.18.1.10>;reason=unconditional;counter=1",
        "<sip:4989@h>;reason=user-busy,<sip:+4930111@carrier.example>;reason=unconditional",
        "<tel:+4930111>",
        "<sip:%2B4930111@carrier.example>",
    ],
)
def test_what_comes_back_is_ended(script: Script, handed: World, diversion: str) -> None:
    says(script, handed, {"do": "listen", "name": "a1"})
    handed.headers["Diversion"] = diversion
    script.request(handed)
    assert handed.was_done("reply") == [(482, "Loop Detected")]
    assert handed.was_done("relay") == []
    assert told(handed)[0]["outcome"] == "loop"


def test_a_number_with_a_plus_is_known_again_without(script: Script, handed: World) -> None:
    handed.tables["forward"]["+4930111"] = handed.tables["forward"].pop("4930111")
    handed.headers["Diversion"] = "<sip:4930111@carrier.example>;reason=unconditional"
    done = script.request(handed, ruri="sip:+4930111@198.18.1.10")
    assert ("reply", 482, "Loop Detected") in done


def test_what_others_diverted_goes_out(script: Script, handed: World) -> None:
    handed.headers["Diversion"] = "<sip:4989@198.18.10.10>;reason=user-busy"
    assert ("relay", "") in script.request(handed)


def test_a_diversion_that_is_no_utf8_is_passed_over_and_ours_is_found_beside_it(
    script: Script, handed: World
) -> None:
    """Old exchanges write names in Latin-1, and carriers do not hunt on after 400."""
    foreign = '"M\xfcller" <sip:4989@h>;reason=user-busy'
    handed.headers["Diversion"] = foreign
    assert ("relay", "") in script.request(handed)
    ours = "<sip:4930111@198.18.1.10>;reason=unconditional"
    handed.headers["Diversion"] = f"{foreign}\n{ours}"
    assert ("reply", 482, "Loop Detected") in script.request(handed)


def test_what_has_gone_too_far_is_ended(script: Script, handed: World) -> None:
    handed.results["maxfwd.process_maxfwd"] = -1
    assert script.request(handed) == [("reply", 483, "Too Many Hops")]


@pytest.mark.parametrize(
    ("failure", "reply", "outcome"),
    [
        ((408, {"tm.t_branch_timeout": 1}), [(503, "Service Unavailable")], "silent"),
        ((408, {"tm.t_branch_timeout": 1, "tm.t_branch_replied": 1}), [], None),
        ((503, {}), [(503, "Service Unavailable")], "refused"),
        ((486, {}), [], "refused"),
        ((500, {}), [], "refused"),
        ((487, {"tm.t_is_canceled": 1}), [], None),
    ],
)
def test_how_it_fails(
    script: Script,
    handed: World,
    failure: tuple[int, dict[str, int]],
    reply: list[tuple[int, str]],
    outcome: str | None,
) -> None:
    says(script, handed, {"do": "listen", "name": "a1"})
    script.request(handed)
    handed.done.clear()
    handed.status, results = failure
    handed.results |= results
    script.routes.ksr_handed_on_failed(None)
    assert handed.was_done("reply") == reply
    assert handed.reply_headers == ["Retry-After: 2\r\n"] * len(reply)
    assert [each["outcome"] for each in told(handed)] == ([outcome] if outcome else [])


# ---- inside the dialog


def within(script: Script, world: World, source: tuple[str, int], **fields: Any) -> Any:  # noqa: ANN401 - done
    route = f"sip:198.18.1.10;lr{script.routes.sealer.param_handed_on()}"
    known = {"method": "BYE", "to_tag": "t", "source": source, "route_uri": route}
    return script.request(world, **{**known, **fields})


@pytest.mark.parametrize("method", ["BYE", "INVITE", "ACK", "UPDATE"])
def test_trunks_speak_to_each_other_inside_it(script: Script, handed: World, method: str) -> None:
    for source, to in ((TRUNK, CARRIER), (CARRIER, TRUNK)):
        hop = (to[0], str(to[1]))
        assert within(script, handed, source, method=method, next_hop=hop)[-1] == ("relay", "")
        assert handed.was_done("on_reply") == [("ksr_handed_on_replies",)]


def test_trunks_speak_to_each_other_in_no_other_dialog(script: Script, handed: World) -> None:
    hop = (CARRIER[0], str(CARRIER[1]))
    sealed = f"sip:h;lr{script.routes.sealer.param_handed_on()}"
    for route, call_id in (("sip:h;lr", "call-id"), (sealed, "another"), (f"{sealed}0", "call-id")):
        handed.call_id = call_id
        done = within(script, handed, TRUNK, next_hop=hop, route_uri=route)
        assert done[-1] == ("reply", 403, "Forbidden")


@pytest.mark.parametrize("hop", [("192.0.2.1", "5060"), (EDGE[0], str(EDGE[1])), ("", "")])
def test_inside_it_a_trunk_reaches_trunks_alone(
    script: Script, handed: World, hop: tuple[str, str]
) -> None:
    assert within(script, handed, TRUNK, next_hop=hop)[-1] == ("reply", 403, "Forbidden")


def test_a_stranger_with_its_seal_is_no_party(script: Script, handed: World) -> None:
    assert within(script, handed, PHONE, next_hop=CARRIER) == []


def test_a_carrier_by_another_name_is_found_by_where_it_spoke(
    script: Script, handed: World
) -> None:
    for host, wanted in (("sbc.example", [()]), (CARRIER[0], []), ("", [])):
        handed.contact_host = host
        handed.done.clear()
        script.routes.ksr_handed_on_replies(None)
        assert handed.was_done("alias") == wanted
