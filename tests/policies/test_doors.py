"""Every endpoint lets somebody in and refuses somebody, as the cases say."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import control_plane
from control_plane import proof
from control_plane.app import ROUTES
from control_plane.permissions import Permission
from tests.control_plane.outside.crawl import SCHEMAS
from tests.policies import doors, fields, told
from tests.policies.staging import OTHER, Staged, stage

CASES = proof.load(Path(__file__).parents[2] / "policies" / "cases.yaml")
PARTS = 3
"""Each has its own control plane: no test is to take long."""
IDS = {"agent": "a1", "team": "t1", "employer": "e1"}


def case(**words: object) -> proof.Case:
    usual = {"n": 0, "case": "x", "roles": ["agent"], "may": "call:read", "allow": True}
    return proof.Case(**(usual | words))  # type: ignore[arg-type]


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_endpoint_says_what_the_cases_say(part: int) -> None:
    driven, _ = await doors.drive(CASES, part, PARTS)
    assert driven.failed == ()
    assert driven.requests > len(CASES) / PARTS / 2
    assert {doors.TERMINAL, doors.REST} <= set(driven.doors)
    mine = [route for route in ROUTES if told.resource(route) in driven.resources]
    assert told.untold(mine, driven.told) == ()
    assert told.told_after_all(mine, driven.told) == ()


def test_no_endpoint_and_no_group_of_fields_is_left_out() -> None:
    drives, left = doors.plan(CASES, IDS)
    assert doors.half_driven(ROUTES, {(each.name, each.case.allow) for each in drives}) == ()
    assert any(each.route.is_socket for each in drives)
    asked = {str(route.access) for route in ROUTES} | set(fields.ASKED)
    unbuilt = {each.may for each in CASES} - asked
    for each in CASES:
        name = f"{each.n}: {each.case} ({each.may})"
        assert (left.get(name) == doors.UNBUILT) is (each.may in unbuilt), name


def test_every_field_of_a_customer_takes_a_permission_or_is_told_to_all_who_see_one() -> None:
    groups = {"basic": "BasicView", "contact": "ContactView"}
    leaves = set(SCHEMAS["CustomerView"]["properties"]) - set(groups)
    leaves |= {f"{k}.{each}" for k, name in groups.items() for each in SCHEMAS[name]["properties"]}
    told_by_group = [part for parts in fields.PARTS.values() for part in parts]
    assert sorted((*told_by_group, *fields.OPEN)) == sorted(leaves)


def test_a_field_that_is_new_or_masked_too_little_is_named() -> None:
    full = Permission.CUSTOMER_CONTACT_READ_FULL
    contact = {"numbers": ["+49301"], "email": "q7@x", "address": "q7 Street"}
    ids = {"word": "q7", "number": "+49301"}
    assert fields.SHOWN[full]({"contact": contact}, ids) is True
    assert fields.SHOWN[full]({"contact": contact | {"email": "q..."}}, ids) is None
    assert fields.SHOWN[full]({"contact": None}, ids) is False
    known = told.declared(ROUTES)
    (one, *_) = (each for each in known if (each.resource, each.schema) not in told.UNTOLD)
    assert told.untold(ROUTES, known - {one}) == (f"/v1/{one.resource}: {one.schema}.{one.name}",)
    assert len(told.told_after_all(ROUTES, known)) > 0


def test_what_the_code_asks_the_policy_for_is_driven() -> None:
    asked = {str(route.access) for route in ROUTES} | set(fields.ASKED)
    for file in Path(control_plane.__file__).parent.rglob("*.py"):
        if file.name == "permissions.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Permission":
                assert Permission.__members__.get(node.attr, node.attr) in asked, file


def test_an_endpoint_that_comes_without_cases_is_named() -> None:
    route = replace(ROUTES[0], access=Permission.DRILL_RUN)
    name = ROUTES[0].name
    assert doors.half_driven((route,), [(name, True)]) == (
        f"{name} (drill:run): no case that is denied",
    )
    assert doors.half_driven((route,), [(name, True), (name, False)]) == ()


def test_what_stands_beside_the_endpoints_is_of_endpoints_that_are_there() -> None:
    names = {route.name for route in ROUTES}
    beside = {name for name, _ in doors.ENFORCER_ONLY}
    assert beside | set(doors.QUERIES) | set(doors.LAST) | doors.OWN_ONLY <= names


def test_the_subject_stands_to_the_furnished_thing_as_to_the_case_s() -> None:
    own = stage(case(thing={"agent": "anna"}), IDS)
    another = stage(case(thing={"agent": "ben"}), IDS)
    elsewhere = stage(case(thing={"team": "north", "site": "b"}), IDS)
    assert isinstance(own, Staged)
    assert isinstance(another, Staged)
    assert isinstance(elsewhere, Staged)
    assert (own.values["agent"], another.values["agent"]) == ("a1", OTHER)
    assert (elsewhere.values["team"], elsewhere.values["site"]) == ("t1", "b")


def test_what_cannot_be_staged_says_why() -> None:
    unstaged = stage(case(thing={"made_ms": 1, "in_team_since_ms": 2}), IDS)
    assert unstaged == "no furnished recording is older than its agent's time in the team"
    assert isinstance(stage(case(around={"glass": {}}), IDS), Staged)
