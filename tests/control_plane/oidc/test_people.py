"""Who somebody at a provider is here, of whatever provider: without one that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import ApiError
from control_plane.oidc import people, store
from control_plane.oidc.claims import Person
from control_plane.oidc.schemas import ProviderBody
from control_plane.oidc.tables import IdentityRow
from control_plane.permissions import Role
from control_plane.subjects import ANY_TENANT
from control_plane.users.tables import GrantRow, UserRow
from tests.control_plane.center import Center, running, settings

PROVIDER = ProviderBody(
    issuer="https://idp.example", client_id="us", redirect_uris=("https://desk.example/back",)
)
ADA = Person(subject="248", login="ada", name="Ada L.", groups=None)


async def _comes(center: Center, who: Person = ADA, provider: ProviderBody = PROVIDER) -> str:
    now_ms = center.clock.now().wall_ms
    async with center.services.database.write() as connection:
        return (await people.user_of(connection, "main", provider, who, now_ms)).user


async def _linked(center: Center) -> list[tuple[str, str]]:
    async with center.services.database.read() as connection:
        rows = await connection.execute(select(IdentityRow.subject, IdentityRow.user_id))
        return [(row.subject, row.user_id) for row in rows]


async def test_a_user_of_the_tenant_is_linked_by_the_providers_word(center: Center) -> None:
    ada = await center.person(Role.MANAGER, Role.TENANT_ADMIN, login="ada")
    assert await _comes(center) == ada.id
    assert await _linked(center) == [("248", ada.id)]


@pytest.mark.parametrize(
    ("role", "where"),
    [
        (Role.SRE, "main"),
        (Role.BREAK_GLASS, "main"),
        (Role.SRE, ANY_TENANT),
        (Role.AUDITOR, ANY_TENANT),
        (Role.AGENT, "other"),
    ],
)
async def test_who_may_do_more_than_a_tenant_can_grant_is_linked_by_no_providers_word(
    center: Center, role: Role, where: str
) -> None:
    """A tenant's administrator says which claim is the login, and so who comes by which account."""
    await center.tenant("other")
    ada = await center.person(Role.MANAGER, login="ada")
    async with center.services.database.write() as connection:
        values = {"user_id": ada.id, "role": role.value, "tenant": where}
        await connection.execute(insert(GrantRow).values(**values))
    with pytest.raises(ApiError) as refused:
        await _comes(center)
    assert refused.value.problem.error_id == "oidc-refused"
    assert await _linked(center) == []


@pytest.mark.parametrize(("is_there", "after"), [(True, 1), (True, 2), (False, 1), (False, 2)])
async def test_of_two_first_sign_ins_at_once_both_are_the_same_user(
    center: Center, monkeypatch: pytest.MonkeyPatch, *, is_there: bool, after: int
) -> None:
    """`after` so many looks that found nobody, the other one is through."""
    if is_there:
        await center.person(login="ada")
    provider = PROVIDER.model_copy(update={"creates_users": True})
    look, looks, quicker = store.linked, 0, []

    async def overtaken(
        connection: AsyncConnection, tenant: str, issuer: str, subject: str
    ) -> store.Known | None:
        nonlocal looks
        looks += 1
        found = await look(connection, tenant, issuer, subject)
        if looks == after:
            quicker.append((await people.user_of(connection, tenant, provider, ADA, 1)).user)
        return found

    monkeypatch.setattr(store, "linked", overtaken)
    user = await _comes(center, provider=provider)
    assert quicker == [user]
    assert await _linked(center) == [("248", user)]


async def test_who_is_disabled_while_they_sign_in_is_not_let_in(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their sessions have been ended by then, and this one would stand when they come back."""
    ada = await center.person(login="ada")
    await _comes(center)
    look = store.linked

    async def overtaken(
        connection: AsyncConnection, tenant: str, issuer: str, subject: str
    ) -> store.Known | None:
        found = await look(connection, tenant, issuer, subject)
        disabled = update(UserRow).where(UserRow.id == ada.id).values(is_active=False)
        await connection.execute(disabled)
        return found

    monkeypatch.setattr(store, "linked", overtaken)
    with pytest.raises(ApiError) as refused:
        await _comes(center)
    assert refused.value.problem.error_id == "oidc-refused"


async def test_a_login_that_somebody_else_at_the_provider_has_is_taken(center: Center) -> None:
    await center.person(login="ada")
    await _comes(center)
    provider = PROVIDER.model_copy(update={"creates_users": True})
    with pytest.raises(ApiError) as refused:
        await _comes(center, Person(subject="249", login="ada", name="", groups=None), provider)
    assert refused.value.problem.error_id == "login-taken"


MAPPING = PROVIDER.model_copy(
    update={"roles": {"staff": (Role.AGENT,), "leads": (Role.MANAGER, Role.AGENT)}}
)


def _of(*groups: str) -> Person:
    return Person(subject="248", login="ada", name="Ada L.", groups=frozenset(groups))


async def _roles(center: Center, user: str) -> dict[str, list[str]]:
    told = (await (await center.administrator()).get(f"/v1/users/{user}")).json
    return {name: told[name] for name in ("roles", "provider_roles")}


async def _gives(center: Center, user: str, *roles: Role) -> None:
    admin, path = await center.administrator(), f"/v1/users/{user}"
    version = {"If-Match": (await admin.get(path)).headers["ETag"]}
    done = await admin.ask("PATCH", path, {"roles": [each.value for each in roles]}, version)
    assert done.status == 200, done.body


@pytest.mark.parametrize("role", [Role.SRE, Role.QUALITY, Role.MANAGER])
async def test_a_role_given_by_hand_stays_whatever_the_provider_s_groups_give(
    center: Center, role: Role
) -> None:
    await center.person(login="ada")
    ada = await _comes(center, _of("staff"), MAPPING)
    await _gives(center, ada, Role.AGENT, role)
    assert await _comes(center, _of("staff"), MAPPING) == ada
    told = {"roles": sorted([Role.AGENT, role]), "provider_roles": [Role.AGENT]}
    assert await _roles(center, ada) == told
    await _comes(center, _of(), MAPPING)
    assert await _roles(center, ada) == {"roles": [role], "provider_roles": []}


async def test_a_role_given_by_hand_and_by_groups_stays_until_both_have_taken_it(
    center: Center,
) -> None:
    ada = (await center.person(Role.MANAGER, login="ada")).id
    await _comes(center, _of("leads"), MAPPING)
    both = {"roles": [Role.AGENT, Role.MANAGER], "provider_roles": [Role.AGENT]}
    assert await _roles(center, ada) == both
    await _comes(center, _of("staff"), MAPPING)
    assert await _roles(center, ada) == both
    await _gives(center, ada, Role.AGENT)
    await _comes(center, _of(), MAPPING)
    assert await _roles(center, ada) == {"roles": [], "provider_roles": []}


async def test_whoever_saves_a_user_as_they_were_read_grants_nothing_by_hand(
    center: Center,
) -> None:
    await center.person(login="ada")
    ada = await _comes(center, _of("leads"), MAPPING)
    await _gives(center, ada, Role.AGENT, Role.MANAGER)
    await _comes(center, _of("staff"), MAPPING)
    assert await _roles(center, ada) == {"roles": [Role.AGENT], "provider_roles": [Role.AGENT]}


async def test_of_roles_from_before_it_was_told_those_that_groups_can_give_are_theirs(
    center: Center,
) -> None:
    """Who has left a group must not keep what it gave; what no group can give was given by hand."""
    ada = (await center.person(login="ada")).id
    await _comes(center)
    async with center.services.database.write() as connection:
        for role in (Role.MANAGER, Role.SRE):
            values = {"user_id": ada, "role": role.value, "tenant": "main"}
            await connection.execute(insert(GrantRow).values(**values))
    told = {"roles": [Role.MANAGER, Role.SRE], "provider_roles": []}
    assert await _roles(center, ada) == told
    await _comes(center, _of("staff"), MAPPING)
    told = {"roles": [Role.AGENT, Role.SRE], "provider_roles": [Role.AGENT]}
    assert await _roles(center, ada) == told
    wider = MAPPING.model_copy(update={"roles": {**MAPPING.roles, "ops": (Role.SRE,)}})
    await _comes(center, _of("staff"), wider)
    assert await _roles(center, ada) == told


async def test_the_log_tells_which_roles_a_provider_s_groups_give(
    tmp_path: Path, begun_file: str
) -> None:
    issuer = "https://id.example.org"
    async with running(settings(tmp_path, begun_file, oidc_issuers=(issuer,))) as center:
        admin = await center.administrator()
        body = {
            "issuer": issuer, "client_id": "everline", "redirect_uris": ["https://c.example/in"],
            "roles": {"staff": ["role:agent"], "heads": ["role:manager", "role:agent"]},
            "creates_users": True,
        }  # fmt: skip
        put = await admin.ask("PUT", "/v1/identity-provider", body, {"If-Match": '"0"'})
        assert put.status == 200, put.body
        auditor = await center.person(Role.AUDITOR)
        found = (await auditor.get("/v1/audit?kind=identity_provider")).json["items"]
        assert [each["detail"] for each in found] == [
            {
                "issuer": issuer,
                "is_enabled": True,
                "client_id": "everline",
                "creates_users": True,
                "roles": {"heads": ["role:agent", "role:manager"], "staff": ["role:agent"]},
            }
        ]
