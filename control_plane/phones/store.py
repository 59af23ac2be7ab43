"""Which agents' users are all disabled, in the database."""

from __future__ import annotations

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from control_plane.users.tables import UserRow


async def disabled(connection: AsyncConnection) -> set[tuple[str, str]]:
    """Return tenant and agent of all who have users, and none of them active.

    An agent without a user is the configuration's own affair.
    """
    other = aliased(UserRow)
    is_held_otherwise = exists().where(
        and_(other.tenant == UserRow.tenant, other.agent == UserRow.agent, other.is_active)
    )
    statement = (
        select(UserRow.tenant, UserRow.agent)
        .where(UserRow.agent != "", ~UserRow.is_active, ~is_held_otherwise)
        .distinct()
    )
    return {(row.tenant, row.agent) for row in await connection.execute(statement)}
