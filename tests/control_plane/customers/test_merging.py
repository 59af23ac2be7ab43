"""What a merge must not lose: that somebody has said no, and that somebody has to be kept."""

from __future__ import annotations

from typing import Any

import pytest

from control_plane.customers import store
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person
from tests.control_plane.customers.stage import WHY

ADAS, BOS = "+49305550", "+49305551"


async def added(manager: Person, name: str, numbers: list[str], **more: Any) -> str:  # noqa: ANN401
    made = await manager.post("/v1/customers", {"name": name, "numbers": numbers, **more})
    assert made.status == 201, made.body
    return str(made.json["id"])


async def merged(manager: Person, kept: str, gone: str) -> str:
    made = await manager.post(f"/v1/customers/{kept}/merge", {"gone": gone})
    assert made.status == 200, made.body
    return str(made.json["id"])


async def parted(manager: Person, merge: str) -> None:
    made = await manager.post(f"/v1/customer-merges/{merge}/undo", None)
    assert made.status == 200, made.body


async def consent(manager: Person, customer: str) -> dict[str, bool]:
    shown = await manager.get(f"/v1/customers/{customer}")
    return dict(shown.json["basic"]["consent"])


@pytest.mark.parametrize("before", [{}, {"callback": True}], ids=["said nothing", "said yes"])
async def test_what_either_of_two_has_refused_is_refused_by_the_one_who_is_kept(
    center: Center, before: dict[str, bool]
) -> None:
    manager = await center.person(Role.MANAGER)
    ada = await added(manager, "Ada", [ADAS], consent=before | {"letters": False})
    said = {"callback": False, "letters": True, "news": True}
    bo = await added(manager, "Ada B.", [BOS], consent=said)
    merge = await merged(manager, ada, bo)
    assert await consent(manager, ada) == {"callback": False, "letters": False}
    async with center.services.database.read() as connection:
        for number in (ADAS, BOS):
            assert await store.consents(connection, "main", number, "callback") == (False,)
    told = (await manager.get(f"/v1/customers/{ada}/history")).json["items"]
    assert ("callback", "refused") in {(each["reference"], each["what"]) for each in told}

    await parted(manager, merge)
    assert await consent(manager, ada) == before | {"letters": False}
    assert await consent(manager, bo) == said


async def test_what_was_said_since_a_merge_stays_when_the_two_are_parted(center: Center) -> None:
    manager = await center.person(Role.MANAGER)
    ada = await added(manager, "Ada", [ADAS])
    bo = await added(manager, "Ada B.", [BOS], consent={"callback": False})
    merge = await merged(manager, ada, bo)
    seen = {"If-Match": (await manager.get(f"/v1/customers/{ada}")).headers["ETag"]}
    agreed = {"consent": {"callback": True}}
    assert (await manager.ask("PATCH", f"/v1/customers/{ada}", agreed, seen)).status == 200
    await parted(manager, merge)
    assert await consent(manager, ada) == {"callback": True}


@pytest.mark.parametrize("earlier", ["Bo", "Cy"])
async def test_what_two_have_given_stays_until_both_are_parted(
    center: Center, earlier: str
) -> None:
    manager = await center.person(Role.MANAGER)
    ada = await added(manager, "Ada", [ADAS], consent={"callback": True})
    more: dict[str, Any] = {"tags": ["vip"], "consent": {"callback": False}}
    bo, cy = [await added(manager, name, [BOS], **more) for name in ("Bo", "Cy")]
    merges = {"Bo": await merged(manager, ada, bo), "Cy": await merged(manager, ada, cy)}

    async def told() -> tuple[list[str], list[str], dict[str, bool]]:
        shown = (await manager.get(f"/v1/customers/{ada}")).json
        basic = shown["basic"]
        return shown["contact"]["numbers"], basic["tags"], basic["consent"]

    await parted(manager, merges.pop(earlier))
    assert await told() == ([ADAS, BOS], ["vip"], {"callback": False})
    await parted(manager, *merges.values())
    assert await told() == ([ADAS], [], {"callback": True})


@pytest.mark.parametrize(
    ("numbers", "is_held"), [([ADAS, BOS], True), (["+49305552"], False)], ids=["same", "others"]
)
async def test_who_takes_along_a_number_of_somebody_under_hold_is_under_hold(
    center: Center, numbers: list[str], *, is_held: bool
) -> None:
    """Cy stays merged into Ada, who loses Bo's number: calls from there are kept by Bo alone."""
    manager, officer = [await center.person(r) for r in (Role.MANAGER, Role.PRIVACY_OFFICER)]
    ada = await added(manager, "Ada", [])
    bo, cy = await added(manager, "Bo", [BOS]), await added(manager, "Cy", numbers)
    body, seen = {"has_legal_hold": True}, WHY | {"If-Match": '"1"'}
    assert (await officer.ask("PUT", f"/v1/customers/{cy}/hold", body, seen)).status == 200
    first, _ = await merged(manager, ada, bo), await merged(manager, ada, cy)
    await parted(manager, first)
    shown = await manager.get(f"/v1/customers/{bo}")
    assert shown.json["has_legal_hold"] is is_held
