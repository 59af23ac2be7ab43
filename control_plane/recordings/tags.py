"""What people have tagged recordings with, in the database.

Every statement names the tenant, but for the one by which a start looks through all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls.tables import CallRow
from control_plane.db.inserting import inserting
from control_plane.errors import not_found
from control_plane.recordings.schemas import MOST_TAGS
from control_plane.recordings.tables import TagRow


async def add(connection: AsyncConnection, tenant: str, call: str, tag: str) -> bool:
    """Let a recording bear a tag, which it may already; False: it bears as many as it may.

    Raise `not-found`: its call is gone.
    """
    mine = (TagRow.tenant == tenant, TagRow.call == call)
    count = select(func.count()).where(*mine, TagRow.tag != tag)
    if (await connection.execute(count)).scalar_one() >= MOST_TAGS:
        return False
    adding = inserting(connection, TagRow).values(tenant=tenant, call=call, tag=tag)
    try:
        await connection.execute(adding.on_conflict_do_nothing())
    except IntegrityError as error:
        raise not_found() from error  # the one constraint that is left: a tag is some call's
    return True


async def remove(connection: AsyncConnection, tenant: str, call: str, tag: str) -> None:
    """Let a recording bear a tag no longer."""
    mine = (TagRow.tenant == tenant, TagRow.call == call, TagRow.tag == tag)
    await connection.execute(delete(TagRow).where(*mine))


async def forget(connection: AsyncConnection, tenant: str, calls: Iterable[str]) -> None:
    """Let these bear none."""
    await connection.execute(
        delete(TagRow).where(TagRow.tenant == tenant, TagRow.call.in_(tuple(calls)))
    )


async def borne(
    connection: AsyncConnection, after: str, most: int
) -> tuple[tuple[str, str, bool], ...]:
    """Return what bears a tag: the tenant, the id, and whether who called was erased.

    Those with ids behind `after`, in the order of ids.
    """
    statement = (
        select(TagRow.tenant, TagRow.call, CallRow.is_caller_erased)
        .join(CallRow, CallRow.id == TagRow.call)
        .where(TagRow.call > after)
        .distinct()
        .order_by(TagRow.call)
        .limit(most)
    )
    return tuple((row[0], row[1], row[2]) for row in await connection.execute(statement))


async def of_each(
    connection: AsyncConnection, tenant: str, calls: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return the tags of these, in the order of the alphabet."""
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    statement = (
        select(TagRow.call, TagRow.tag)
        .where(TagRow.tenant == tenant, TagRow.call.in_(tuple(calls)))
        .order_by(TagRow.tag)
    )
    for call, tag in await connection.execute(statement):
        found[call] += (tag,)
    return found


def bearers(tenant: str, tag: str) -> Select[str]:
    """Return the calls whose recordings bear a tag, as a query."""
    return select(TagRow.call).where(TagRow.tenant == tenant, TagRow.tag == tag)
