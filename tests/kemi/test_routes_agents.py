"""The routes without Kamailio: strangers, agents who register, and their calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from state import keys
from state.model import AgentId
from state.phone_credentials import LIFETIME_S, PhoneSecret, issue
from tests.kemi.fake_ksr import World
from tests.kemi.script import E1, EDGE, PHONE, TRUNK, Script


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "SUBSCRIBE"])
def test_a_stranger_is_not_answered(script: Script, world: World, method: str) -> None:
    assert script.request(world, method=method, source=PHONE) == []


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_stranger_is_asked_who_they_are(script: Script, world: World, method: str) -> None:
    assert script.request(world, method=method, source=PHONE) == [("challenge", 1)]


def test_of_very_many_at_once_some_are_asked_and_the_others_told_when_to_come_back(
    script: Script, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.modules["rush"].time, "monotonic", lambda: 1000.0)
    done = [script.request(world, method="REGISTER", source=PHONE)[0] for _ in range(1000)]
    assert done[:40] == [("challenge", 1)] * 40, "a tenth of a second's worth of 400"
    assert done[40:] == [("reply", 503, "Too Many At Once")] * 960
    waits = [int(text.split()[1]) for text in world.reply_headers]
    assert waits == sorted(waits)
    assert {wait: waits.count(wait) for wait in (1, 2, 3)} == {1: 399, 2: 400, 3: 161}
    # Who has been asked may prove it, and a call is no registration.
    assert ("save", "location", 4) in sign_in(script, world)
    world.auth_user = ""
    assert script.request(world, method="INVITE", source=PHONE) == [("challenge", 1)]


def test_strangers_who_rush_keep_nobody_out_who_was_here_before(
    script: Script, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.modules["rush"].time, "monotonic", lambda: 1000.0)
    for _ in range(41):
        script.request(world, method="REGISTER", source=("203.0.113.77", 5060))
    assert script.request(world, method="REGISTER", source=PHONE)[0][0] == "reply"
    world.tables["known"][PHONE[0]] = "1"
    assert script.request(world, method="REGISTER", source=PHONE) == [("challenge", 1)]


def test_those_who_flood_or_guess_are_cut_off(script: Script, world: World) -> None:
    world.results["pike.pike_check_req"] = -1
    assert script.request(world, method="REGISTER", source=PHONE) == []
    del world.results["pike.pike_check_req"]
    world.tables["ban"][PHONE[0]] = "1"
    assert script.request(world, method="REGISTER", source=PHONE) == []
    # Trunks are never counted.
    world.results["pike.pike_check_req"] = -1
    assert script.request(world, method="OPTIONS", source=TRUNK) == [("reply", 200, "OK")]


def test_an_office_whose_phones_are_many_does_not_flood(script: Script, world: World) -> None:
    """Hundreds of phones behind one address ask every 2 to 3 s whether their registrar is there."""
    world.results["pike.pike_check_req"] = -2
    world.tables["known"][PHONE[0]] = "1"
    world.tables["meta"]["listeners"] = "a1"
    world.tables["listen"]["a1"] = "1"
    assert script.request(world, method="OPTIONS", source=PHONE) == [("reply", 200, "OK")]
    world.tables["ban"][PHONE[0]] = "1"
    assert script.request(world, method="OPTIONS", source=PHONE) == []


def sign_in(script: Script, world: World, **fields: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - of World
    """Let in a REGISTER of alice with credentials."""
    world.tables["ha1"]["alice"] = "f" * 32
    known = {"method": "REGISTER", "source": PHONE, "auth_user": "alice", "to_user": "alice"}
    return script.request(world, **{**known, **fields})


@pytest.mark.parametrize("agent", ["a", "anna+1", "+1", "_x", "A.b-C_9" * 9])
def test_an_agent_may_have_any_sign_of_an_id_in_their_name(
    script: Script, world: World, agent: str
) -> None:
    """The ids are those of `state.keys`, which a script in Kamailio cannot import."""
    assert keys.is_id(agent)
    world.tables["ha1"][agent] = "f" * 32
    world.tables["home"][agent] = "0.0"
    assert ("save", "location", 4) in sign_in(script, world, auth_user=agent, to_user=agent)
    secret = PhoneSecret(name="0a1b2c3d", text="s" * 40)
    world.tables["sip_secret"][secret.name] = secret.text
    user = issue(secret, AgentId(agent), 1300).user
    assert ("save", "location", 4) in sign_in(script, world, auth_user=user, to_user=agent)
    ring = {"source": EDGE, "ruri": f"sip:{agent}@everline"}
    script.request(world, method="INVITE", headers={"X-Everline-Offer": "c 1 7"}, **ring)
    assert world.tables["gate"] == {agent: "1.7.ringing.c"}
    ((param,),) = world.was_done("rr_param")
    assert script.routes.sealer.read(f"sip:198.18.1.10;lr=on{param}") == (agent, (1, 7))


@pytest.mark.parametrize(
    ("behind_s", "is_let_in"), [(-301, False), (-299, True), (0, True), (600, True), (601, False)]
)
def test_a_proxy_whose_clock_is_ten_minutes_behind_lets_phones_in(
    script: Script, world: World, behind_s: int, *, is_let_in: bool
) -> None:
    secret = PhoneSecret(name="0a1b2c3d", text="s" * 40)
    world.tables["sip_secret"][secret.name] = secret.text
    now_s = 1000  # by the proxy's clock; control planes' is right
    given = issue(secret, AgentId("alice"), now_s + behind_s + LIFETIME_S)
    done = sign_in(script, world, auth_user=given.user)
    assert (("save", "location", 4) in done) is is_let_in


def test_an_agent_is_saved_as_one_phone_and_told(script: Script, world: World) -> None:
    world.tables["meta"]["listeners"] = "a1 a2"
    world.tables["listen"]["a1"] = "1"
    done = sign_in(script, world)
    assert ("check", "f" * 32) in done
    assert ("save", "location", 4) in done
    told = [(name, json.loads(text)) for name, text in world.was_done("tell")]
    assert told == [("a1", {"event": "registered", "agent": "alice", "expires": 60})]
    assert world.tables["known"] == {PHONE[0]: "1"}


@pytest.mark.parametrize(
    ("contact", "is_let"),
    [
        ("<sip:alice@203.0.113.9:40000>;expires=60", True),
        ('"received" <sip:received@203.0.113.9:40000;transport=udp>', True),
        ('<sip:alice@203.0.113.9:40000>;received="sip:10.0.0.5:2379"', False),
        ("<sip:alice@203.0.113.9:40000>;q=1 ;\r\n Received = sip:10.0.0.5", False),
        ('<sip:a@b>, <sip:alice@c>;received="sip:10.0.0.5:2379"', False),
    ],
)
def test_a_phone_does_not_choose_where_it_signs_in_from(
    script: Script,
    world: World,
    contact: str,
    is_let: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Kamailio's registrar goes by `received` of a Contact before it goes by where it came from."""
    done = sign_in(script, world, headers={"Contact": contact})
    assert (("save", "location", 4) in done) is is_let
    assert (("reply", 403, "Forbidden") in done) is not is_let


def test_signing_off_is_told(script: Script, world: World) -> None:
    world.tables["meta"]["listeners"], world.tables["listen"]["a1"] = "a1", "1"
    world.results["registrar.reg_fetch_contacts"] = -1
    sign_in(script, world)
    ((_, text),) = world.was_done("tell")
    assert json.loads(text) == {"event": "unregistered", "agent": "alice", "expires": 0}


def test_what_the_registrar_refuses_is_not_told(script: Script, world: World) -> None:
    world.results["registrar.save"] = -1
    world.tables["meta"]["listeners"], world.tables["listen"]["a1"] = "a1", "1"
    assert not [each for each in sign_in(script, world) if each[0] == "tell"]


@pytest.mark.parametrize("other", ["bob", "al%69ce%00", "%2561lice"])
def test_an_agent_registers_nobody_else(script: Script, world: World, other: str) -> None:
    assert ("reply", 403, "Forbidden") in sign_in(script, world, to_user=other)


def test_an_agent_whose_phone_escapes_their_name_is_the_same_agent(
    script: Script, world: World
) -> None:
    """Kamailio's registrar keeps them without escapes, too."""
    assert ("save", "location", 4) in sign_in(script, world, to_user="al%69ce")


@pytest.mark.parametrize(("verdict", "flags"), [(-2, 1), (-1, 1), (-4, 17), (-6, 17)])
def test_a_wrong_digest_is_challenged_again(
    script: Script, world: World, verdict: int, flags: int
) -> None:
    world.results["auth.pv_auth_check"] = verdict
    assert sign_in(script, world) == [("challenge", flags)]
    assert bool(world.tables["strike"]) == (verdict == -2)


def test_an_unknown_user_is_checked_all_the_same_and_refused_even_if_it_fits(
    script: Script, world: World
) -> None:
    done = sign_in(script, world, auth_user="nobody", to_user="nobody")
    (((checked,),), ((flags,),)) = (world.was_done("check"), world.was_done("challenge"))
    assert len(checked) == 32
    assert flags == 1
    assert not [each for each in done if each[0] == "save"]


def test_ten_wrong_passwords_ban_the_user_there_and_a_strange_address(
    script: Script, world: World
) -> None:
    world.results["auth.pv_auth_check"] = -2
    for _ in range(9):
        sign_in(script, world)
    assert world.tables["ban"] == {}
    sign_in(script, world)
    assert world.tables["ban"] == {PHONE[0]: "1", f"{PHONE[0]} alice": "1"}


def test_ten_wrong_passwords_do_not_ban_an_office(script: Script, world: World) -> None:
    world.tables["known"][PHONE[0]] = "1"
    world.results["auth.pv_auth_check"] = -2
    for _ in range(20):
        sign_in(script, world)
    assert world.tables["ban"] == {f"{PHONE[0]} alice": "1"}
    assert sign_in(script, world) == []


def call_out(script: Script, world: World, number: str, user: str = "alice") -> Any:  # noqa: ANN401 - done
    world.tables["ha1"]["alice"] = "f" * 32
    return script.request(
        world,
        source=PHONE,
        auth_user="alice",
        from_user=user,
        ruri=f"sip:{number}@everline",
    )


@pytest.mark.parametrize(
    ("gate", "wanted", "is_let"),
    [
        ("1.7.talking.c", "bob", True),
        ("1.7.talking.c", "%62ob", True),
        ("1.7.ringing.c", "bob", False),
        ("1.7.idle.", "bob", False),
        (None, "bob", False),
        ("1.7.talking.c", "nobody", False),
        ("1.7.talking.c", "+4930999", False),
    ],
)
def test_an_agent_who_talks_with_a_caller_may_call_a_colleague_by_the_edge_that_holds_them(
    script: Script, world: World, gate: str | None, wanted: str, *, is_let: bool
) -> None:
    world.tables["ha1"]["bob"] = "e" * 32
    world.tables["served_by"]["alice"] = E1
    if gate is not None:
        world.tables["gate"]["alice"] = gate
    done = call_out(script, world, wanted)
    assert (("relay", f"sip:{E1}") in done) is is_let
    assert (("header", "X-Everline-Agent: alice\r\nX-Everline-Via: a") in done) is is_let
    assert (("reply", 403, "Forbidden") in done) is not is_let


def test_an_agent_may_call_our_numbers_alone(script: Script, world: World) -> None:
    world.tables["steer"]["*"] = E1
    done = call_out(script, world, "4930111")
    assert ("relay", f"sip:{E1}") in done
    assert ("header", "X-Everline-Agent: alice\r\nX-Everline-Via: a") in done
    assert not [each for each in done if "Trunk" in str(each)]
    assert world.was_done("rr_param")[0][0].startswith(";leg=alice~0~0~")
    assert ("relay", f"sip:{E1}") in call_out(script, world, "4930111", user="%61lice")
    assert ("reply", 403, "Forbidden") in call_out(script, world, "112")
    assert ("reply", 403, "Forbidden") in call_out(script, world, "4930111", user="bob")


def test_telephones_are_kept_under_the_very_ids_of_their_agents() -> None:
    # The registrar's default keeps them in small letters, whoever they are.
    kemi = Path(__file__).parents[2] / "edge" / "kemi"
    settings = (kemi / "kamailio.cfg").read_text().splitlines()
    assert 'modparam("registrar", "case_sensitive", 1)' in settings
