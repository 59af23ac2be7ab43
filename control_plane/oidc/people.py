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
from control_plane.users.service import is_beyond_tenant


async def user_of(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> str:
    """Return the user's id, with the roles of the provider's groups. Raise `oidc-refused`.

    Of several first sign-ins at once, the later ones find what the first has made.
    """
    known = await store.linked(connection, tenant, provider.issuer, person.subject)
    if known is None:
        await store.hold(connection, tenant, person.login)
        known = await store.linked(connection, tenant, provider.issuer, person.subject)
    if known is None:
        known = await _first(connection, tenant, provider, person, now_ms)
    if not known.is_active:
        raise ApiError(REFUSED)
    if provider.roles:
        roles = roles_of(provider, person.groups or frozenset())
        await users.set_roles(connection, known.id, tenant, roles)
    return known.id


async def _first(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> store.Known:
    known = await store.unlinked(connection, tenant, provider.issuer, person.login)
    if known is not None and not await _may_link(connection, known):
        raise ApiError(REFUSED)
    if known is None:
        try:
            known = await _made(connection, tenant, provider, person, now_ms)
        except ApiError:
            quicker = await store.linked(connection, tenant, provider.issuer, person.subject)
            if quicker is None:
                raise
            return quicker
    made = store.Identity(
        tenant=tenant,
        issuer=provider.issuer,
        subject=person.subject,
        user_id=known.id,
        created_ms=now_ms,
    )
    if not await store.link(connection, made):
        raise ApiError(REFUSED)
    return known


async def _may_link(connection: AsyncConnection, known: store.Known) -> bool:
    """Tell whether a user may be linked by their login alone.

    The tenant's administrator says which claim that is, and the provider what it says: whoever
    chooses them comes by the account. So none that has a password, and none that may do more than
    that administrator could grant.
    """
    subject = await users.load_subject(connection, known.id)
    return subject is not None and not known.has_password and not is_beyond_tenant(subject)


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
