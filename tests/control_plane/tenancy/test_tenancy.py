"""Tenants and their settings, teams, and the traffic that sites share."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from control_plane.api.tables import AnswerRow
from control_plane.calls import store as calls
from control_plane.calls.store import PastCall
from control_plane.permissions import Role
from control_plane.tenancy import sweeper
from control_plane.tenancy.sweeper import sweep
from state.model import CallId, CallRecord, DidNumber, EdgeId, Outcome, QueueId, SiteId
from tests.control_plane.center import PASSWORD, Center, Person

FIRST = {"If-Match": '"1"'}
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
T2 = {
    "id": "t2",
    "name": "Second",
    "administrator": {"login": "ada", "name": "Ada", "password": PASSWORD},
}


async def test_a_tenant_is_made_with_its_administrator_who_signs_in(center: Center) -> None:
    admin = await center.administrator()
    made = await admin.post("/v1/tenants", T2)
    assert (made.status, made.json["id"]) == (201, "t2")
    assert PASSWORD not in made.body.decode()
    said = {"tenant": "t2", "login": "ada", "password": PASSWORD}
    session = (await center.ask("POST", "/v1/sessions", said)).json
    ada = Person(center, session["user"], session["access_token"])
    assert (await ada.get("/v1/tenant")).json["name"] == "Second"
    draft = {"login": "x", "name": "X", "roles": ["role:manager"]}
    assert (await ada.post("/v1/users", draft)).json["tenant"] == "t2"
    listed = (await admin.get("/v1/tenants")).json["items"]
    assert [each["id"] for each in listed] == ["main", "t2"]
    again = await admin.post("/v1/tenants", T2)
    assert (again.status, again.error_id) == (409, "tenant-taken")


async def test_only_who_runs_the_center_makes_and_lists_tenants(center: Center) -> None:
    admin = await center.administrator()
    await admin.post("/v1/tenants", T2)
    for roles, tenant in (
        ((Role.TENANT_ADMIN,), "main"), ((Role.TENANT_ADMIN,), "t2"), ((Role.MANAGER,), "main"),
    ):  # fmt: skip
        person = await center.person(*roles, tenant=tenant)
        assert (await person.get("/v1/tenants")).status == 403
        assert (await person.post("/v1/tenants", T2 | {"id": "t3"})).status == 403
    elsewhere = {"Everline-Tenant": "t2"}
    assert (await admin.get("/v1/tenants", **elsewhere)).status == 404
    assert (await admin.post("/v1/tenants", T2 | {"id": "t3"}, elsewhere)).status == 404


@pytest.mark.parametrize("identifier", ["T2", "t.2", "2t", "x", "main.x", "a" * 40])
async def test_an_id_that_could_be_taken_for_another_is_refused(
    center: Center, identifier: str
) -> None:
    admin = await center.administrator()
    assert (await admin.post("/v1/tenants", T2 | {"id": identifier})).status == 422


async def test_settings_are_changed_by_the_own_administrators(center: Center) -> None:
    admin = await center.administrator()
    at = await admin.get("/v1/tenant")
    tag = {"If-Match": at.headers["ETag"]}
    changed = await admin.ask("PATCH", "/v1/tenant", {"call_retention_days": 90}, tag)
    assert changed.json["call_retention_days"] == 90
    assert (await admin.ask("PATCH", "/v1/tenant", {"name": "x"}, tag)).status == 412
    manager = await center.person(Role.MANAGER)
    assert (await manager.get("/v1/tenant")).status == 403


def past(number: int, tenant: str, ended_ms: int) -> PastCall:
    call = CallId(f"{number:024x}")
    record = CallRecord(
        call=call, did=DidNumber("1"), queue=QueueId("q"), outcome=Outcome.ABANDONED, cause="c",
        edge=EdgeId("a1"), site=SiteId("a"), via=SiteId("a"), sip_call_id="s",
        arrived_ms=ended_ms, queued_ms=None, connected_ms=None, ended_ms=ended_ms,
    )  # fmt: skip
    return PastCall(
        id=call, tenant=tenant, did="1", queue="q", site="a", agent="", agent_site="", team="",
        employer="", caller="", outcome="abandoned", arrived_ms=ended_ms, ended_ms=ended_ms,
        revision=number, record=record,
    )  # fmt: skip


async def test_calls_that_a_tenant_keeps_no_longer_are_deleted(center: Center) -> None:
    await center.tenant("t2")
    admin, now = await center.administrator(), center.clock.now().wall_ms
    tag = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
    await admin.ask("PATCH", "/v1/tenant", {"call_retention_days": 2}, tag)
    async with center.services.database.write() as connection:
        # By the clock that looks; the one that said when the call ended may be ten minutes slower.
        old, young = now - 49 * HOUR_MS, now - 48 * HOUR_MS - 10 * MINUTE_MS
        some = (past(1, "main", old), past(2, "main", young), past(3, "t2", old))
        await calls.carry(connection, some)
    assert await sweep(center.services) == 1
    for tenant, left in (("main", [2]), ("t2", [3])):
        manager = await center.person(Role.MANAGER, tenant=tenant)
        items = (await manager.get("/v1/calls")).json["items"]
        assert [int(each["id"], 16) for each in items] == left


async def test_calls_of_years_are_deleted_some_at_a_time(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement may take long: what is cut off is taken back, and all of it stays."""
    admin, now = await center.administrator(), center.clock.now().wall_ms
    tag = {"If-Match": (await admin.get("/v1/tenant")).headers["ETag"]}
    await admin.ask("PATCH", "/v1/tenant", {"call_retention_days": 2}, tag)
    async with center.services.database.write() as connection:
        old = (past(number, "main", now - (49 + number) * HOUR_MS) for number in range(1, 6))
        await calls.carry(connection, (*old, past(6, "main", now)))
    dropping, dropped = calls.drop_older, list[int]()

    async def drop(*words: Any, **more: Any) -> int:  # noqa: ANN401 - whatever it takes
        dropped.append(await dropping(*words, **more))
        return dropped[-1]

    monkeypatch.setattr(calls, "drop_older", drop)
    monkeypatch.setattr(sweeper, "AT_ONCE", 2, raising=False)
    assert await sweep(center.services) == 5
    assert dropped == [2, 2, 1]
    items = (await (await center.person(Role.MANAGER)).get("/v1/calls")).json["items"]
    assert [int(each["id"], 16) for each in items] == [6]


async def test_answers_kept_for_a_repeated_request_are_deleted_after_their_day(
    center: Center,
) -> None:
    admin = await center.administrator()
    draft = {"login": "x", "name": "X", "roles": []}
    assert (await admin.post("/v1/users", draft, {"Idempotency-Key": "k"})).status == 201

    async def kept() -> int:
        await sweep(center.services)
        async with center.services.database.read() as connection:
            return len((await connection.execute(select(AnswerRow.key))).all())

    center.clock.advance(24 * 3600 - 1)
    assert await kept() == 1
    center.clock.advance(1)
    assert await kept() == 0


# ---- teams ---------------------------------------------------------------------------------------


async def furnish(center: Center) -> Person:
    """Let there be sites, and agents of two teams."""
    await center.tenant("t2")
    manager = await center.person(Role.MANAGER, Role.SRE)
    for site in ("a", "b"):
        sent: dict[str, Any] = {"id": site, "name": site, "sip": "198.18.1.10:5060"}
        made = await manager.post("/v1/sites", sent)
        assert made.status == 201, made.body
    for agent, team in (("ann", "north"), ("ben", "south")):
        sent = {
            "id": agent, "name": agent.title(), "site": "a", "skills": {}, "team": team,
            "password": PASSWORD,
        }  # fmt: skip
        made = await manager.post("/v1/agents", sent)
        assert made.status == 201, made.body
    return manager


async def test_a_team_tells_its_members_to_who_may_see_them(center: Center) -> None:
    manager = await furnish(center)
    made = await manager.post("/v1/teams", {"id": "north", "name": "North", "site": "a"})
    assert made.status == 201, made.body
    assert [each["id"] for each in made.json["findings"]] == ["ben"], "whose team is not there"
    boss = await center.person(Role.SUPERVISOR, team="north", site="a", name="Boss")
    other = await center.person(Role.SUPERVISOR, team="south", site="a")
    for person in (manager, boss):
        told = (await person.get("/v1/teams/north/members")).json
        assert [each["id"] for each in told["agents"]] == ["ann"]
        assert [each["name"] for each in told["users"]] == ["Boss"]
    assert (await other.get("/v1/teams/north")).status == 404
    assert (await other.get("/v1/teams/north/members")).status == 404
    assert (await boss.ask("DELETE", "/v1/teams/north", None, {"If-Match": '"1"'})).status == 403
    foreign = await center.person(Role.MANAGER, tenant="t2")
    assert (await foreign.get("/v1/teams/north/members")).status == 404


# ---- traffic -------------------------------------------------------------------------------------


async def test_a_sites_calls_are_shared_in_percent(center: Center) -> None:
    manager = await furnish(center)
    seen = {"If-Match": (await manager.get("/v1/sites/a")).headers["ETag"]}
    shares = {"shares": {"a": 63, "b": 37}}
    shared = await manager.ask("PUT", "/v1/sites/a/traffic", shares, seen)
    assert shared.status == 200, shared.body
    site = await manager.get("/v1/sites/a")
    assert (site.json["shares"], site.headers["ETag"]) == (shares["shares"], shared.headers["ETag"])
    late = await manager.ask("PUT", "/v1/sites/a/traffic", {"shares": {}}, seen)
    assert late.error_id == "version-mismatch"
    now = {"If-Match": shared.headers["ETag"]}
    alone = await manager.ask("PUT", "/v1/sites/a/traffic", {"shares": {}}, now)
    assert (alone.status, (await manager.get("/v1/sites/a")).json["shares"]) == (200, {})


@pytest.mark.parametrize(
    "shares", [{"a": 50, "b": 49}, {"a": 101}, {"a": 100, "b": 0}, {"a": 50.5, "b": 49.5}]
)
async def test_shares_are_whole_percents_of_the_whole(
    center: Center, shares: dict[str, float]
) -> None:
    manager = await furnish(center)
    sent = await manager.ask("PUT", "/v1/sites/a/traffic", {"shares": shares}, FIRST)
    assert (sent.status, sent.error_id) == (422, "invalid")


async def test_traffic_is_shared_with_sites_that_exist_by_who_may(center: Center) -> None:
    sre = await furnish(center)
    refused = await sre.ask("PUT", "/v1/sites/a/traffic", {"shares": {"a": 50, "z": 50}}, FIRST)
    assert (refused.status, refused.error_id) == (422, "configuration-broken")
    manager = await center.person(Role.MANAGER)
    mine = await manager.ask("PUT", "/v1/sites/a/traffic", {"shares": {}}, FIRST)
    assert mine.status == 403
    foreign = await center.person(Role.SRE, tenant="t2")
    theirs = await foreign.ask("PUT", "/v1/sites/a/traffic", {"shares": {}}, FIRST)
    assert theirs.status == 404
