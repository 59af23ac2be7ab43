"""Users in the database. Every statement names the tenant, but for the one that signs them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.errors import ApiError
from control_plane.permissions import Role
from control_plane.subjects import Grant, Subject
from control_plane.users.errors import LOGIN_TAKEN
from control_plane.users.schemas import UserListing
from control_plane.users.tables import GrantRow, UserRow


class Granted(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A role that somebody has, and by whose word; by neither: from before that was told."""

    role: Role
    by_hand: bool = False
    by_provider: bool = False


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
    provider_roles: tuple[Role, ...] = ()
    """Those among `roles` that the groups of the identity provider give, and nobody's hand."""


SEEN_BY_POLICY: Final = ("is_active", "agent", "employer", "team", "site")
"""What decisions about somebody go by, beside their roles."""
_ROLES: Final = {"roles", "provider_roles"}
_COLUMNS = [getattr(UserRow, name) for name in User.__struct_fields__ if name not in _ROLES]
_WITH_GRANTS: Select[Any] = select(
    *(getattr(UserRow, name) for name in ("id", "tenant", *SEEN_BY_POLICY)),
    GrantRow.role,
    GrantRow.tenant.label("granted_in"),
).outerjoin(GrantRow, GrantRow.user_id == UserRow.id)
SUBJECT: Final = _WITH_GRANTS.where(UserRow.id == bindparam("user"))
"""The rows of one user, for `subjects_of`; made once, since making it costs more than asking."""
_SUBJECTS = _WITH_GRANTS.where(UserRow.id.in_(bindparam("users", expanding=True)))
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
    """Make `roles` the ones that the user has in `tenant`: by hand those that they had not.

    Whoever gives the rest back as it was read has not granted it anew.
    """
    had = {each.role: each for each in await _granted(connection, user, tenant)}
    wanted = [had.get(role, Granted(role=role, by_hand=True)) for role in set(roles)]
    await _set_grants(connection, user, tenant, wanted)


async def regrant(
    connection: AsyncConnection, user: str, tenant: str, grants: Iterable[Granted], now_ms: int
) -> None:
    """Make `grants` the user's, as another version: who has read the one before reads anew."""
    await connection.execute(
        update(UserRow)
        .where(UserRow.id == user, UserRow.tenant == tenant)
        .values(version=UserRow.version + 1, updated_ms=now_ms)
    )
    await _set_grants(connection, user, tenant, grants)


async def hold_grants(connection: AsyncConnection, user: str, tenant: str) -> tuple[Granted, ...]:
    """Return a user's roles in `tenant`, in order; nobody else changes them meanwhile."""
    await connection.execute(select(UserRow.id).where(UserRow.id == user).with_for_update())
    return await _granted(connection, user, tenant)


async def _granted(connection: AsyncConnection, user: str, tenant: str) -> tuple[Granted, ...]:
    having = (GrantRow.user_id == user, GrantRow.tenant == tenant)
    columns = (GrantRow.role, GrantRow.by_hand, GrantRow.by_provider)
    found = await connection.execute(select(*columns).where(*having).order_by(GrantRow.role))
    return tuple(
        Granted(role=Role(role), by_hand=by_hand, by_provider=by_provider)
        for role, by_hand, by_provider in found
    )


async def _set_grants(
    connection: AsyncConnection, user: str, tenant: str, grants: Iterable[Granted]
) -> None:
    await connection.execute(
        delete(GrantRow).where(GrantRow.user_id == user, GrantRow.tenant == tenant)
    )
    whose = {"user_id": user, "tenant": tenant}
    if values := [whose | msgspec.structs.asdict(each) for each in grants]:
        await connection.execute(insert(GrantRow), values)


async def load_subject(connection: AsyncConnection, user: str) -> Subject | None:
    """Return who has this id, with all roles; of whichever tenant."""
    rows = await connection.execute(SUBJECT, {"user": user})
    return subjects_of(rows).get(user)


async def load_subjects(connection: AsyncConnection, wanted: Iterable[str]) -> dict[str, Subject]:
    """Return who have these ids, with all roles; of whichever tenant."""
    return subjects_of(await connection.execute(_SUBJECTS, {"users": tuple(wanted)}))


def subjects_of(rows: Iterable[Row[Any]]) -> dict[str, Subject]:
    """Return the subjects of which `rows` tell, a row for each grant."""
    users: dict[str, Row[Any]] = {}
    grants: dict[str, set[Grant]] = {}
    for row in rows:
        users[row.id] = row
        mine = grants.setdefault(row.id, set())
        if row.role is not None:
            mine.add(Grant(role=Role(row.role), tenant=row.granted_in))
    return {
        user: Subject(
            id=user,
            tenant=row.tenant,
            grants=frozenset(grants[user]),
            **{name: row._mapping[name] for name in SEEN_BY_POLICY},  # noqa: SLF001 - its documented way
        )
        for user, row in users.items()
    }


async def _with_roles(
    connection: AsyncConnection, tenant: str, rows: Sequence[Row[Any]]
) -> list[User]:
    ids = [row.id for row in rows]
    roles: dict[str, list[Role]] = {each: [] for each in ids}
    provided: dict[str, list[Role]] = {each: [] for each in ids}
    found = await connection.execute(
        select(GrantRow.user_id, GrantRow.role, GrantRow.by_hand, GrantRow.by_provider)
        .where(GrantRow.user_id.in_(ids), GrantRow.tenant == tenant)
        .order_by(GrantRow.role)
    )
    for user, role, by_hand, by_provider in found:
        roles[user].append(Role(role))
        if by_provider and not by_hand:
            provided[user].append(Role(role))
    return [
        User(
            **row._mapping,  # noqa: SLF001 - its documented way
            roles=tuple(roles[row.id]),
            provider_roles=tuple(provided[row.id]),
        )
        for row in rows
    ]
