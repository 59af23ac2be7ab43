"""Which recordings have to be kept: by a hold on the call, on who called, or on whose key it has.

A call's row may never learn who called, where its control plane died in that moment; to whose key
it was sealed stands in the key store all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.holds import store as holds
from control_plane.recording_keys.store import customers_of
from control_plane.recordings.archive import Archive


async def held(
    connection: AsyncConnection, archive: Archive | None, tenant: str, calls: Sequence[str]
) -> frozenset[str]:
    """Return which of these are under hold. `archive` None: there is no key store here."""
    found = await holds.held(connection, tenant, calls)
    others = [each for each in calls if each not in found]
    if archive is None or not others:
        return found
    whose = await customers_of(archive.database, tenant, others)
    kept = await holds.held_customers(connection, tenant, set(whose.values()))
    return found | {call for call, customer in whose.items() if customer in kept}
