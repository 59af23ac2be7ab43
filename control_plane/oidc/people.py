"""Who somebody at a provider is here: found, linked, or made at the first sign-in."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import ApiError
from control_plane.ids import fresh
from control_plane.oidc import store
from control_plane.oidc.claims import Person, roles_of
from control_plane.oidc.errors import REFUSED
from control_plane.oidc.schemas import ProviderBody
from control_plane.users import store as users


async def user_of(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> str:
    """Return the user's id, with the roles of the provider's groups. Raise `oidc-refused`.

    A user who has a password is linked to nobody by name: whoever chooses names at the provider
    would come by the account.
    """
    known = await store.linked(connection, tenant, provider.issuer, person.subject)
    if known is None:
        known = await store.unlinked(connection, tenant, provider.issuer, person.login)
        if known is not None and known.has_password:
            raise ApiError(REFUSED)
        if known is None:
            known = await _made(connection, tenant, provider, person, now_ms)
        made = store.Identity(
            tenant=tenant,
            issuer=provider.issuer,
            subject=person.subject,
            user_id=known.id,
            created_ms=now_ms,
        )
        await store.link(connection, made)
    if not known.is_active:
        raise ApiError(REFUSED)
    if provider.roles:
        roles = roles_of(provider, person.groups or frozenset())
        await users.set_roles(connection, known.id, tenant, roles)
    return known.id


async def _made(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> store.Known:
    if not (provider.creates_users and person.login):
        raise ApiError(REFUSED)
    user = users.User(
        id=fresh("usr", now_ms),
        tenant=tenant,
        login=person.login,
        name=person.name or person.login,
        agent="",
        employer="",
        team="",
        site="",
        is_active=True,
        created_ms=now_ms,
        updated_ms=now_ms,
        version=1,
    )
    await users.create(connection, user, None)
    return store.Known(id=user.id, is_active=True, has_password=False)
