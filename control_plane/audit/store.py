"""Adds to the audit log, in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit.tables import AuditRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log."""

    tenant: str
    at_ms: int
    actor: str
    action: str
    """A permission, or a word such as `session:start`."""
    kind: str
    thing: str
    policy_version: str
    request_id: str
    site: str
    detail: Mapping[str, object] = field(default_factory=dict)


async def add(connection: AsyncConnection, entry: Entry) -> None:
    """Add `entry`: it stands if and only if the transaction does."""
    values = {each.name: getattr(entry, each.name) for each in fields(entry)} | {
        "detail": msgspec.json.encode(dict(entry.detail)).decode()
    }
    await connection.execute(insert(AuditRow).values(**values))
