"""What may be done with users, beyond what rows can say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from control_plane.api.ask import Ask
from control_plane.api.model import instant
from control_plane.errors import VERSION_MISMATCH, ApiError, not_found
from control_plane.permissions import Role
from control_plane.subjects import ANY_TENANT, Subject, Thing
from control_plane.users.errors import GRANT_TOO_HIGH
from control_plane.users.schemas import UserView
from control_plane.users.store import User, find

GRANTED_BY_PLATFORM = frozenset({Role.SRE, Role.BREAK_GLASS})
"""Roles over the machinery that all tenants share: no tenant gives them away."""


async def load(ask: Ask[Any, Any, Any], user: str) -> User:
    """Return one of the tenant's users. Raise `not-found`."""
    found = await find(ask.db, ask.tenant, user)
    if found is None:
        raise not_found()
    return found


def thing(user: User) -> Thing:
    """Return what the policy is asked about."""
    return Thing(
        kind="user",
        tenant=user.tenant,
        id=user.id,
        agent=user.agent,
        team=user.team,
        site=user.site,
        employer=user.employer,
        digest=str(user.version),
    )


def view(user: User) -> UserView:
    """Return what is told of `user`."""
    return UserView(
        id=user.id,
        tenant=user.tenant,
        login=user.login,
        name=user.name,
        roles=tuple(role.value for role in user.roles),
        provider_roles=tuple(role.value for role in user.provider_roles),
        agent=user.agent,
        employer=user.employer,
        team=user.team,
        site=user.site,
        is_active=user.is_active,
        created=instant(user.created_ms),
        updated=instant(user.updated_ms),
    )


def check_grant(granter: Subject, roles: Iterable[Role]) -> None:
    """Raise `grant-too-high` for a role that a tenant's own administrators cannot give."""
    if any(grant.tenant == ANY_TENANT for grant in granter.grants):
        return
    if GRANTED_BY_PLATFORM.intersection(roles):
        raise ApiError(GRANT_TOO_HIGH)


def check_takes(taker: Subject, user: Subject) -> None:
    """Raise `grant-too-high` if `taker` could not grant what `user` may do.

    Whoever sets somebody's password can sign in as them, and may do all that they may.
    """
    is_of_platform = any(grant.tenant == ANY_TENANT for grant in taker.grants)
    if is_beyond_tenant(user) and not is_of_platform:
        raise ApiError(GRANT_TOO_HIGH)


def is_beyond_tenant(user: Subject) -> bool:
    """Tell whether `user` may do what the own tenant's administrators could not grant."""
    return any(
        grant.tenant != user.tenant or grant.role in GRANTED_BY_PLATFORM for grant in user.grants
    )


def check_version(user: User, version: int | None) -> None:
    """Raise `version-mismatch` unless `user` is as the client has read it."""
    if user.version != version:
        raise ApiError(VERSION_MISMATCH)
