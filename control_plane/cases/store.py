"""Cases in the database. Every statement names the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import paging
from control_plane.cases.schemas import CaseListing
from control_plane.cases.tables import CaseRow
from control_plane.cases.workflow import ENDED, Kind, State
from control_plane.users.tables import UserRow


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    tenant: str
    customer: str
    kind: Kind
    state: State
    title: str
    text: str
    owner: str
    owner_agent: str
    due_ms: int
    is_escalated: bool
    created_ms: int
    updated_ms: int
    version: int


_OWNER_AGENT = func.coalesce(UserRow.agent, "").label("owner_agent")
"""As whom the owner takes calls now; of one who is disabled nothing: another may have that id."""
_COLUMNS = [
    *(getattr(CaseRow, name) for name in Case.__struct_fields__ if name != "owner_agent"),
    _OWNER_AGENT,
]
_WITH_OWNER: Select[Any] = select(*_COLUMNS).outerjoin(
    UserRow,
    and_(UserRow.id == CaseRow.owner, UserRow.tenant == CaseRow.tenant, UserRow.is_active),
)


async def page(
    connection: AsyncConnection, tenant: str, listing: CaseListing, now_ms: int
) -> tuple[list[Case], str | None]:
    """Return one page of a tenant's cases, those due first coming first."""
    statement = _WITH_OWNER.where(CaseRow.tenant == tenant)
    for name in ("state", "kind", "owner", "customer", "is_escalated"):
        if (wanted := getattr(listing, name)) is not None:
            statement = statement.where(getattr(CaseRow, name) == wanted)
    if listing.is_overdue is not None:
        late = (CaseRow.due_ms <= now_ms) & CaseRow.state.not_in([*ENDED])
        statement = statement.where(late if listing.is_overdue else ~late)
    columns: dict[str, ColumnElement[Any]] = {
        "due": CaseRow.due_ms.expression,
        "created": CaseRow.id.expression,
    }
    rows, after = await paging.fetch(
        connection,
        statement,
        listing,
        columns=columns,
        id_column=CaseRow.id.expression,
        default="due",
    )
    return [_read(row) for row in rows], after


async def find(connection: AsyncConnection, tenant: str, customer: str, case: str) -> Case | None:
    """Return one, or None."""
    statement = _WITH_OWNER.where(
        CaseRow.tenant == tenant, CaseRow.customer == customer, CaseRow.id == case
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _read(row)


async def of_customer(
    connection: AsyncConnection, tenant: str, customer: str
) -> tuple[dict[str, str], ...]:
    """Return what is held in a customer's cases, for themselves."""
    statement = (
        select(CaseRow.id, CaseRow.kind, CaseRow.state, CaseRow.title, CaseRow.text)
        .where(CaseRow.tenant == tenant, CaseRow.customer == customer)
        .order_by(CaseRow.id)
    )
    rows = await connection.execute(statement)
    return tuple(dict(row._mapping) for row in rows)  # noqa: SLF001 - its documented way


async def create(connection: AsyncConnection, case: Case) -> None:
    """Add one."""
    await connection.execute(insert(CaseRow).values(**msgspec.structs.asdict(case)))


async def change(
    connection: AsyncConnection, case: Case, values: Mapping[str, Any], now_ms: int
) -> Case | None:
    """Change one as it was read; None if somebody has changed it since."""
    wanted = {**values, "version": case.version + 1, "updated_ms": now_ms}
    mine = CaseRow.tenant == case.tenant, CaseRow.id == case.id, CaseRow.version == case.version
    done = await connection.execute(update(CaseRow).where(*mine).values(**wanted))
    return msgspec.structs.replace(case, **wanted) if done.rowcount == 1 else None


def _read(row: Any) -> Case:  # noqa: ANN401 - a row of the columns above
    values = dict(row._mapping)  # noqa: SLF001 - its documented way
    return Case(**values | {"kind": Kind(values["kind"]), "state": State(values["state"])})
