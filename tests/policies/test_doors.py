"""Every endpoint lets somebody in and refuses somebody, as the cases say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from control_plane import proof
from control_plane.app import ROUTES
from control_plane.permissions import Permission
from tests.policies import doors
from tests.policies.staging import OTHER, Staged, stage

CASES = proof.load(Path(__file__).parents[2] / "policies" / "cases.yaml")
IDS = {"agent": "a1", "team": "t1", "employer": "e1"}


def case(**words: object) -> proof.Case:
    usual = {"n": 0, "case": "x", "roles": ["agent"], "may": "call:read", "allow": True}
    return proof.Case(**(usual | words))  # type: ignore[arg-type]


async def test_every_endpoint_says_what_the_cases_say_and_none_is_left_out() -> None:
    driven, left = await doors.drive(CASES)
    assert driven.failed == ()
    assert doors.half_driven(ROUTES, driven.by_door) == ()
    assert driven.doors == (doors.TERMINAL, doors.STREAM, doors.REST)
    unbuilt = {each.may for each in CASES} - {str(route.access) for route in ROUTES}
    for each in CASES:
        name = f"{each.n}: {each.case} ({each.may})"
        assert (left.get(name) == doors.UNBUILT) is (each.may in unbuilt), name


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
    assert stage(case(around={"glass": {}}), IDS) == "no request bears a permit of broken glass"
