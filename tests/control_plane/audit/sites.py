"""Sites with a ledger and a witness each, over one database; as control planes have them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from control_plane.audit import export, reading, store
from control_plane.audit.entry import Entry
from control_plane.audit.export import File
from control_plane.audit.ledger import Ledger, Signer
from control_plane.audit.memory import Memory
from control_plane.audit.witness import Witness
from control_plane.db.database import Database
from control_plane.db.migrate import migrate
from control_plane.settings import DRIVERS
from state.clock import ManualClock
from tests.control_plane.audit.made import KEYS, ORIGIN, PRIVATE


def entry(number: int) -> Entry:
    """Return one."""
    return Entry(
        tenant="main", at_ms=number, actor="usr_1", action="customer:update", kind="customer",
        thing=f"cus_{number}", policy_version="p", request_id="r", site="a",
        detail={"changed": ["name"]},
    )  # fmt: skip


@dataclass
class Site:
    """One."""

    name: str
    database: Database
    ledger: Ledger
    witness: Witness
    memory: Memory

    async def add(self, *numbers: int) -> None:
        """Write entries, and seal none."""
        async with self.database.write() as connection:
            await store.add(connection, *map(entry, numbers))

    async def seal(self, *numbers: int) -> int:
        """Write entries and seal all that waits, in one transaction; return the log's size."""
        async with self.database.write() as connection:
            if numbers:
                await store.add(connection, *map(entry, numbers))
            return (await self.ledger.seal(connection)).size

    async def file(self) -> File:
        """Return the whole log as its export has it."""
        return export.read([each async for each in reading.whole(self.database, ORIGIN)])


async def two(url: str, folder: Path) -> tuple[Site, Site]:
    """Return sites a and b, each with connections of its own."""
    made: list[Site] = []
    for name in "ab":
        scheme, _, rest = url.partition(":")
        database = Database.open(f"{DRIVERS[scheme]}:{rest}")
        if not made:
            await migrate(database)
        memory = Memory(folder / f"{name}.seen")
        ledger = Ledger(
            Signer(
                site=name, origin=ORIGIN, private=PRIVATE[name], keys=KEYS, memory=memory
            )
        )  # fmt: skip
        witness = Witness(ledger, database, ManualClock())
        made.append(Site(name, database, ledger, witness, memory))
    return made[0], made[1]


async def close(*sites: Site) -> None:
    """Let go of the database."""
    await asyncio.gather(*(each.database.close() for each in sites))
