"""A drill on a live system begins with two people's word on exactly this plan, once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update

from control_plane.approvals.request import DRILLED_WITHIN_MS
from control_plane.approvals.tables import RequestRow
from control_plane.permissions import Role
from tests.control_plane.center import Center, Person, Reply

PLAN = "ab" * 32
DRILL = {"drill": "site_killed", "plan_hash": PLAN}
ASKED = {"act": "drill:run", "things": ["site_killed"], "digest": PLAN, "why": "quarterly drill"}


async def asked(person: Person, **changes: Any) -> str:  # noqa: ANN401 - JSON
    reply = await person.post("/v1/approval-requests", ASKED | changes)
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


async def approve(person: Person, request: str) -> Reply:
    return await person.post(f"/v1/approval-requests/{request}/approve", None)


async def begin(person: Person, request: str, **changes: str) -> Reply:
    headers = {"Everline-Approval": request}
    return await person.post("/v1/drill-permits", DRILL | changes, headers)


async def two(center: Center) -> tuple[Person, Person]:
    return (
        await center.person(Role.SRE, team="platform"),
        await center.person(Role.MANAGER, team="service"),
    )


async def test_a_drill_begins_once_and_says_who_asked_and_who_approved(center: Center) -> None:
    sre, manager = await two(center)
    request = await asked(sre)
    assert (await begin(sre, request)).status == 403, "nobody has approved it yet"
    assert (await approve(manager, request)).status == 200
    permit = await begin(sre, request)
    assert permit.status == 201, permit.body
    told = permit.json
    assert (told["asked_by"], told["approved_by"]) == (sre.id, manager.id)
    assert (told["drill"], told["plan_hash"], told["why"]) == (
        "site_killed",
        PLAN,
        "quarterly drill",
    )
    assert told["asked_by_name"].startswith("Person ")
    assert told["asked_by_name"] != told["approved_by_name"]
    assert (await begin(sre, request)).status == 403, "it is good once"
    auditor = await center.person(Role.AUDITOR)
    (entry,) = (await auditor.get("/v1/audit?action=drill:run&decision=allowed")).json["items"]
    assert (entry["actor"], entry["thing"]) == (sre.id, "site_killed")
    assert entry["place"] is not None, "under a signed checkpoint before anything is broken"


async def test_whoever_asked_approves_nothing_even_as_a_manager(center: Center) -> None:
    both = await center.person(Role.SRE, Role.MANAGER, team="platform")
    request = await asked(both)
    assert (await approve(both, request)).status == 403
    assert (await begin(both, request)).status == 403


async def test_nor_does_a_token_that_they_have_made(center: Center) -> None:
    admin = await center.administrator()
    made = await admin.post(
        "/v1/service-tokens", {"name": "scheduler", "roles": [Role.MANAGER, Role.SRE]}
    )
    assert made.status == 201, made.body
    machine = Person(center, made.json["id"], made.json["token"])
    sre, manager = await two(center)
    request = await asked(sre)
    assert (await approve(machine, request)).status == 403
    assert (await begin(sre, request)).status == 403
    asking = await machine.post("/v1/approval-requests", ASKED)
    assert asking.status == 403, "or one person would ask as a machine and approve as themselves"
    assert (await approve(manager, request)).status == 200


async def made_by(maker: Person, login: str, *roles: Role) -> Person:
    """Return somebody whom another has created, signed in with the password that they chose."""
    password = f"{login} has it from elsewhere"
    draft = {"login": login, "name": login, "roles": roles, "password": password}
    made = await maker.post("/v1/users", draft)
    assert made.status == 201, made.body
    said = {"tenant": "main", "login": login, "password": password}
    reply = await maker.center.ask("POST", "/v1/sessions", said)
    return Person(maker.center, reply.json["user"], reply.json["access_token"])


async def test_one_person_is_not_both_by_an_account_that_they_made(center: Center) -> None:
    admin = await center.administrator()
    manager = await made_by(admin, "manager", Role.MANAGER)
    request = await asked(admin)
    refused = await approve(manager, request)
    assert (refused.status, refused.error_id) == (403, "not-a-second-person")
    assert (await begin(admin, request)).status == 403
    # Nor by somebody who was made for that.
    other = await made_by(admin, "other", Role.TENANT_ADMIN)
    further = await made_by(other, "further", Role.MANAGER)
    assert (await approve(further, request)).error_id == "not-a-second-person"
    # Nor the other way round.
    both = await center.person(Role.TENANT_ADMIN, Role.MANAGER)
    sre = await center.person(Role.SRE, login="sre")
    user = await both.get(f"/v1/users/{sre.id}")
    tag = {"If-Match": user.headers["ETag"]}
    assert (await both.ask("PATCH", f"/v1/users/{sre.id}", {"name": "Sam"}, tag)).status == 200
    theirs = await asked(sre)
    assert (await approve(both, theirs)).status == 200, "a name lets nobody sign in"


@pytest.mark.parametrize(
    "change", [{"password": "a password of theirs"}, {"roles": [Role.MANAGER, Role.QUALITY]}]
)
async def test_nor_by_one_whose_password_or_roles_they_have_set_even_after_the_yes(
    center: Center, change: dict[str, Any]
) -> None:
    admin, manager = await center.administrator(), await center.person(Role.MANAGER)
    before, after = await asked(admin), await asked(admin, why="another")
    assert (await approve(manager, before)).status == 200
    user = await admin.get(f"/v1/users/{manager.id}")
    tag = {"If-Match": user.headers["ETag"]}
    assert (await admin.ask("PATCH", f"/v1/users/{manager.id}", change, tag)).status == 200
    assert (await begin(admin, before)).status == 403
    if "password" not in change:
        assert (await approve(manager, after)).error_id == "not-a-second-person"


async def test_two_whom_a_third_has_made_are_two(center: Center) -> None:
    admin = await center.administrator()
    sre, manager = (
        await made_by(admin, "sre", Role.SRE),
        await made_by(admin, "manager", Role.MANAGER),
    )
    request = await asked(sre)
    assert (await approve(manager, request)).status == 200
    assert (await begin(sre, request)).status == 201


@pytest.mark.parametrize("changes", [{"plan_hash": "cd" * 32}, {"drill": "site_frozen"}])
async def test_another_plan_than_the_approved_one_does_not_begin(
    center: Center, changes: dict[str, str]
) -> None:
    sre, manager = await two(center)
    request = await asked(sre)
    await approve(manager, request)
    assert (await begin(sre, request, **changes)).status == 403
    assert (await begin(sre, request)).status == 201, "and the approval is not used up by trying"


async def test_nobody_else_begins_what_was_approved_for_one(center: Center) -> None:
    sre, manager = await two(center)
    other = await center.person(Role.SRE, team="platform")
    request = await asked(sre)
    await approve(manager, request)
    assert (await begin(other, request)).status == 403


async def test_an_approval_lasts_into_the_night_and_no_longer(center: Center) -> None:
    sre, manager = await two(center)
    request = await asked(sre)
    said = (await approve(manager, request)).json
    until_ms = datetime.fromisoformat(said["until"]).timestamp() * 1000
    assert until_ms == center.clock.now().wall_ms + DRILLED_WITHIN_MS
    async with center.services.database.write() as connection:
        now_ms = center.clock.now().wall_ms
        mine = RequestRow.id == request
        await connection.execute(update(RequestRow).where(mine).values(until_ms=now_ms))
    assert (await begin(sre, request)).status == 403


async def test_a_yes_that_nobody_has_asked_for_begins_no_drill(center: Center) -> None:
    sre, manager = await two(center)
    said = {"act": "drill:run", "thing": "site_killed", "digest": PLAN}
    assert (await manager.post("/v1/approvals", said)).error_id == "invalid", (
        "it is asked for first"
    )
    given = await manager.post("/v1/approvals", said | {"act": "customer:delete"})
    assert given.status == 201, given.body
    headers = {"Everline-Approval": given.json["id"], "Everline-Purpose": "I feel like it"}
    assert (await sre.post("/v1/drill-permits", DRILL, headers)).status == 403
