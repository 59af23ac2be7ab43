"""The routes without Kamailio, against a KSR that knows only real names: calls from trunks."""

from __future__ import annotations

import pytest

from tests.kemi.fake_ksr import World
from tests.kemi.script import E1, E2, E3, EDGE, TRUNK, Script, order, says

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
    done = script.request(world, headers={"X-Everline-Trunk": "forged"})
    ours = ("header", "X-Everline-Trunk: t1\r\nX-Everline-Via: a")
    assert ("relay", f"sip:{E1}") in done
    assert ("on_failure", "ksr_edge_failed") in done
    assert ("on_reply", "ksr_edge_replies") in done
    assert done.index(("remove", "X-Everline-Trunk")) < done.index(ours)
    assert ("record_route",) in done
    assert world.fr == (4000, 500)


def test_tm_says_no_100_of_its_own_to_a_call_that_comes_in(script: Script, world: World) -> None:
    script.request(world)
    assert not world.auto_100
    assert world.was_done("reply") == []


@pytest.mark.parametrize("answer", [180, 183, 200, 486, 503])
def test_the_100_of_an_edge_that_is_late_and_nothing_else_becomes_one_of_ours(
    script: Script, world: World, answer: int
) -> None:
    script.request(world)
    world.done.clear()
    world.status = 100
    script.routes.ksr_edge_replies(None)
    assert world.was_done("reply") == [(100, "Trying")]
    # It may be overtaken, as replies are taken by several processes.
    for world.status in (answer, 100):
        script.routes.ksr_edge_replies(None)
    assert world.was_done("reply") == [(100, "Trying")]


def test_the_100_of_the_next_edge_is_one_of_ours_too(script: Script, world: World) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    world.status = 503
    script.routes.ksr_edge_replies(None)
    failed(script, world, timeout=False)
    assert world.was_done("reply") == []
    world.status = 100
    script.routes.ksr_edge_replies(None)
    assert world.was_done("reply") == [(100, "Trying")]


@pytest.mark.parametrize(
    ("headers", "removed"),
    [
        ({}, []),
        ({"Subject": "nothing of ours"}, []),
        (
            {"X-Everline-Via": "evil", "x-everline-NEW": "evil"},
            ["X-Everline-Via", "x-everline-NEW"],
        ),
        ({"X-Everline-Via ": "evil"}, ["^X-Everline"]),
        ({"X-Everline-Via": "evil", "x-everline-via": "evil"}, ["^X-Everline"]),
        ({"X-Everline-Via": "x-everline"}, ["^X-Everline"]),
        ({"X-Everline_1": "evil"}, ["^X-Everline"]),
        ({"X-Everline-Via": "evil\r\n\tfolded"}, ["X-Everline-Via"]),
        ({"X-Everline-Via": "evil", "Subject": "no UTF-8: \xfc"}, ["^X-Everline"]),
        ({"Subject": "no UTF-8: \xfc"}, ["^X-Everline"]),
    ],
    ids=repr,
)
def test_headers_of_ours_are_taken_off_by_name_or_when_written_strangely_by_expression(
    script: Script, world: World, headers: dict[str, str], removed: list[str]
) -> None:
    done = script.request(world, headers=headers)
    assert ("relay", f"sip:{E1}") in done
    names = [name for (name,) in world.was_done("remove")]
    assert names == [*removed, "Route"]


def test_a_refused_call_is_neither_read_further_nor_changed(script: Script, world: World) -> None:
    says(script, world, {"do": "headroom", "edge": E1, "calls": 0})
    done = script.request(world, headers={"X-Everline-Via": "evil"})
    assert done == [("reply", 503, "Overloaded")]


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
    assert world.was_done("reply") == [(100, "Trying")]
    assert world.done.index(("reply", 100, "Trying")) < world.done.index(("relay", f"sip:{E2}"))
    assert world.tables["down"] == {E1: "1", "*": "1"}
    assert world.tables["silent"] == {f"call-id {E1}": "1", "*": "1"}
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
    assert world.was_done("reply") == [], "its 100 was passed on"


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
    assert world.was_done("reply") == [], "a refusal comes at once"
    assert world.tables["down"] == {}


def test_a_caller_who_gave_up_is_not_hunted_on(script: Script, world: World) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    script.request(world)
    world.results["tm.t_is_canceled"] = 1
    failed(script, world)
    assert world.done == []


def test_an_edge_to_which_there_is_no_way_is_passed_over_and_has_its_room_back(
    script: Script, world: World
) -> None:
    world.tables["steer"]["4930111"] = f"{E1}|{E2}"
    world.tables["room"][E1] = 5
    world.results["tm.t_relay"] = [-1, 1]
    script.request(world)
    assert world.dst == f"sip:{E2}"
    assert world.was_done("reply") == []
    assert list(world.tables["unanswered"].values()) == [0]


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


@pytest.mark.parametrize("number", ["%2B4930222", "%2b4930222;npdi", "+4%3930222"])
def test_a_number_is_found_in_whatever_way_it_is_escaped(
    script: Script, world: World, number: str
) -> None:
    world.tables["steer"] = {"+4930222": E1}
    assert ("relay", f"sip:{E1}") in script.request(world, ruri=f"sip:{number}@198.18.1.10")


@pytest.mark.parametrize("number", ["%252B4930222", "4930222%0A", "%FF", "%2"])
def test_what_an_escape_hides_is_no_number(script: Script, world: World, number: str) -> None:
    world.tables["steer"] = {"+4930222": E1, "4930222": E1, "*": E1}
    script.request(world, ruri=f"sip:{number}@198.18.1.10")
    assert world.was_done("reply") == [(404, "Not Found")]


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
    world.tables["gate"]["alice"] = "nonsense.1.idle.c"
    script.request(
        world, source=EDGE, ruri="sip:alice@everline", headers={"X-Everline-Offer": "c 1 7"}
    )
    assert world.was_done("reply") == [(503, "Internal Failure")]
    ((line,),) = world.was_done("log")
    assert "ValueError" in line
    assert ".py:" in line, "where"
    assert "nonsense" not in line, "a fault's text may quote what was sent: a caller's number"
    world.call_id = "\xfc"
    script.request(world, source=TRUNK, ruri="sip:4930111@198.18.1.10")
    assert world.was_done("reply") == [(400, "Bad Request")]


# ---- how many calls an edge takes


def under_way(world: World) -> int:
    """Return how many calls are counted as unanswered."""
    return sum(world.tables["unanswered"].values())


def test_an_edge_has_as_many_calls_unanswered_as_it_has_said_and_then_the_site_refuses(
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


@pytest.mark.parametrize(
    ("status", "gives_back"), [(100, 0), (180, 1), (183, 1), (200, 1), (486, 1)]
)
def test_an_answer_of_the_edge_makes_room_for_another_call_once(
    script: Script, world: World, status: int, gives_back: int
) -> None:
    says(script, world, {"do": "headroom", "edge": E1, "calls": 2})
    script.request(world)
    script.request(world)
    for world.status in (status, 100, status):
        script.routes.ksr_edge_replies(None)
    assert under_way(world) == 2 - gives_back


def test_an_edge_that_is_passed_over_does_not_keep_its_room(script: Script, world: World) -> None:
    world.tables["steer"]["4930111"] = f"{E1},{E2}"
    for edge in (E1, E2):
        says(script, world, {"do": "headroom", "edge": edge, "calls": 1})
    script.request(world)
    assert under_way(world) == 1
    failed(script, world)
    assert under_way(world) == 0


def test_room_that_was_never_given_back_is_forgotten(
    script: Script, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_ms = 1_000_000
    monkeypatch.setattr(script.modules["calls"], "now_ms", lambda: at_ms)
    says(script, world, {"do": "headroom", "edge": E1, "calls": 1})
    assert ("relay", f"sip:{E1}") in script.request(world)
    at_ms += 5000
    assert script.request(world) == [("reply", 503, "Overloaded")]
    at_ms += 5000
    assert ("relay", f"sip:{E1}") in script.request(world)


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
    assert world.tables["unanswered"] == {}
