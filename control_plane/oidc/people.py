"""Who somebody at a provider is here: found, linked, or made at the first sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.errors import ApiError
from control_plane.ids import fresh
from control_plane.oidc import store
from control_plane.oidc.claims import Person, roles_of
from control_plane.oidc.errors import REFUSED
from control_plane.oidc.schemas import ProviderBody
from control_plane.permissions import Role
from control_plane.users import store as users
from control_plane.users.service import is_beyond_tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Who has come, and what their coming has changed here."""

    user: str
    is_made: bool = False
    is_linked: bool = False
    """Nobody at the provider was this user before."""
    roles_before: tuple[Role, ...] = ()
    roles: tuple[Role, ...] = ()
    """As `roles_before`, where the provider's groups give none."""

    @property
    def detail(self) -> Mapping[str, object]:
        """Return what the audit log keeps of the change; nothing: there is none."""
        if self.is_made:
            return {"roles": self.roles}
        changed = ["identity"] if self.is_linked else []
        if self.roles == self.roles_before:
            return {"changed": changed} if changed else {}
        told = {"roles": self.roles, "roles_before": self.roles_before}
        return {"changed": [*changed, "roles"], **told}


async def user_of(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> Arrival:
    """Return the user, with the roles of the provider's groups. Raise `oidc-refused`.

    Of several first sign-ins at once, the later ones find what the first has made.
    """
    known = await store.linked(connection, tenant, provider.issuer, person.subject)
    if known is None:
        await store.hold(connection, tenant, person.login)
        known = await store.linked(connection, tenant, provider.issuer, person.subject)
    if known is None:
        known, arrival = await _first(connection, tenant, provider, person, now_ms)
    else:
        arrival = Arrival(user=known.id)
    if not await store.is_let_in(connection, known.id):
        raise ApiError(REFUSED)
    if not provider.roles:
        return arrival
    before = await users.hold_grants(connection, known.id, tenant)
    grants = _granted(provider, person, before)
    if grants != before:
        await users.regrant(connection, known.id, tenant, grants, now_ms)
    had = tuple(each.role for each in before)
    return replace(arrival, roles_before=had, roles=tuple(each.role for each in grants))


def _granted(
    provider: ProviderBody, person: Person, before: tuple[users.Granted, ...]
) -> tuple[users.Granted, ...]:
    """Return what somebody has by their groups now, and what they have by hand, in order.

    Of a grant from before that was told, the groups may have been the giver where they could give
    it: who has left a group must not keep what it gave.
    """
    given = frozenset(roles_of(provider, person.groups or frozenset()))
    mapped = {role for roles in provider.roles.values() for role in roles}
    by_hand = {
        each.role
        for each in before
        if each.by_hand or not (each.by_provider or each.role in mapped)
    }
    return tuple(
        users.Granted(role=role, by_hand=role in by_hand, by_provider=role in given)
        for role in sorted(by_hand | given)
    )


async def _first(
    connection: AsyncConnection, tenant: str, provider: ProviderBody, person: Person, now_ms: int
) -> tuple[store.Known, Arrival]:
    known = await store.unlinked(connection, tenant, provider.issuer, person.login)
    if known is not None and not await _may_link(connection, known):
        raise ApiError(REFUSED)
    is_made = known is None
    if known is None:
        try:
            known = await _made(connection, tenant, provider, person, now_ms)
        except ApiError:
            quicker = await store.linked(connection, tenant, provider.issuer, person.subject)
            if quicker is None:
                raise
            return quicker, Arrival(user=quicker.id)
    made = store.Identity(
        tenant=tenant,
        issuer=provider.issuer,
        subject=person.subject,
        user_id=known.id,
        created_ms=now_ms,
    )
    if not await store.link(connection, made):
        raise ApiError(REFUSED)
    return known, Arrival(user=known.id, is_made=is_made, is_linked=True)


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
    return store.Known(id=user.id, has_password=False)
