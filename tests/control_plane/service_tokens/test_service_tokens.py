"""Machines at the API, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from control_plane.audit.tables import AuditRow
from control_plane.permissions import Role
from control_plane.service_tokens.http import write_uses
from control_plane.service_tokens.tables import ServiceTokenRow
from control_plane.who import FRESH_S
from tests.control_plane.center import Center, Person, Reply

PATH = "/v1/service-tokens"


async def made(admin: Person, *roles: Role, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    reply = await admin.post(PATH, {"name": "dialer", "roles": roles, **more})
    assert reply.status == 201, reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    return dict(reply.json)


def machine(center: Center, token: dict[str, Any]) -> Person:
    return Person(center, token["id"], token["token"])


async def refused(reply: Reply) -> None:
    assert (reply.status, reply.error_id) == (401, "sign-in-needed")


async def test_a_machine_may_do_what_its_roles_may_and_no_more(center: Center) -> None:
    admin = await center.administrator()
    token = await made(admin, Role.MANAGER)
    service = machine(center, token)
    assert (await service.get("/v1/users")).status == 200
    assert (await service.get("/v1/me")).json["roles"] == ["role:manager"]
    forbidden = await service.post(PATH, {"name": "another", "roles": [Role.MANAGER]})
    assert (forbidden.status, forbidden.error_id) == (403, "forbidden")
    assert (await service.post("/v1/me/phone", None)).status == 403


async def test_a_token_is_told_once_and_kept_as_a_digest(center: Center) -> None:
    admin = await center.administrator()
    token = await made(admin, Role.MANAGER)
    for path in (PATH, f"{PATH}/{token['id']}"):
        assert token["token"].encode() not in (await admin.get(path)).body
    async with center.services.database.read() as connection:
        rows = list(await connection.execute(select(*ServiceTokenRow.__table__.columns)))
        rows += await connection.execute(select(*AuditRow.__table__.columns))
    assert len(rows) > 1
    assert token["token"] not in str(rows)
    assert token["token"].removeprefix("everline_") not in str(rows)


async def test_a_token_is_over_when_it_expires(center: Center) -> None:
    admin = await center.administrator()
    service = machine(center, await made(admin, Role.MANAGER, days=1))
    assert (await service.get("/v1/me")).status == 200
    center.clock.advance(24 * 3600 - 1)
    assert (await service.get("/v1/me")).status == 200
    center.clock.advance(1)
    await refused(await service.get("/v1/me"))


async def test_a_token_is_over_when_it_is_revoked_and_stays_so(center: Center) -> None:
    admin = await center.administrator()
    token = await made(admin, Role.MANAGER)
    service = machine(center, token)
    assert (await service.get("/v1/me")).status == 200
    assert (await admin.ask("DELETE", f"{PATH}/{token['id']}")).status == 204
    await refused(await service.get("/v1/me"))
    shown = (await admin.get(f"{PATH}/{token['id']}")).json
    assert shown["revoked"] is not None
    center.clock.advance(60)
    assert (await admin.ask("DELETE", f"{PATH}/{token['id']}")).status == 204
    assert (await admin.get(f"{PATH}/{token['id']}")).json["revoked"] == shown["revoked"]


async def test_what_another_instance_revoked_is_over_in_two_seconds(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await center.administrator()
    token = await made(admin, Role.MANAGER)
    service = machine(center, token)
    assert (await service.get("/v1/me")).status == 200
    monkeypatch.setattr(center.services.subjects, "forget", lambda _: None)
    await admin.ask("DELETE", f"{PATH}/{token['id']}")
    center.clock.advance(FRESH_S)
    await refused(await service.get("/v1/me"))


async def test_the_last_use_is_written_down(center: Center) -> None:
    admin = await center.administrator()
    token = await made(admin, Role.MANAGER)
    assert token["last_used"] is None
    await machine(center, token).get("/v1/me")
    await write_uses(center.services)
    first = (await admin.get(f"{PATH}/{token['id']}")).json["last_used"]
    assert first is not None
    center.clock.advance(100)
    await machine(center, token).get("/v1/me")
    await write_uses(center.services)
    assert (await admin.get(f"{PATH}/{token['id']}")).json["last_used"] > first


@pytest.mark.parametrize("text", ["everline_short", "everline_" + "x" * 43, "x" * 52])
async def test_what_is_no_token_is_refused(center: Center, text: str) -> None:
    await refused(await Person(center, "", text).get("/v1/me"))


async def test_nobody_makes_a_machine_that_may_do_more_than_tenants_may_give(
    center: Center,
) -> None:
    await center.tenant("t2")
    admin = await center.person(Role.TENANT_ADMIN, tenant="t2")
    for role in (Role.SRE, Role.BREAK_GLASS):
        reply = await admin.post(PATH, {"name": "x", "roles": [role]})
        assert (reply.status, reply.error_id) == (403, "grant-too-high")


async def test_a_tenants_machines_are_its_own(center: Center) -> None:
    await center.tenant("t2")
    ours = await made(await center.administrator(), Role.MANAGER)
    theirs = await center.person(Role.TENANT_ADMIN, tenant="t2")
    assert (await theirs.get(PATH)).json["items"] == []
    for method in ("GET", "DELETE"):
        assert (await theirs.ask(method, f"{PATH}/{ours['id']}")).status == 404
    service = machine(center, ours)
    reply = await service.get("/v1/users", **{"Everline-Tenant": "t2"})
    assert reply.status == 403
