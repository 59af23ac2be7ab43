"""Users over the API: what is declared once holds for them, on both databases."""

from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from control_plane.api import paging
from control_plane.permissions import Role
from tests.control_plane.center import PASSWORD, Center

ANNA = {"login": "anna", "name": "Anna", "roles": ["role:agent"], "team": "t1", "site": "a"}


async def test_whoever_signs_in_is_told_who_they_are(center: Center) -> None:
    admin = await center.administrator()
    me = await admin.get("/v1/me")
    assert me.json["roles"] == ["role:sre", "role:tenant_admin"]
    assert me.json["policy"] == center.services.authz.policy_of("main").version


async def test_a_wrong_password_and_a_stranger_get_the_same_answer(center: Center) -> None:
    wrong = {"tenant": "main", "login": "admin", "password": "something else"}
    nobody = {"tenant": "main", "login": "nobody", "password": "something else"}
    replies = [await center.ask("POST", "/v1/sessions", said) for said in (wrong, nobody)]
    assert [reply.error_id for reply in replies] == ["sign-in-refused"] * 2
    first, second = (
        {k: v for k, v in reply.json.items() if k != "request_id"} for reply in replies
    )
    assert first == second


async def test_a_user_is_added_shown_changed_and_listed(center: Center) -> None:
    admin = await center.administrator()
    made = await admin.post("/v1/users", ANNA)
    assert (made.status, made.headers["ETag"]) == (201, '"1"')
    where = made.headers["Location"]
    shown = await admin.get(where)
    assert shown.json == made.json
    changed = await admin.ask("PATCH", where, {"team": "t2"}, {"If-Match": '"1"'})
    assert (changed.json["team"], changed.json["name"]) == ("t2", "Anna")
    assert changed.headers["ETag"] == '"2"'
    listed = await admin.get("/v1/users?team=t2&role=role:agent")
    assert [each["login"] for each in listed.json["items"]] == ["anna"]


async def test_an_etag_that_was_read_spares_the_body(center: Center) -> None:
    admin = await center.administrator()
    where = (await admin.post("/v1/users", ANNA)).headers["Location"]
    again = await admin.ask("GET", where, headers={"If-None-Match": '"1"'})
    assert (again.status, again.body) == (304, b"")


async def test_a_change_without_if_match_is_refused(center: Center) -> None:
    admin = await center.administrator()
    where = (await admin.post("/v1/users", ANNA)).headers["Location"]
    assert (await admin.ask("PATCH", where, {"team": "x"})).error_id == "version-needed"


async def test_of_two_changes_of_one_version_exactly_one_is_made(center: Center) -> None:
    admin = await center.administrator()
    where = (await admin.post("/v1/users", ANNA)).headers["Location"]
    replies = await asyncio.gather(
        *(admin.ask("PATCH", where, {"team": f"t{n}"}, {"If-Match": '"1"'}) for n in range(5))
    )
    assert sorted(reply.status for reply in replies) == [200, 412, 412, 412, 412]


async def test_a_creation_that_comes_again_is_done_once(center: Center) -> None:
    admin = await center.administrator()
    key = {"Idempotency-Key": "one"}
    replies = await asyncio.gather(*(admin.post("/v1/users", ANNA, key) for _ in range(5)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    assert sum("Idempotent-Replayed" not in reply.headers for reply in replies) == 1
    other = await admin.post("/v1/users", ANNA | {"login": "b"}, key)
    assert other.error_id == "idempotency-key-reused"


async def test_another_persons_key_is_another_key(center: Center) -> None:
    admin = await center.administrator()
    second = await center.person(Role.TENANT_ADMIN)
    key = {"Idempotency-Key": "one"}
    assert (await admin.post("/v1/users", ANNA, key)).status == 201
    assert (await second.post("/v1/users", ANNA, key)).error_id == "login-taken"


async def test_a_refused_creation_leaves_its_key_free(center: Center) -> None:
    admin = await center.administrator()
    key = {"Idempotency-Key": "one"}
    await admin.post("/v1/users", ANNA)
    assert (await admin.post("/v1/users", ANNA, key)).error_id == "login-taken"
    assert (await admin.post("/v1/users", ANNA | {"login": "b"}, key)).status == 201


async def test_pages_show_everybody_once_in_every_order(center: Center) -> None:
    admin = await center.administrator()
    for number in range(7):
        # Names that tie, so that the id has to break the tie.
        await center.person(Role.AGENT, name=f"Name {number % 2}", login=f"l{number}")
    for sort in ("name", "-name", "login", "-login", "created", "-created"):
        seen: list[str] = []
        after = ""
        while True:
            page = (await admin.get(f"/v1/users?limit=3&sort={sort}{after}")).json
            seen += [each["id"] for each in page["items"]]
            if page["next"] is None:
                break
            after = f"&cursor={page['next']}"
        assert len(seen) == len(set(seen)) == 8, sort


async def test_a_cursor_of_another_order_or_of_nothing_is_refused(center: Center) -> None:
    admin = await center.administrator()
    await center.person()
    page = (await admin.get("/v1/users?limit=1&sort=name")).json
    for cursor in (f"{page['next']}&sort=-name", "AAAA", "%00", "x" * 999):
        reply = await admin.get(f"/v1/users?limit=1&cursor={cursor}")
        assert reply.status in (400, 422), cursor


async def test_a_cursor_tells_nothing_of_who_may_not_be_seen(center: Center) -> None:
    supervisor = await center.person(Role.SUPERVISOR, team="north", site="a")
    await center.person(Role.MANAGER, team="south", site="b", name="Zoe Hidden")
    for name in ("Amy", "Zora"):
        await center.person(Role.AGENT, team="north", site="a", name=name)
    page = (await supervisor.get("/v1/users?limit=1&sort=-name")).json
    assert [each["name"] for each in page["items"]] == ["Zora"]
    told = base64.urlsafe_b64decode(page["next"] + "==")
    assert not any(name in told for name in (b"Zoe", b"Zora"))


@pytest.mark.parametrize("value", [5, 10**30, "x", "a\0", None])
async def test_nobody_makes_a_cursor(center: Center, value: object) -> None:
    admin = await center.administrator()
    made = msgspec.json.encode(["name", value, "usr_test1"])
    paging.SEAL.set(paging.Seal(bytes(32), "users_list_all/main"))
    for cursor in (
        base64.urlsafe_b64encode(made).rstrip(b"=").decode(),
        paging.encode(paging.Cursor("name", "x", "usr_test1")),
    ):
        reply = await admin.get(f"/v1/users?cursor={cursor}")
        assert (reply.status, reply.error_id) == (400, "cursor-invalid")


async def test_a_cursor_of_another_listing_is_none(center: Center) -> None:
    admin = await center.administrator()
    await center.person(Role.MANAGER)
    after = (await admin.get("/v1/users?limit=1&sort=name")).json["next"]
    reply = await admin.get(f"/v1/service-tokens?sort=name&cursor={after}")
    assert (reply.status, reply.error_id) == (400, "cursor-invalid")


async def test_a_cursor_of_another_tenant_is_none(center: Center) -> None:
    await center.tenant("other")
    there = await center.person(Role.TENANT_ADMIN, tenant="other")
    await center.person(tenant="other")
    after = (await there.get("/v1/users?limit=1")).json["next"]
    admin = await center.administrator()
    reply = await admin.get(f"/v1/users?cursor={after}")
    assert (reply.status, reply.error_id) == (400, "cursor-invalid")


async def test_another_tenants_user_looks_like_one_who_does_not_exist(center: Center) -> None:
    await center.tenant("other")
    foreign = await center.person(Role.AGENT, tenant="other")
    admin = await center.administrator()
    for method, body in (("GET", None), ("PATCH", {"team": "x"})):
        replies = [
            await admin.ask(method, f"/v1/users/{user}", body, {"If-Match": '"1"'})
            for user in (foreign.id, "usr_nobody", "no%20id")
        ]
        said = [{k: v for k, v in each.json.items() if k != "request_id"} for each in replies]
        assert [each.status for each in replies] == [404] * 3
        assert said[0] == said[1] == said[2]


async def test_a_role_in_one_tenant_is_none_in_another(center: Center) -> None:
    await center.tenant("other")
    person = await center.person(Role.TENANT_ADMIN, tenant="other")
    reply = await person.ask("GET", "/v1/users", headers={"Everline-Tenant": "main"})
    assert reply.error_id == "forbidden"
    nowhere = await person.ask("GET", "/v1/users", headers={"Everline-Tenant": "no-such"})
    assert {k: v for k, v in reply.json.items() if k != "request_id"} == {
        k: v for k, v in nowhere.json.items() if k != "request_id"
    }


async def test_supervisors_see_their_own_team_at_their_own_site_only(center: Center) -> None:
    lead = await center.person(Role.SUPERVISOR, team="t1", site="a")
    mine = await center.person(Role.AGENT, team="t1", site="a")
    others = [
        await center.person(Role.AGENT, team="t2", site="a"),
        await center.person(Role.AGENT, team="t1", site="b"),
    ]
    listed = (await lead.get("/v1/users")).json["items"]
    assert {each["id"] for each in listed} == {lead.id, mine.id}
    assert (await lead.get(f"/v1/users/{mine.id}")).status == 200
    for other in others:
        assert (await lead.get(f"/v1/users/{other.id}")).error_id == "not-found"


async def test_an_agent_may_not_even_ask_about_users(center: Center) -> None:
    agent = await center.person(Role.AGENT)
    for method, path in (("GET", "/v1/users"), ("GET", f"/v1/users/{agent.id}")):
        reply = await agent.ask(method, path)
        assert reply.error_id == "forbidden"
        assert "decision" not in reply.json, "the reason is for those who may read the policy"


async def test_a_reason_is_told_to_those_who_may_read_the_policy(center: Center) -> None:
    auditor = await center.person(Role.AUDITOR)
    reply = await auditor.get("/v1/users")
    assert reply.json["decision"]["why"] == "no_line"
    assert reply.json["decision"]["policy"]


async def test_a_tenants_administrator_gives_away_no_role_over_the_machinery(
    center: Center,
) -> None:
    person = await center.person(Role.TENANT_ADMIN)
    for role in ("role:sre", "role:break_glass"):
        reply = await person.post("/v1/users", ANNA | {"roles": [role]})
        assert reply.error_id == "grant-too-high"


async def test_nobody_comes_by_more_rights_by_setting_the_password_of_who_has_them(
    center: Center,
) -> None:
    admin, root = await center.person(Role.TENANT_ADMIN), await center.administrator()
    peer, sre = await center.person(Role.TENANT_ADMIN), await center.person(Role.SRE)
    new = {"password": "somebody else knows it"}
    for somebody, status in ((peer, 200), (sre, 403), (root, 403)):
        reply = await admin.ask("PATCH", f"/v1/users/{somebody.id}", new, {"If-Match": '"1"'})
        assert reply.status == status, somebody.id
        if status == 403:
            assert reply.error_id == "grant-too-high"
    reply = await root.ask("PATCH", f"/v1/users/{sre.id}", new, {"If-Match": '"1"'})
    assert reply.status == 200, "who runs the center may"
    assert (await root.get("/v1/me")).status == 200, "nobody has thrown out the administrator"


async def test_disabling_a_user_takes_effect_within_five_seconds(center: Center) -> None:
    admin = await center.administrator()
    person = await center.person(Role.MANAGER)
    assert (await person.get("/v1/me")).status == 200
    path = f"/v1/users/{person.id}"
    reply = await admin.ask("PATCH", path, {"is_active": False}, {"If-Match": '"1"'})
    assert reply.json["is_active"] is False
    center.clock.advance(5.0)
    assert (await person.get("/v1/me")).error_id == "sign-in-needed"


async def test_a_password_that_is_set_signs_in(center: Center) -> None:
    admin = await center.administrator()
    made = await admin.post("/v1/users", ANNA | {"password": PASSWORD + "2"})
    assert b"password" not in made.body
    said = {"tenant": "main", "login": "anna", "password": PASSWORD + "2"}
    assert (await center.ask("POST", "/v1/sessions", said)).status == 201


async def test_the_log_tells_which_roles_somebody_got_and_what_else_decisions_go_by(
    center: Center,
) -> None:
    admin = await center.administrator()
    where = (await admin.post("/v1/users", ANNA)).headers["Location"]
    change = {"roles": ["role:manager"], "team": "t9", "name": "Bea", "is_active": False}
    assert (await admin.ask("PATCH", where, change, {"If-Match": '"1"'})).status == 200
    auditor = await center.person(Role.AUDITOR)
    (entry,) = (await auditor.get("/v1/audit?action=user:update")).json["items"]
    assert entry["detail"] == {
        "changed": ["is_active", "name", "roles", "team"],
        "roles": ["role:manager"],
        "roles_before": ["role:agent"],
        "team": "t9",
        "is_active": False,
    }
