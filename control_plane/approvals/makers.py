"""Who has made whom, by the log: accounts by which one person could be two.

Whoever creates somebody, or sets their password or roles, may sign in as them, or has made them
somebody who may say yes. The log is asked, since it forgets nobody: of a password that was set
anew the last one alone would be known.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit.entry import ALLOWED
from control_plane.audit.tables import AuditRow
from control_plane.permissions import Permission

_MAKES: Final = frozenset({"password", "roles"})
"""What lets one act as somebody, or lets them act so."""


class _Detail(msgspec.Struct):
    changed: tuple[str, ...] = ()


async def are_of_one(connection: AsyncConnection, tenant: str, one: str, other: str) -> bool:
    """Tell whether one of two has made the other, or somebody who has."""
    return other in await _makers(connection, tenant, one) or one in await _makers(
        connection, tenant, other
    )


async def _makers(connection: AsyncConnection, tenant: str, user: str) -> frozenset[str]:
    """Return who has made somebody, and who has made these, and so on."""
    found: frozenset[str] = frozenset()
    asked = frozenset({user})
    while asked:
        made_by = await _made_by(connection, tenant, asked)
        asked = made_by - found - {user}
        found |= asked
    return found


async def _made_by(
    connection: AsyncConnection, tenant: str, users: Collection[str]
) -> frozenset[str]:
    statement = select(AuditRow.actor, AuditRow.action, AuditRow.detail).where(
        AuditRow.tenant == tenant,
        AuditRow.thing.in_(users),
        AuditRow.kind == Permission.USER_CREATE.kind,
        AuditRow.action.in_((Permission.USER_CREATE.value, Permission.USER_UPDATE.value)),
        AuditRow.decision == ALLOWED,
    )
    rows = (await connection.execute(statement)).all()
    return frozenset(
        actor
        for actor, action, detail in rows
        if action == Permission.USER_CREATE.value
        or not _MAKES.isdisjoint(msgspec.json.decode(detail, type=_Detail).changed)
    )
