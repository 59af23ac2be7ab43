"""Users in the database. Every statement names the tenant, but for the one that signs them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.errors import ApiError
from control_plane.permissions import Role
from control_plane.subjects import Grant, Subject
from control_plane.users.errors import LOGIN_TAKEN
from control_plane.users.schemas import UserListing
from control_plane.users.tables import GrantRow, UserRow


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A row, without the password's hash."""

    id: str
    tenant: str
    login: str
    name: str
    agent: str
    employer: str
    team: str
    site: str
    is_active: bool
    created_ms: int
    updated_ms: int
    version: int
    roles: tuple[Role, ...] = ()
    """Those of the user's own tenant."""


_COLUMNS = [getattr(UserRow, name) for name in User.__struct_fields__ if name != "roles"]
_SORT = {"name": UserRow.name, "login": UserRow.login, "created": UserRow.created_ms}


async def page(
    connection: AsyncConnection, tenant: str, listing: UserListing
) -> tuple[list[User], str | None]:
    """Return one page of a tenant's users."""
    statement: Select[Any] = select(*_COLUMNS).where(UserRow.tenant == tenant)
    for name in ("is_active", "team", "site", "employer"):
        if (wanted := getattr(listing, name)) is not None:
            statement = statement.where(getattr(UserRow, name) == wanted)
    if listing.role is not None:
        having = select(GrantRow.user_id).where(
            GrantRow.role == listing.role.value, GrantRow.tenant == tenant
        )
        statement = statement.where(UserRow.id.in_(having))
    rows, after = await paging.fetch(
        connection,
        statement,
        listing,
        columns={name: column.expression for name, column in _SORT.items()},
        id_column=UserRow.id.expression,
        default="name",
    )
    return await _with_roles(connection, tenant, rows), after


async def find(connection: AsyncConnection, tenant: str, user: str) -> User | None:
    """Return one, or None."""
    statement = select(*_COLUMNS).where(UserRow.tenant == tenant, UserRow.id == user)
    rows = (await connection.execute(statement)).all()
    found = await _with_roles(connection, tenant, rows)
    return found[0] if found else None


async def create(connection: AsyncConnection, user: User, password_hash: str | None) -> None:
    """Add one. Raise `login-taken`."""
    values = {column.key: getattr(user, column.key) for column in _COLUMNS}
    try:
        async with connection.begin_nested():
            await connection.execute(insert(UserRow).values(**values, password_hash=password_hash))
    except IntegrityError as error:
        raise ApiError(LOGIN_TAKEN) from error
    await set_roles(connection, user.id, user.tenant, user.roles)


async def change(
    connection: AsyncConnection, user: User, values: Mapping[str, object], now_ms: int
) -> bool:
    """Change columns of `user` as it was read; False if somebody has changed it since."""
    done = await connection.execute(
        update(UserRow)
        .where(
            UserRow.id == user.id, UserRow.tenant == user.tenant, UserRow.version == user.version
        )
        .values(**values, version=user.version + 1, updated_ms=now_ms)
    )
    return done.rowcount == 1


async def set_roles(
    connection: AsyncConnection, user: str, tenant: str, roles: Iterable[Role]
) -> None:
    """Make `roles` the ones that the user has in `tenant`."""
    await connection.execute(
        delete(GrantRow).where(GrantRow.user_id == user, GrantRow.tenant == tenant)
    )
    values = [{"user_id": user, "role": role.value, "tenant": tenant} for role in set(roles)]
    if values:
        await connection.execute(insert(GrantRow), values)


async def load_subject(connection: AsyncConnection, user: str) -> Subject | None:
    """Return who has this id, with all roles; of whichever tenant."""
    return (await load_subjects(connection, (user,))).get(user)


async def load_subjects(connection: AsyncConnection, wanted: Iterable[str]) -> dict[str, Subject]:
    """Return who have these ids, with all roles; of whichever tenant."""
    ids = tuple(wanted)
    rows = (await connection.execute(select(*_COLUMNS).where(UserRow.id.in_(ids)))).all()
    if not rows:
        return {}
    grants: dict[str, set[Grant]] = {row.id: set() for row in rows}
    found = await connection.execute(
        select(GrantRow.user_id, GrantRow.role, GrantRow.tenant).where(GrantRow.user_id.in_(ids))
    )
    for row in found:
        if row.user_id in grants:
            grants[row.user_id].add(Grant(role=Role(row.role), tenant=row.tenant))
    return {
        row.id: Subject(
            id=row.id,
            tenant=row.tenant,
            grants=frozenset(grants[row.id]),
            is_active=row.is_active,
            agent=row.agent,
            employer=row.employer,
            team=row.team,
            site=row.site,
        )
        for row in rows
    }


async def _with_roles(
    connection: AsyncConnection, tenant: str, rows: Sequence[Row[Any]]
) -> list[User]:
    ids = [row.id for row in rows]
    roles: dict[str, list[Role]] = {each: [] for each in ids}
    found = await connection.execute(
        select(GrantRow.user_id, GrantRow.role)
        .where(GrantRow.user_id.in_(ids), GrantRow.tenant == tenant)
        .order_by(GrantRow.role)
    )
    for user, role in found:
        roles[user].append(Role(role))
    return [
        User(**row._mapping, roles=tuple(roles[row.id]))  # noqa: SLF001 - its documented way
        for row in rows
    ]
