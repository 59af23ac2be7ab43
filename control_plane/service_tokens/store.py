"""Service tokens in the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, Select, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.api.paging import Listing
from control_plane.permissions import Role
from control_plane.service_tokens.tables import ServiceTokenRow
from control_plane.subjects import Grant, Subject
from control_plane.tokens import SERVICE


class ServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    digest: str
    tenant: str
    name: str
    roles: tuple[Role, ...]
    created_ms: int
    created_by: str
    until_ms: int
    used_ms: int | None = None
    revoked_ms: int | None = None


_COLUMNS = [getattr(ServiceTokenRow, name) for name in ServiceToken.__struct_fields__]
_SORT = {"name": ServiceTokenRow.name, "created": ServiceTokenRow.created_ms}


async def page(
    connection: AsyncConnection, tenant: str, listing: Listing
) -> tuple[list[ServiceToken], str | None]:
    """Return one page of a tenant's tokens."""
    statement: Select[Any] = select(*_COLUMNS).where(ServiceTokenRow.tenant == tenant)
    rows, after = await paging.fetch(
        connection,
        statement,
        listing,
        columns={name: column.expression for name, column in _SORT.items()},
        id_column=ServiceTokenRow.id.expression,
        default="name",
    )
    return [_token(row) for row in rows], after


async def find(connection: AsyncConnection, tenant: str, token: str) -> ServiceToken | None:
    """Return one, or None."""
    statement = select(*_COLUMNS).where(
        ServiceTokenRow.tenant == tenant, ServiceTokenRow.id == token
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _token(row)


async def create(connection: AsyncConnection, token: ServiceToken) -> None:
    """Add one."""
    values = msgspec.structs.asdict(token) | {"roles": " ".join(token.roles)}
    await connection.execute(insert(ServiceTokenRow).values(**values))


async def revoke(connection: AsyncConnection, tenant: str, token: str, now_ms: int) -> None:
    """Let it be over; one that is, stays as it is."""
    await connection.execute(
        update(ServiceTokenRow)
        .where(
            ServiceTokenRow.tenant == tenant,
            ServiceTokenRow.id == token,
            ServiceTokenRow.revoked_ms.is_(None),
        )
        .values(revoked_ms=now_ms)
    )


async def note_uses(connection: AsyncConnection, uses: Mapping[str, int]) -> None:
    """Write down when tokens were last used; of several control planes the latest counts."""
    for token, used_ms in uses.items():
        held = ServiceTokenRow.used_ms
        later = case((held > used_ms, held), else_=used_ms)
        await connection.execute(
            update(ServiceTokenRow).where(ServiceTokenRow.id == token).values(used_ms=later)
        )


async def load_subject(connection: AsyncConnection, digest: str) -> Subject | None:
    """Return whose token has this digest, or None: there is none, or it was revoked."""
    statement = select(*_COLUMNS).where(
        ServiceTokenRow.digest == digest, ServiceTokenRow.revoked_ms.is_(None)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _subject(_token(row))


async def load_subjects(connection: AsyncConnection, tokens: Iterable[str]) -> dict[str, Subject]:
    """Return whose tokens have these ids, as `load_subject` does, for many at once."""
    statement = select(*_COLUMNS).where(
        ServiceTokenRow.id.in_(tuple(tokens)), ServiceTokenRow.revoked_ms.is_(None)
    )
    found = map(_token, await connection.execute(statement))
    return {each.id: _subject(each) for each in found}


def _subject(found: ServiceToken) -> Subject:
    return Subject(
        id=found.id,
        tenant=found.tenant,
        grants=frozenset(Grant(role=role, tenant=found.tenant) for role in found.roles),
        session=SERVICE,
        until_ms=found.until_ms,
    )


def _token(row: Row[Any]) -> ServiceToken:
    values = dict(row._mapping)  # noqa: SLF001 - its documented way
    values["roles"] = tuple(Role(role) for role in values["roles"].split())
    return ServiceToken(**values)
