"""The log over the API: what is written down, who may read it, and what stops without it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from control_plane import policy
from control_plane.audit import export, keeping, verify
from control_plane.audit.entry import Entry
from control_plane.audit.http import masked
from control_plane.audit.journal import Journal
from control_plane.audit.ledger import Ledger
from control_plane.audit.tables import AuditRow
from control_plane.permissions import Role
from tests.control_plane.center import PASSWORD, Center, Person
from tests.control_plane.test_rough_clients import head, said_to

WHY = {"Everline-Purpose": "incident 7"}


async def entries(center: Center, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """Return what an auditor reads."""
    await center.services.journal.flush()
    auditor = await center.person(Role.AUDITOR)
    reply = await auditor.get(f"/v1/audit{query}", **headers)
    assert reply.status == 200, reply.body
    items: list[dict[str, Any]] = reply.json["items"]
    return items


async def customer(center: Center) -> tuple[Person, str]:
    manager = await center.person(Role.MANAGER)
    made = await manager.post("/v1/customers", {"name": "Anna", "numbers": ["+4930111222"]})
    return manager, str(made.json["id"])


async def test_each_look_at_a_customer_is_written_down_with_what_was_shown(center: Center) -> None:
    manager, who = await customer(center)
    assert (await manager.get(f"/v1/customers/{who}", **WHY)).status == 200
    (entry,) = await entries(center, f"?actor={manager.id}&action=customer.basic:read_masked")
    assert (entry["thing"], entry["decision"], entry["purpose"]) == (who, "allowed", "incident 7")
    assert "customer.contact:read_full" in entry["detail"]["shown"]


async def test_a_search_is_written_down_with_whom_it_found_and_not_with_what_was_searched(
    center: Center,
) -> None:
    manager, who = await customer(center)
    assert (await manager.get("/v1/customers/by-number/+4930111222")).status == 200
    (entry,) = await entries(center, f"?actor={manager.id}&action=customer.basic:read_masked")
    assert entry["detail"]["things"] == [who]
    assert "4930111222" not in str(entry)


@pytest.mark.parametrize(
    ("role", "path", "why"),
    [
        (Role.AGENT, "/v1/audit", "no_line"),
        (Role.AGENT, "/v1/customers/{who}/history", "condition"),
        (Role.OUTSOURCED_AGENT, "/v1/customers", "denied"),
    ],
)
async def test_every_denial_is_written_down_with_its_reason(
    center: Center, role: Role, path: str, why: str
) -> None:
    _, who = await customer(center)
    person = await center.person(role)
    assert (await person.get(path.format(who=who))).status in (403, 404)
    (entry,) = await entries(center, f"?actor={person.id}")
    assert entry["decision"] == why
    line = entry["detail"].get("line", "")
    assert (role in line) is (why != "no_line"), (
        "the line that decided is told to who reads the log"
    )


async def test_a_denial_in_another_tenant_is_in_the_log_of_ones_own(center: Center) -> None:
    await center.tenant("t2")
    person = await center.person(Role.MANAGER)
    assert (await person.get("/v1/customers", **{"Everline-Tenant": "t2"})).status == 403
    (entry,) = await entries(center, f"?actor={person.id}")
    assert (entry["decision"], entry["detail"]["in"]) == ("no_line", "t2")


@pytest.mark.parametrize("in_", ["t2", "no-such", "main"])
@pytest.mark.parametrize("does", ["signs out", "ends another session", "changes the password"])
async def test_what_somebody_does_to_their_sessions_is_in_the_log_of_their_own_tenant_alone(
    center: Center, in_: str, does: str
) -> None:
    """Else they keep it from their own auditor, and write into a log in which they have no part."""
    await center.tenant("t2")
    other = await center.administrator()
    admin = await center.administrator()
    claims = center.services.tokens.read(other.token, now_s=center.clock.now().wall_ms // 1000)
    method, path, body = {
        "signs out": ("DELETE", "/v1/sessions/current", None),
        "ends another session": ("DELETE", f"/v1/me/sessions/{claims.session}", None),
        "changes the password": (
            "POST",
            "/v1/me/password",
            {"current": PASSWORD, "new": "another password than that"},
        ),
    }[does]
    done = await admin.ask(method, path, body, {"Everline-Tenant": in_})
    assert done.status == 204, done.body
    action = "session:change_password" if body else "session:end"
    assert len(await entries(center, f"?actor={admin.id}&action={action}")) == 1
    async with center.services.database.read() as connection:
        tenants = select(AuditRow.tenant).where(AuditRow.action == action)
        assert (await connection.execute(tenants)).scalars().all() == ["main"]


async def test_nobody_learns_whether_another_tenant_has_a_policy_of_its_own(
    center: Center,
) -> None:
    await center.tenant("t2")
    own = policy.parse("p, role:manager, t2, queue, read, always, deny", tenant="t2")
    center.services.authz.set_tenant("t2", own)
    theirs, stranger = await center.person(tenant="t2"), await center.person(Role.MANAGER)

    async def told(who: Person, tenant: str) -> str:
        said = (await who.get("/v1/me", **{"Everline-Tenant": tenant})).json["policy"]
        return str(said)

    assert await told(stranger, "t2") == await told(stranger, "no-such")
    assert await told(theirs, "t2") == center.services.authz.policy_of("t2").version
    assert await told(theirs, "t2") != await told(stranger, "t2")


async def test_a_wrong_password_is_written_down(center: Center) -> None:
    said = {"tenant": "main", "login": "admin", "password": "not the right one"}
    assert (await center.ask("POST", "/v1/sessions", said)).status == 401
    (entry,) = await entries(center, "?decision=wrong_password")
    assert entry["action"] == "session:begin"


async def test_whoever_reads_the_log_stands_in_it(center: Center) -> None:
    auditor = await center.person(Role.AUDITOR)
    await auditor.get("/v1/audit")
    (entry,) = await entries(center, f"?actor={auditor.id}")
    assert entry["action"] == "audit:read"


async def test_pages_go_on_where_the_last_one_ended(center: Center) -> None:
    manager, who = await customer(center)
    for _ in range(5):
        await manager.get(f"/v1/customers/{who}")
    await center.services.journal.flush()
    auditor = await center.person(Role.AUDITOR)
    seen: list[str] = []
    after = ""
    while True:
        page = (await auditor.get(f"/v1/audit?limit=2&thing={who}{after}")).json
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&cursor={page['next']}"
    assert len(seen) == 6
    assert seen == sorted(set(seen), key=int, reverse=True)


async def test_addresses_are_shown_in_full_and_searched_by_only_with_a_purpose(
    center: Center,
) -> None:
    async with center.services.database.write() as connection:
        await connection.execute(text(
            "INSERT INTO audit (tenant, at_ms, actor, action, kind, thing, policy_version,"
            " request_id, site, origin, detail)"
            " VALUES ('main', 1, 'x', 'y:z', 'y', '', '', '', 'a', '198.51.100.7', '{}')"
        ))  # fmt: skip
    (short,) = await entries(center, "?action=y:z")
    (full,) = await entries(center, "?action=y:z&origin=198.51.100.7", **WHY)
    assert (short["origin"], full["origin"]) == ("198.51.0.0/16", "198.51.100.7")
    auditor = await center.person(Role.AUDITOR)
    assert (await auditor.get("/v1/audit?origin=198.51.100.7")).error_id == "not-searchable"
    assert masked("2001:db8:1:2::3") == "2001:db8::/32"


async def test_an_entry_is_proved_and_the_trail_of_a_thing_proves_itself(center: Center) -> None:
    manager, who = await customer(center)
    await manager.get(f"/v1/customers/{who}")
    await center.services.journal.flush()
    await keeping.seal_waiting(center.services)
    auditor = await center.person(Role.AUDITOR)
    (first, *_) = (await auditor.get(f"/v1/audit?thing={who}")).json["items"]
    shown = (await auditor.get(f"/v1/audit/{first['id']}")).json
    assert shown["entry"]["thing"] == who
    assert shown["checkpoint"].startswith("everline/audit\n")
    assert (await auditor.get(f"/v1/audit-trail?thing={who}")).status == 403
    trail = await auditor.get(f"/v1/audit-trail?thing={who}", **WHY)
    file = export.read(trail.body.splitlines())
    assert len(file.entries) == 2
    signer = center.services.ledger.signer
    assert signer is not None
    assert verify.verify(file, signer.keys, witnesses=0).is_good
    changed = export.read(trail.body.replace(who.encode(), b"cus_another").splitlines())
    assert not verify.verify(changed, signer.keys, witnesses=0).is_good


async def test_nobody_finds_the_entries_of_another_tenant(center: Center) -> None:
    _, who = await customer(center)
    await center.services.journal.flush()
    await center.tenant("t2")
    theirs = await center.person(Role.AUDITOR, tenant="t2")
    assert (await theirs.get(f"/v1/audit?thing={who}")).json["items"] == []
    assert (await theirs.get("/v1/audit/1")).status == 404


# ---- without the log -----------------------------------------------------------------------------


async def approved(center: Center) -> dict[str, str]:
    """Return what lets a manager export all customers."""
    second = await center.person(Role.MANAGER, team="second")
    said = {"act": "customer:export", "thing": "customers", "digest": "customers"}
    given = await second.post("/v1/approvals", said)
    return {**WHY, "Everline-Approval": str(given.json["id"])}


async def _no_key(center: Center) -> None:
    center.services.ledger._signer = None  # noqa: SLF001 - as without settings


async def _broken(center: Center) -> None:
    async with center.services.database.write() as connection:
        await connection.execute(text("DROP TABLE audit_checkpoints"))


async def _cut(center: Center) -> None:
    await keeping.seal_waiting(center.services)
    async with center.services.database.write() as connection:
        await connection.execute(text("DELETE FROM audit_checkpoints"))
        await connection.execute(text("DELETE FROM audit_tiles"))


@pytest.mark.parametrize("fault", [_no_key, _broken, _cut], ids=["no key", "broken", "cut"])
async def test_without_the_log_nothing_is_exported_and_the_pop_goes_on(
    center: Center,
    fault: Any,  # noqa: ANN401 - one of the above
) -> None:
    manager, who = await customer(center)
    headers = await approved(center)
    whole = center.services.ledger
    await fault(center)
    refused = await manager.post("/v1/customer-export", None, headers)
    assert (refused.status, refused.error_id) == (503, "audit-unavailable")
    popped = await manager.get("/v1/customers/by-number/+4930111222")
    assert popped.json["customers"][0]["id"] == who
    async with center.services.database.read() as connection:
        used = await connection.execute(text("SELECT used_ms FROM approvals"))
        assert used.scalars().all() == [None], "nothing was done, so it is still good"
    assert isinstance(whole, Ledger)


async def test_what_is_exported_is_under_a_signed_checkpoint_before_the_first_byte(
    center: Center,
) -> None:
    manager, _ = await customer(center)
    headers = await approved(center)
    given = await manager.post("/v1/customer-export", None, headers)
    assert given.status == 200
    async with center.services.database.read() as connection:
        kept = await connection.execute(
            text("SELECT place FROM audit WHERE action = 'customer:export'")
        )
        assert [each is not None for each in kept.scalars()] == [True]
    again = await manager.post("/v1/customer-export", None, headers)
    assert again.status == 403


async def test_many_who_look_at_once_wait_for_no_entry(center: Center) -> None:
    manager, who = await customer(center)
    await asyncio.gather(*(manager.get(f"/v1/customers/{who}") for _ in range(40)))
    found = await entries(center, f"?thing={who}&action=customer.basic:read_masked&limit=200")
    assert len(found) == 40


# ---- what is no text -----------------------------------------------------------------------------


async def test_a_purpose_that_is_no_text_is_refused_and_silences_nobodys_log(
    center: Center,
) -> None:
    manager, who = await customer(center)
    begin = f"GET /v1/customers/{who} HTTP/1.1"
    lines = (manager.token, "Everline-Purpose: ~")
    told = await said_to(center, head(*lines, begin=begin).replace(b"~", b"\xff"))
    assert told.startswith(b"HTTP/1.1 400 ")
    assert (await manager.get(f"/v1/customers/{who}", **WHY)).status == 200
    assert await entries(center, f"?actor={manager.id}&action=customer.basic:read_masked")


async def test_an_entry_that_cannot_be_written_keeps_no_other_out_of_the_log(
    center: Center,
) -> None:
    entry = Entry(
        tenant="main", at_ms=1, actor="usr_x", action="customer:search", kind="customer",
        thing="cus_1", policy_version="", request_id="one", site="a",
    )  # fmt: skip
    journal = Journal(center.services.database)
    journal.note(entry)
    journal.note(replace(entry, purpose="\udcff", request_id="two"))
    journal.note(replace(entry, request_id="three"))
    await journal.flush()
    assert journal.count == 0
    found = await entries(center, "?actor=usr_x")
    assert [each["request"] for each in found] == ["three", "one"]


@pytest.mark.parametrize("header", ["Everline-Approval", "Everline-Glass"])
async def test_an_approval_that_is_no_text_is_none(center: Center, header: str) -> None:
    sre = await center.person(Role.SRE)
    lines = (sre.token, f"{header}: apq_~", "Content-Length: 0", "Everline-Purpose: x")
    begin = "POST /v1/break-glass HTTP/1.1"
    told = await said_to(center, head(*lines, begin=begin).replace(b"~", b"\xff"))
    assert told.startswith(b"HTTP/1.1 403 ")
