"""The routes without Kamailio: every branch, against a KSR that knows only real names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kemi.fake_ksr import FakeKsr, World, load

TRUNK = ("198.18.10.10", 5060)
EDGE = ("198.18.1.10", 5081)
PHONE = ("203.0.113.9", 40000)
E1, E2, E3, E4 = (f"198.18.1.{number}:5081" for number in range(1, 5))


class Script:
    """The script, loaded over a fake."""

    def __init__(self, ksr: FakeKsr, modules: dict[str, Any]) -> None:
        self.ksr = ksr
        self.modules = modules
        self.routes: Any = None

    def begin(self, run_dir: Path) -> World:
        """Return a new world with one trunk, one edge, tables and an open gate."""
        world = self.ksr.world = World()
        world.results["kx.get_def"] = [str(run_dir), "a"]
        self.routes = self.modules["edge_routes"].mod_init()
        world.tables["peers"] = {TRUNK[0]: "trunk:t1", "{}:{}".format(*EDGE): "edge"}
        world.tables["steer"] = {"4930111": E1}
        world.tables["meta"] = {"tables": "1", "gate_loaded": "1"}
        world.tables["home"] = {"alice": "0.0"}
        return world

    def request(self, world: World, **fields: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - of World
        """Let one request in; return what was done."""
        for name, value in fields.items():
            setattr(world, name, value)
        world.done.clear()
        self.routes.ksr_request_route(None)
        assert world.locked == [], "a lock was kept"
        return world.done


@pytest.fixture(scope="session")
def loaded() -> tuple[FakeKsr, dict[str, Any]]:
    return load()


@pytest.fixture
def script(loaded: tuple[FakeKsr, dict[str, Any]]) -> Script:
    return Script(*loaded)


@pytest.fixture
def world(script: Script, tmp_path: Path) -> Iterator[World]:
    world = script.begin(tmp_path)
    yield world
    assert world.locked == []


# ---- the fake itself


def test_the_fake_knows_no_name_that_kamailio_lacks(script: Script) -> None:
    with pytest.raises(AttributeError):
        script.ksr.verb("htable.sht_get_all")
    with pytest.raises(TypeError):
        script.ksr.verb("htable.sht_get")("steer")
    with pytest.raises(TypeError):
        script.ksr.verb("tm.t_set_fr")("500", "4000")
    with pytest.raises(NotImplementedError):
        script.ksr.verb("htable.sht_reset")("steer")


# ---- the order of targets


def order(script: Script, row: str, spin: int = 0, out: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - list of str
    return script.modules["calls"].order(row, spin, out.__contains__)


@pytest.mark.parametrize(
    ("row", "spin", "wanted"),
    [
        ("a:1", 0, "a:1"),
        ("a:1,a:2", 0, "a:1 a:2"),
        ("a:1,a:2", 1, "a:2 a:1"),
        ("a:1,a:2", 7, "a:2 a:1"),
        ("a:1,a:2|b:1,b:2|c:1", 0, "a:1 a:2 b:1 c:1 b:2"),
        ("a:1,a:2|b:1,b:2|c:1", 1, "a:2 a:1 b:2 c:1 b:1"),
        ("|b:1", 0, "b:1"),
        ("a:1|a:1", 0, "a:1"),
        ("", 0, ""),
        ("|", 3, ""),
        ("rubbish", 3, ""),
    ],
)
def test_a_row_is_tried_in_this_order(script: Script, row: str, spin: int, wanted: str) -> None:
    assert order(script, row, spin) == wanted.split()


def test_targets_that_are_out_come_in_only_if_all_are(script: Script) -> None:
    row = "a:1,a:2|b:1"
    assert order(script, row, out=frozenset({"a:1"})) == ["a:2", "b:1"]
    everyone = frozenset({"a:1", "a:2", "b:1"})
    assert order(script, row, out=everyone) == ["a:1", "a:2", "b:1"]


# ---- calls from trunks


def test_a_call_goes_to_its_edge_with_both_failure_and_reply_routes_set(
    script: Script, world: World
) -> None:
    done = script.request(world)
    assert ("relay", f"sip:{E1}") in done
    assert ("on_failure", "ksr_edge_failed") in done
    assert ("on_reply", "ksr_edge_replies") in done
    assert done.index(("remove", "^X-Everline")) < done.index(("header", "X-Everline-Trunk: t1"))
    assert ("header", "X-Everline-Via: a") in done
    assert ("record_route",) in done
    assert world.fr == (4000, 500)


def failed(script: Script, world: World, *, timeout: bool = True, replied: bool = False) -> None:
    """Run the failure route after a time-out, or after `world.status`."""
    world.results |= {
        "tm.t_branch_timeout": 1 if timeout else -1,
        "tm.t_branch_replied": 1 if replied else -1,
    }
    world.done.clear()
    script.routes.ksr_edge_failed(None)


def test_after_silence_the_next_edge_is_tried_and_the_first_remembered(
    script: Script, world: World
) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    failed(script, world)
    assert world.was_done("relay") == [(f"sip:{E2}",)]
    assert world.tables["down"] == {E1: "1"}
    assert world.tables["silent"] == {f"call-id {E1}": "1"}
    assert world.fr == (4000, 350)


def test_after_the_last_edge_or_out_of_time_it_is_503(script: Script, world: World) -> None:
    script.request(world)
    failed(script, world)
    assert world.was_done("reply") == [(503, "Service Unavailable")]
    assert world.reply_headers == ["Retry-After: 2\r\n"]

    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    world.tables["down"].clear()
    script.request(world)
    world.avps["deadline"] = "0"
    failed(script, world)
    assert world.was_done("relay") == []
    assert world.was_done("reply") == [(503, "Service Unavailable")]


def test_given_an_edge_froze_after_its_100_then_the_others_get_a_full_round(
    script: Script, world: World
) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    world.avps["deadline"] = "0"
    failed(script, world, replied=True)
    assert world.was_done("relay") == [(f"sip:{E2}",)]


@pytest.mark.parametrize(
    ("status", "goes_on"), [(503, True), (500, True), (486, False), (404, False)]
)
def test_only_failures_are_hunted_on(
    script: Script,
    world: World,
    status: int,
    goes_on: bool,  # noqa: FBT001 - a parameter
) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    world.status = status
    failed(script, world, timeout=False)
    assert bool(world.was_done("relay")) == goes_on
    assert world.tables["down"] == {}


def test_a_caller_who_gave_up_is_not_hunted_on(script: Script, world: World) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    world.results["tm.t_is_canceled"] = 1
    failed(script, world)
    assert world.done == []


def test_given_the_relay_itself_fails_then_it_is_503(script: Script, world: World) -> None:
    world.results["tm.t_relay"] = -1
    script.request(world)
    assert world.was_done("reply") == [(503, "Service Unavailable")]


@pytest.mark.parametrize(
    ("tables", "number", "answer"),
    [
        ("1", "4930999", (404, "Not Found")),
        ("1", "4 9", (404, "Not Found")),
        ("1", "", (404, "Not Found")),
        (None, "4930111", (503, "No Tables Yet")),
    ],
)
def test_a_number_without_a_row(
    script: Script, world: World, tables: str | None, number: str, answer: tuple[int, str]
) -> None:
    world.tables["steer"].clear()
    if tables is None:
        world.tables["meta"].clear()
    script.request(world, ruri=f"sip:{number}@198.18.1.10")
    assert world.was_done("reply") == [answer]


def test_what_a_carrier_adds_to_a_number_is_not_part_of_it(script: Script, world: World) -> None:
    done = script.request(world, ruri="sip:4930111;npdi;rn=+4940@198.18.1.10")
    assert ("relay", f"sip:{E1}") in done


def test_only_an_edge_that_rings_gets_more_time(script: Script, world: World) -> None:
    for status, fr in ((100, (0, 0)), (180, (120_000, 0)), (183, (120_000, 0)), (200, (0, 0))):
        world.status, world.fr = status, (0, 0)
        script.routes.ksr_edge_replies(None)
        assert world.fr == fr


# ---- what every request goes through


@pytest.mark.parametrize(
    ("verb", "replies"), [("maxfwd.process_maxfwd", 1), ("sanity.sanity_check", 0)]
)
def test_what_does_not_pass_the_first_checks_goes_no_further(
    script: Script, world: World, verb: str, replies: int
) -> None:
    world.results[verb] = -1
    script.request(world)
    assert world.was_done("relay") == []
    assert len(world.was_done("reply")) == replies


def test_a_cancel_follows_its_invite_or_goes_nowhere(script: Script, world: World) -> None:
    assert ("relay", "") in script.request(world, method="CANCEL")
    world.results["tm.t_check_trans"] = -1
    assert script.request(world, method="CANCEL") == []


@pytest.mark.parametrize(
    ("method", "results"),
    [
        ("INVITE", {"tmx.t_precheck_trans": 1}),
        ("INVITE", {"tm.t_check_trans": 0}),
        ("ACK", {}),
    ],
)
def test_tm_deals_with_what_it_has_seen_before(
    script: Script, world: World, method: str, results: dict[str, int]
) -> None:
    world.results |= results
    assert script.request(world, method=method) == []


@pytest.mark.parametrize("source", [TRUNK, EDGE])
def test_peers_may_ask_whether_we_live(
    script: Script, world: World, source: tuple[str, int]
) -> None:
    assert script.request(world, method="OPTIONS", source=source) == [("reply", 200, "OK")]
    world.tables["meta"]["draining"] = "1"
    script.request(world, method="OPTIONS", source=source)
    assert world.was_done("reply") == [(503, "Draining")]
    script.request(world, method="MESSAGE", source=source)
    assert world.was_done("reply") == [(405, "Method Not Allowed")]


def test_an_edge_is_known_by_its_port_too(script: Script, world: World) -> None:
    """Another program on an edge's host is a stranger."""
    assert script.request(world, method="OPTIONS", source=(EDGE[0], 9)) == []


def test_a_fault_of_ours_is_a_503_and_one_line(script: Script, world: World) -> None:
    world.tables["gate"]["alice"] = "nonsense"
    script.request(
        world, source=EDGE, ruri="sip:alice@everline", headers={"X-Everline-Offer": "c 1 7"}
    )
    assert world.was_done("reply") == [(503, "Internal Failure")]
    assert len(world.was_done("log")) == 1
    world.call_id = "\xfc"
    script.request(world, source=TRUNK, ruri="sip:4930111@198.18.1.10")
    assert world.was_done("reply") == [(400, "Bad Request")]


# ---- strangers


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "SUBSCRIBE"])
def test_a_stranger_is_not_answered(script: Script, world: World, method: str) -> None:
    assert script.request(world, method=method, source=PHONE) == []


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_stranger_is_asked_who_they_are(script: Script, world: World, method: str) -> None:
    assert script.request(world, method=method, source=PHONE) == [("challenge", 1)]


def test_those_who_flood_or_guess_are_cut_off(script: Script, world: World) -> None:
    world.results["pike.pike_check_req"] = -1
    assert script.request(world, method="REGISTER", source=PHONE) == []
    del world.results["pike.pike_check_req"]
    world.tables["ban"][PHONE[0]] = "1"
    assert script.request(world, method="REGISTER", source=PHONE) == []
    # Trunks are never counted.
    world.results["pike.pike_check_req"] = -1
    assert script.request(world, method="OPTIONS", source=TRUNK) == [("reply", 200, "OK")]


def sign_in(script: Script, world: World, **fields: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - of World
    """Let in a REGISTER of alice with credentials."""
    world.tables["ha1"]["alice"] = "f" * 32
    known = {"method": "REGISTER", "source": PHONE, "auth_user": "alice", "to_user": "alice"}
    return script.request(world, **{**known, **fields})


def test_an_agent_is_saved_as_one_phone_and_told(script: Script, world: World) -> None:
    world.tables["meta"]["listeners"] = "a1 a2"
    world.tables["listen"]["a1"] = "1"
    done = sign_in(script, world)
    assert ("check", "f" * 32) in done
    assert ("save", "location", 4) in done
    told = [(name, json.loads(text)) for name, text in world.was_done("tell")]
    assert told == [("a1", {"event": "registered", "agent": "alice", "expires": 60})]
    assert world.tables["known"] == {PHONE[0]: "1"}


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


def test_an_agent_registers_nobody_else(script: Script, world: World) -> None:
    assert ("reply", 403, "Forbidden") in sign_in(script, world, to_user="bob")


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


def test_an_agent_may_call_our_numbers_alone(script: Script, world: World) -> None:
    world.tables["steer"]["*"] = E1
    done = call_out(script, world, "4930111")
    assert ("relay", f"sip:{E1}") in done
    assert ("header", "X-Everline-Agent: alice") in done
    assert not [each for each in done if "Trunk" in str(each)]
    assert world.was_done("rr_param")[0][0].startswith(";leg=alice~0~0~")
    assert ("reply", 403, "Forbidden") in call_out(script, world, "112")
    assert ("reply", 403, "Forbidden") in call_out(script, world, "4930111", user="bob")


# ---- offers


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
        assert ("remove", "^X-Everline") in done


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


# ---- inside dialogs


def sealed(script: Script, world: World, call_id: str = "call-id") -> str:
    """Return a Route URI as this proxy writes it for alice's dialog."""
    world.call_id = call_id
    param = script.routes.sealer.param("alice", (1, 7))
    return f"sip:198.18.1.10;lr=on{param}"


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


def test_bye_frees_the_gate_of_its_agent(script: Script, world: World) -> None:
    route = sealed(script, world)
    for source in (EDGE, PHONE):
        world.tables["gate"]["alice"] = "1.7.talking.c"
        within(script, world, source, route_uri=route, method="BYE")
        assert world.tables["gate"]["alice"] == "1.7.idle."
        world.tables["gate"]["alice"] = "1.8.talking.d"
        within(script, world, source, route_uri=route, method="BYE")
        assert world.tables["gate"]["alice"] == "1.8.talking.d"


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
        world.tables["silent"]["call-id {}:{}".format(*EDGE)] = "1"
    script.routes.ksr_reply_route(None)
    assert (("drop",) in world.done) == dropped


def test_a_reply_with_strange_bytes_is_dropped(script: Script, world: World) -> None:
    world.call_id = "\xfc"
    script.routes.ksr_reply_route(None)
    assert world.done == [("drop",)]


# ---- how many calls an edge takes


def test_an_edge_takes_as_many_calls_as_it_has_said_and_then_the_site_refuses(
    script: Script, world: World
) -> None:
    says(script, world, {"do": "headroom", "edge": E1, "calls": 2})
    assert [bool(script.request(world) and world.was_done("relay")) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert world.was_done("reply") == [(503, "Overloaded")]
    assert world.reply_headers[-1].startswith("Retry-After: ")


def test_a_call_goes_to_the_edge_of_the_site_that_still_has_room(
    script: Script, world: World
) -> None:
    world.tables["steer"]["4930111"] = f"{E1},{E2}|{E3}"
    says(
        script,
        world,
        {"do": "headroom", "edge": E1, "calls": 0},
        {"do": "headroom", "edge": E2, "calls": 10},
    )
    for number in range(6):
        done = script.request(world, call_id=f"call-{number}")
        assert ("relay", f"sip:{E2}") in done
        assert world.avps["targets"].split() == [E1, E3], "for silence and failures"


def test_a_site_without_room_refuses_and_leaves_other_sites_to_the_carrier(
    script: Script, world: World
) -> None:
    world.tables["steer"]["4930111"] = f"{E1},{E2}|{E3}"
    for edge in (E1, E2):
        says(script, world, {"do": "headroom", "edge": edge, "calls": 0})
    script.request(world)
    assert world.was_done("relay") == []
    assert world.was_done("reply") == [(503, "Overloaded")]


def test_an_edge_that_has_said_nothing_lately_is_asked_without_counting(
    script: Script, world: World
) -> None:
    says(script, world, {"do": "headroom", "edge": E1, "calls": 0})
    del world.tables["room"][E1]  # it expired
    assert ("relay", f"sip:{E1}") in script.request(world)
    assert E1 not in world.tables["room"]


# ---- the edges' door, and the start


def says(script: Script, world: World, *messages: dict[str, object]) -> None:
    """Let an edge say something."""
    for message in messages:
        world.evapi_message = json.dumps(message)
        script.routes.ksr_edge_says(None, "evapi:message-received")


def test_an_edge_that_listens_is_told_and_one_that_went_quiet_is_not(
    script: Script, world: World
) -> None:
    says(script, world, {"do": "listen", "name": "a1"}, {"do": "listen", "name": "a2"})
    assert world.tables["meta"]["listeners"] == "a1 a2"
    assert world.was_done("tell")[-1] == ("a2", '{"event": "listening"}')
    del world.tables["listen"]["a1"]  # it expired
    says(script, world, {"do": "listen", "name": "a2"})
    assert world.tables["meta"]["listeners"] == "a2"
    world.done.clear()
    world.to_user = "alice"
    script.routes.ksr_contact_expired(None, "usrloc:contact-expired")
    ((name, text),) = world.was_done("tell")
    assert (name, json.loads(text)["event"]) == ("a2", "expired")


def load_of(*offers: list[object], count: int | None = None) -> list[dict[str, object]]:
    size = len(offers) if count is None else count
    return [
        {"do": "load_gate", "id": "x", "offers": list(offers)},
        {"do": "open_gate", "id": "x", "count": size, "floor": [1, 50]},
    ]


def test_a_gate_is_loaded_once_and_whole(script: Script, world: World) -> None:
    del world.tables["meta"]["gate_loaded"]
    says(script, world, *load_of(["alice", 1, 40, "talking", "c"], count=2))
    assert "gate_loaded" not in world.tables["meta"]
    del world.tables["loading"]["x"]
    says(script, world, *load_of(["alice", 1, 40, "talking", "c"], ["bob", 1, 41, "ringing", "d"]))
    assert world.tables["meta"]["gate_loaded"] == "1"
    assert world.tables["meta"]["gate_floor"] == "1.50"
    assert world.tables["gate"] == {"alice": "1.40.talking.c", "bob": "1.41.ringing.d"}
    says(script, world, *load_of(["alice", 1, 99, "idle", ""]))
    assert world.tables["gate"]["alice"] == "1.40.talking.c"
    assert world.tables["meta"]["gate_floor"] == "1.50"


def test_given_two_edges_load_at_once_then_the_newer_offer_stays(
    script: Script, world: World
) -> None:
    del world.tables["meta"]["gate_loaded"]
    says(script, world, *load_of(["alice", 1, 45, "ringing", "new"])[:1])
    says(script, world, *load_of(["alice", 1, 40, "talking", "old"], count=2))
    assert world.tables["gate"]["alice"] == "1.45.ringing.new"


def test_an_edge_may_free_a_gate_by_its_token(script: Script, world: World) -> None:
    world.tables["gate"]["alice"] = "1.7.talking.c"
    world.tables["leg"]["alice"] = "old 1"
    says(script, world, {"do": "free_gate", "agent": "alice", "epoch": 1, "revision": 6})
    assert world.tables["gate"]["alice"] == "1.7.talking.c"
    assert world.was_done("cancel") == []
    says(script, world, {"do": "free_gate", "agent": "alice", "epoch": 1, "revision": 7})
    assert world.tables["gate"]["alice"] == "1.7.idle."
    assert world.was_done("cancel") == [("old", "1")]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"do": "dance"}', '{"do": "free_gate"}'])
def test_what_an_edge_says_wrong_is_one_line(script: Script, world: World, text: str) -> None:
    world.evapi_message = text
    script.routes.ksr_edge_says(None, "evapi:message-received")
    assert len(world.was_done("log")) == 1
    script.routes.ksr_edge_says(None, "evapi:connection-new")
    assert len(world.was_done("log")) == 1


GOOD = {"v": 1, "steer": {"1": E2}, "peers": {"1.2.3.4": "trunk:t2"}, "ha1": {"bob": "0" * 32}}


def test_a_start_begins_with_the_last_good_tables(
    script: Script, world: World, tmp_path: Path
) -> None:
    world.tables.clear()
    (tmp_path / "tables.json").write_text(json.dumps(GOOD))
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert world.tables["steer"] == {"1": E2}
    assert world.tables["peers"] == {"1.2.3.4": "trunk:t2"}
    assert world.tables["ha1"] == {"bob": "0" * 32}
    assert world.tables["meta"] == {"tables": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '{"v": 1}',
        '{"steer": [], "peers": {}, "ha1": {}}',
        "\x00",
        json.dumps(GOOD | {"v": 2}),
    ],
)
def test_a_start_without_good_tables_goes_on_empty(
    script: Script, world: World, tmp_path: Path, text: str
) -> None:
    world.tables.clear()
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert world.done == []
    (tmp_path / "tables.json").write_text(text)
    script.routes.ksr_tables_from_file(None, "htable:mod-init")
    assert len(world.was_done("log")) == 1
    assert not world.tables["meta"]


def test_the_seals_key_outlives_a_restart_and_is_nobody_elses(
    script: Script, world: World, tmp_path: Path
) -> None:
    route = sealed(script, world)
    key = tmp_path / "kamailio.secret"
    assert key.stat().st_mode & 0o777 == 0o600
    world.results["kx.get_def"] = [str(tmp_path), "a"]
    again = script.modules["edge_routes"].mod_init()
    assert again.sealer.read(route) == ("alice", (1, 7))
    key.unlink()
    world.results["kx.get_def"] = [str(tmp_path), "a"]
    assert script.modules["edge_routes"].mod_init().sealer.read(route) is None


def test_the_callbacks_that_kamailio_needs_are_there(script: Script, world: World) -> None:
    assert world is script.ksr.world
    assert script.routes.child_init(0) == 0
    assert script.routes.ksr_onsend_route(None) == 1
