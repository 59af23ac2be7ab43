"""A tenant with something of every kind, and all the words that are its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.tables import Table
from control_plane.holds.tables import HoldRow
from control_plane.oidc.tables import FlowRow, IdentityRow
from control_plane.permissions import Role
from control_plane.sign_in import store as sign_in
from tests.control_plane.center import Center, Person, Reply

SHORTEST = 5
_DIGIT = re.compile(r"\d").search


@dataclass
class Furnished:
    """A tenant, its people, and the ids of what it has, by the names of paths and fields."""

    tenant: str
    mark: str
    manager: Person
    admin: Person
    ids: dict[str, str] = field(default_factory=dict)


async def furnish(center: Center, main: Person, tenant: str, mark: str, number: int) -> Furnished:
    """Make something of every kind, whose every word bears `mark`."""
    here = {"tenant": tenant}
    manager = await center.person(Role.MANAGER, login=f"{mark}manager", name=f"{mark} M", **here)
    admin = await center.person(Role.TENANT_ADMIN, login=f"{mark}admin", name=f"{mark} A", **here)
    made = Furnished(tenant=tenant, mark=mark, manager=manager, admin=admin)
    await _configure(made, main, number)
    await _serve_customers(made, number)
    user = await admin.post("/v1/users", {
        "login": f"{mark}login", "name": f"{mark} User", "roles": ["role:agent"],
        "agent": made.ids["agent"], "team": made.ids["team"], "site": "a",
        "employer": f"{mark}corp",
    })  # fmt: skip
    made.ids["user"] = made.ids["owner"] = well(user).json["id"]
    token = await admin.post(
        "/v1/service-tokens", {"name": f"{mark} machine", "roles": ["role:supervisor"], "days": 9}
    )
    made.ids["token"] = well(token).json["id"]
    await _know_a_provider(center, made)
    await _hold(center, made, number)
    line = f"p, role:quality, {tenant}, recording, read_metadata, always, deny"
    proposal = {"lines": [line], "why": f"{mark} why"}
    version = well(await admin.post("/v1/policy/versions", proposal)).json["number"]
    made.ids["version"] = str(version)
    return made


async def _hold(center: Center, made: Furnished, number: int) -> None:
    """Let a call be under legal hold."""
    async with center.services.database.write() as connection:
        await connection.execute(insert(HoldRow).values(
            tenant=made.tenant, call=f"{number:024x}", has_legal_hold=True,
            because=f"{made.mark} order", by=made.admin.id, at_ms=1, version=1,
        ))  # fmt: skip


async def _know_a_provider(center: Center, made: Furnished) -> None:
    """Let somebody be known at a provider and be signed in, and a sign-in there be under way."""
    mark, tenant = made.mark, made.tenant
    home = f"https://{mark}.example.org"
    body = {"issuer": home, "client_id": f"{mark}client", "redirect_uris": [f"{home}/back"]}
    well(await made.admin.ask("PUT", "/v1/identity-provider", body, {"If-Match": '"0"'}))
    async with center.services.database.write() as connection:
        now_ms = center.clock.now().wall_ms
        opened = await sign_in.begin(connection, made.ids["user"], tenant, now_ms)
        made.ids["session"] = opened.session
        await connection.execute(insert(FlowRow).values(
            state_digest=f"{mark}state", holder_digest=f"{mark}holder", tenant=tenant,
            nonce=f"{mark}nonce", verifier=f"{mark}verifier", provider_version=1,
            redirect_uri=f"{home}/back", until_ms=2**40,
        ))  # fmt: skip
        await connection.execute(insert(IdentityRow).values(
            tenant=tenant, issuer=home, subject=f"{mark}subject",
            user_id=made.ids["user"], created_ms=1,
        ))  # fmt: skip


def well(reply: Reply) -> Reply:
    """Return an answer that is well."""
    assert reply.status in (200, 201, 204), reply.body
    return reply


async def _configure(made: Furnished, main: Person, number: int) -> None:
    mark, manager = made.mark, made.manager
    own = "" if made.tenant == "main" else f"{made.tenant}."

    async def add(section: str, name: str, body: dict[str, Any], by: Person = manager) -> None:
        identifier = body.pop("id", f"{own}{mark}{name}")
        why = f"/v1/{section}?why={mark}why"
        well(await by.post(why, {"id": identifier, **body}))
        made.ids[name] = identifier

    for section, name in (
        ("skills", "skill"),
        ("prompts", "prompt"),
        ("pause-codes", "pause_code"),
        ("wrap-up-codes", "wrap_up_code"),
    ):
        await add(section, name, {"name": f"{mark} {name}"})
    await add("teams", "team", {"name": f"{mark} Team", "site": "a"})
    await add("calendars", "calendar", {"zone": "Europe/Berlin"})
    await add("queues", "backup", {"needs": {made.ids["skill"]: 3}})
    await add("queues", "queue", {
        "needs": {made.ids["skill"]: 4}, "employer": f"{mark}corp",
        "steps": [{"after_s": 60, "raise_priority": 1}], "longest_queue": {"most": 50},
    })  # fmt: skip
    await add("agents", "agent", {
        "name": f"{mark} Agent", "site": "a", "skills": {made.ids["skill"]: 5},
        "password": f"{mark} secret", "team": made.ids["team"], "employer": f"{mark}corp",
    })  # fmt: skip
    number_of = {"id": f"49309{number:06}", "queue": made.ids["queue"], "tenant": made.tenant}
    await add("dids", "did", number_of, main)
    plan = {"queues": {made.ids["queue"]: {"backup": made.ids["backup"]}}}
    await add("plans", "plan", {"name": f"{mark} plan", **plan})


async def _serve_customers(made: Furnished, number: int) -> None:
    mark, manager = made.mark, made.manager
    well(
        await made.admin.post(
            "/v1/customer-fields", {"name": f"{mark}field", "is_searchable": True}
        )
    )
    draft = {
        "name": f"{mark}first {mark}last", "numbers": [f"+4930{number:06}"],
        "email": f"{mark}@example.org", "address": f"{mark} Street", "language": "de",
        "notes": f"{mark} notes", "tags": [f"{mark}tag"], "consent": {f"{mark}consent": True},
        "sensitive": {f"{mark}field": f"{mark} value", "payment_card": f"{mark}4111"},
    }  # fmt: skip
    one = well(await manager.post("/v1/customers", draft)).json["id"]
    gone = well(await manager.post("/v1/customers", draft | {"name": f"{mark} twin"})).json["id"]
    merged = well(await manager.post(f"/v1/customers/{one}/merge", {"gone": gone}))
    made.ids |= {"customer": one, "gone": gone, "merge": merged.json["id"]}
    made.ids["number"] = f"+4930{number:06}"
    case = {"kind": "complaint", "title": f"{mark} title", "text": f"{mark} text"}
    made.ids["case"] = well(await manager.post(f"/v1/customers/{one}/cases", case)).json["id"]
    article = {
        "language": "de", "title": f"{mark} article", "body": f"{mark} body",
        "tags": [f"{mark}tag"], "queues": [made.ids["queue"]], "employer": f"{mark}corp",
    }  # fmt: skip
    made.ids["article"] = well(await manager.post("/v1/articles", article)).json["id"]
    approval = {"act": "customer:shred", "thing": one, "digest": f"{mark}digest"}
    request = {
        "act": "customer:shred", "things": [one], "digest": f"{mark}2digest",
        "why": f"{mark} second person", "ticket": f"{mark}7",
    }  # fmt: skip
    made.ids["request"] = well(await manager.post("/v1/approval-requests", request)).json["id"]
    made.ids["approval"] = well(await manager.post("/v1/approvals", approval)).json["id"]


async def words_of(connection: AsyncConnection, tenant: str) -> dict[str, set[str]]:
    """Return every text that stands in a row of `tenant`, by table: also what JSON holds."""
    found: dict[str, set[str]] = {}
    for table in Table.metadata.sorted_tables:
        if "tenant" not in table.c or table.name == "tenants":
            continue
        rows = await connection.execute(select(table).where(table.c.tenant == tenant))
        words = {word for row in rows for value in row for word in texts(value)}
        # What bears no digit is a word of ours: marks, ids and numbers all do.
        found[table.name] = {each for each in words if len(each) >= SHORTEST and _DIGIT(each)}
    return found


def texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - a column's, or JSON
    """Yield the texts in a value."""
    match value:
        case str():
            if value[:1] in ("{", "["):
                try:
                    yield from texts(json.loads(value))
                except ValueError:
                    yield value
            else:
                yield value
        case dict():
            for pair in value.items():
                for each in pair:
                    yield from texts(each)
        case list() | tuple():
            for each in value:
                yield from texts(each)
        case _:
            return
