"""Lets what was ordered to be deleted begin, and takes back what came under legal hold meanwhile.

A hold on a call takes its order back by itself (`keeping.hold`); one on a customer is seen here. In
the tenant's turn, so that each hold is set before a deletion has begun, or after that.
"""

from __future__ import annotations

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit import store as audit
from control_plane.audit.entry import Entry
from control_plane.customers import turn
from control_plane.db.database import Database
from control_plane.recording_keys import deletions
from control_plane.recording_keys.deletions import Order
from control_plane.recordings import holding
from control_plane.recordings.archive import Archive

log = structlog.get_logger()


async def begin(database: Database, archive: Archive, now_ms: int) -> int:
    """Let orders that wait begin, or be taken back; return how many have begun."""
    waiting = await deletions.waiting(archive.database)
    count = 0
    for tenant in sorted({each.tenant for each in waiting}):
        calls = [each.id for each in waiting if each.tenant == tenant]
        async with database.write() as connection:
            await turn.take(connection, tenant)
            held = await holding.held(connection, archive, tenant, calls)
            free = [deletions.recording(each) for each in calls if each not in held]
            async with archive.database.write() as store:
                kept = [deletions.recording(each) for each in sorted(held)]
                taken = await deletions.take_back(store, tenant, kept)
                await deletions.begin(store, tenant, free)
            for order in taken:
                await _write_down(connection, archive.site, order, now_ms)
        count += len(free)
    return count


async def _write_down(connection: AsyncConnection, site: str, order: Order, now_ms: int) -> None:
    """Put it into the audit log; who has set the hold stands there already."""
    log.info("deletion_taken_back", tenant=order.tenant, subject=order.subject)
    entry = Entry(
        tenant=order.tenant,
        at_ms=now_ms,
        actor="",
        action="recording:keep",
        kind="recording",
        thing=order.id,
        policy_version="",
        request_id="",
        site=site,
        detail=told(order),
    )
    await audit.add(connection, entry)


def told(order: Order) -> dict[str, object]:
    """Return what the audit log keeps of an order that was taken back."""
    return {"deletion_taken_back": {"rule": order.rule.value, "detail": order.detail}}
