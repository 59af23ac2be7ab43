"""The log as lines of a file, out of the database: all of it, or what is there of one thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit import export, note, store, tiles, tree
from control_plane.audit.errors import SealError
from control_plane.audit.store import TABLE
from control_plane.audit.tables import AuditRow, CheckpointRow, CosignatureRow, TileRow
from control_plane.db.database import Database

AT_ONCE: Final = 2_000


async def whole(database: Database, origin: str, upto: int | None = None) -> AsyncIterator[bytes]:
    """Yield the log as it stands in the database, nothing mended.

    `upto`: the size of a checkpoint that there is; None: all of it.
    """
    async with database.read() as connection:
        yield export.head_line(origin)
        async for row in _entries(connection, upto):
            yield export.entry_line(row["place"], row)
        statement = select(TileRow.number, TileRow.hashes).where(TileRow.level == 0)
        for number, hashes in await connection.execute(statement.order_by(TileRow.number)):
            first = number * tiles.WIDTH
            if upto is None or first < upto:
                held = len(hashes) if upto is None else (upto - first) * tree.HASH_BYTES
                yield export.tile_line(number, bytes(hashes)[:held])
        for text in await _notes(connection, upto):
            yield export.checkpoint_line(text)


async def _entries(connection: AsyncConnection, upto: int | None) -> AsyncIterator[dict[str, Any]]:
    after = -1
    while True:
        statement = select(TABLE).where(AuditRow.place > after).order_by(AuditRow.place)
        if upto is not None:
            statement = statement.where(AuditRow.place < upto)
        rows = (await connection.execute(statement.limit(AT_ONCE))).all()
        for row in rows:
            yield dict(row._mapping)  # noqa: SLF001 - documented
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].place


async def _notes(connection: AsyncConnection, upto: int | None) -> Sequence[str]:
    lines: dict[int, str] = {}
    statement = select(CosignatureRow.size, CosignatureRow.line)
    for size, line in await connection.execute(statement):
        lines[size] = lines.get(size, "") + line
    found = await connection.execute(
        select(CheckpointRow.size, CheckpointRow.note).order_by(CheckpointRow.size)
    )
    return [text + lines.get(size, "") for size, text in found if upto is None or size <= upto]


async def trail(connection: AsyncConnection, tenant: str, things: Sequence[str]) -> list[bytes]:
    """Return what the log has of these things, with proofs, under the newest checkpoint.

    The newest that another site vouches for, if it covers them all. Raise `SealError`: nothing was
    sealed yet.
    """
    statement = (
        select(TABLE)
        .where(AuditRow.tenant == tenant, AuditRow.thing.in_(things), AuditRow.place.is_not(None))
        .order_by(AuditRow.place)
    )
    rows = [dict(row._mapping) for row in await connection.execute(statement)]  # noqa: SLF001
    text = await covering(connection, rows[-1]["place"] if rows else 0)
    head = note.read_head(text)
    lines = [export.head_line(head.origin)]
    for row in rows:
        proof = await inclusion(connection, row["place"], head.size)
        lines.append(export.entry_line(row["place"], row, proof))
    return [*lines, export.checkpoint_line(text)]


async def covering(connection: AsyncConnection, place: int) -> str:
    """Return a checkpoint that covers `place`: countersigned if there is such a one.

    Raise `SealError` while there is none at all.
    """
    for text in (await store.last_countersigned(connection), await store.last_note(connection)):
        if text is not None and note.read_head(text).size > place:
            return text
    raise SealError("no checkpoint covers it yet")


async def inclusion(connection: AsyncConnection, place: int, size: int) -> list[bytes]:
    """Return the proof of an entry. Raise LookupError: tiles are missing."""
    read = tiles.read_by(lambda node: tree.inclusion(node, place, size))
    there = await store.tiles(connection, read)
    return tree.inclusion(tiles.nodes(there), place, size)


async def size(connection: AsyncConnection) -> int:
    """Return how many entries are sealed."""
    statement = select(func.max(CheckpointRow.size))
    return (await connection.execute(statement)).scalar() or 0


async def countersigned_size(connection: AsyncConnection) -> int:
    """Return how many entries another site vouches for, whether its word holds or not."""
    statement = select(func.max(CosignatureRow.size))
    return (await connection.execute(statement)).scalar() or 0
