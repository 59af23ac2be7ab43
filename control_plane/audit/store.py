"""The log's tables: entries, tiles and checkpoints. SQL, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import bindparam, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.audit.entry import ALLOWED, COLUMNS, Entry, detail_text, leaf
from control_plane.audit.tables import AuditRow, CheckpointRow, CosignatureRow, TileRow
from control_plane.audit.tiles import Tile
from control_plane.db.inserting import inserting

LOCK: Final = 0x61756474
"""Of PostgreSQL's advisory locks: `audt` in ASCII. Whoever seals holds it to the end of its
transaction, so that the log has one order."""
AT_ONCE: Final = 200
"""Tiles asked for in one statement."""
MOST: Final = 1000
"""Entries read at a time by who follows the log."""
TABLE: Final = AuditRow.__table__


# ---- entries -------------------------------------------------------------------------------------


async def add(connection: AsyncConnection, *entries: Entry) -> None:
    """Add `entries`: they stand if and only if the transaction does."""
    values = [
        {name: getattr(entry, name) for name in COLUMNS} | {"detail": detail_text(entry.detail)}
        for entry in entries
    ]
    await connection.execute(insert(AuditRow), values)


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What stands of an entry for those who follow the log."""

    number: int
    tenant: str
    action: str
    thing: str


async def newest(connection: AsyncConnection) -> int:
    """Return the number of the last entry; 0: there is none."""
    return (await connection.execute(select(func.max(AuditRow.number)))).scalar() or 0


async def changed_since(
    connection: AsyncConnection, kinds: Iterable[str], number: int
) -> tuple[Noted, ...]:
    """Return what was done to things of these kinds after `number`, in order, of all tenants.

    No more than `MOST` at a time.
    """
    columns = [getattr(AuditRow, name) for name in Noted.__struct_fields__]
    statement = (
        select(*columns)
        .where(AuditRow.number > number, AuditRow.decision == ALLOWED)
        .where(AuditRow.kind.in_(tuple(kinds)))
        .order_by(AuditRow.number)
        .limit(MOST)
    )
    rows = await connection.execute(statement)
    return tuple(Noted(**row._mapping) for row in rows)  # noqa: SLF001 - documented


# ---- sealing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that no checkpoint covers yet."""

    number: int
    leaf: bytes


async def lock(connection: AsyncConnection) -> None:
    """Hold the one place in the order until the transaction ends.

    SQLite: a transaction that writes is alone already (`Database.write`).
    """
    if connection.dialect.name != "sqlite":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK})


async def is_waiting(connection: AsyncConnection) -> bool:
    """Return whether there is an entry to seal."""
    statement = select(AuditRow.number).where(AuditRow.place.is_(None)).limit(1)
    return (await connection.execute(statement)).first() is not None


async def waiting(connection: AsyncConnection, most: int) -> list[Waiting]:
    """Return the entries that are to be sealed, those that came first first."""
    statement = select(TABLE).where(AuditRow.place.is_(None)).order_by(AuditRow.number).limit(most)
    rows = await connection.execute(statement)
    return [Waiting(row.number, leaf(dict(row._mapping))) for row in rows]  # noqa: SLF001 - documented


async def place(connection: AsyncConnection, numbers: Sequence[int], first: int) -> None:
    """Give these entries their places in the tree, from `first` on."""
    statement = (
        update(AuditRow)
        .where(AuditRow.number == bindparam("of"), AuditRow.place.is_(None))
        .values(place=bindparam("at"))
    )
    await connection.execute(
        statement, [{"of": number, "at": first + at} for at, number in enumerate(numbers)]
    )


async def tiles(connection: AsyncConnection, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """Return those of the tiles that there are."""
    asked, found = sorted(wanted), {}
    for at in range(0, len(asked), AT_ONCE):
        some = asked[at : at + AT_ONCE]
        statement = select(TileRow.level, TileRow.number, TileRow.hashes).where(
            tuple_(TileRow.level, TileRow.number).in_(some)
        )
        for level, number, hashes in await connection.execute(statement):
            found[level, number] = bytes(hashes)
    return found


async def put_tiles(connection: AsyncConnection, made: Mapping[Tile, bytes]) -> None:
    """Write tiles; the last one of a level stands there already, and has grown."""
    adding = inserting(connection, TileRow)
    await connection.execute(
        adding.on_conflict_do_update(
            index_elements=["level", "number"], set_={"hashes": adding.excluded.hashes}
        ),
        [
            {"level": level, "number": number, "hashes": hashes}
            for (level, number), hashes in made.items()
        ],
    )


# ---- checkpoints ---------------------------------------------------------------------------------


async def last_note(connection: AsyncConnection) -> str | None:
    """Return the newest checkpoint with its cosignatures; None: nothing was sealed yet."""
    statement = (
        select(CheckpointRow.size, CheckpointRow.note).order_by(CheckpointRow.size.desc()).limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else row.note + await _lines(connection, row.size)


async def last_countersigned(connection: AsyncConnection) -> str | None:
    """Return the newest checkpoint that another site has signed too, with all signatures."""
    statement = (
        select(CheckpointRow.size, CheckpointRow.note)
        .where(CheckpointRow.size.in_(select(func.max(CosignatureRow.size))))
        .limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else row.note + await _lines(connection, row.size)


async def _lines(connection: AsyncConnection, size: int) -> str:
    statement = (
        select(CosignatureRow.line).where(CosignatureRow.size == size).order_by(CosignatureRow.site)
    )
    return "".join((await connection.execute(statement)).scalars())


async def put_note(connection: AsyncConnection, size: int, note: str) -> None:
    """Add a checkpoint."""
    await connection.execute(insert(CheckpointRow).values(size=size, note=note))


async def put_cosignature(connection: AsyncConnection, size: int, site: str, line: str) -> None:
    """Add a site's signature, or the newer one in the place of an older."""
    adding = inserting(connection, CosignatureRow).values(size=size, site=site, line=line)
    await connection.execute(
        adding.on_conflict_do_update(
            index_elements=["size", "site"], set_={"line": adding.excluded.line}
        )
    )
