"""A log with what it is checked by: the sites' public keys, and what a site remembers."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from control_plane.audit import note, reading
from control_plane.audit.export import read as read_file
from control_plane.audit.verify import Result, verify
from control_plane.db.database import Database
from control_plane.errors import SettingsError
from control_plane.settings import Settings

COUNTERSIGNED_S: Final = 10.0
"""So long is waited for another site's word on what has just been sealed."""
LOOK_S: Final = 0.2


class Source(Struct, frozen=True, kw_only=True):
    """As it is handed on."""

    lines: tuple[bytes, ...]
    keys: tuple[str, ...]
    seen: tuple[str, ...] = ()

    def check(self, witnesses: int | None = None) -> Result:
        """Verify it. `witnesses` left out: one other site, where there is another."""
        keys = tuple(note.read_key(each) for each in self.keys)
        others = len({each.site for each in keys}) - 1
        needed = min(1, others) if witnesses is None else witnesses
        return verify(read_file(self.lines), keys, seen=self.seen, witnesses=needed)


async def load(settings: Settings) -> Source:
    """Read the log of a control plane's database. Raise `SettingsError`: it signs none.

    Up to what another site vouches for, if one does so for all that is sealed now; else all of it.
    """
    if settings.audit is None:
        raise SettingsError("audit: these settings name no key of an audit log")
    # Read first: the log only grows, so what was remembered before has to be in it.
    try:
        seen: tuple[str, ...] = (settings.audit.memory.read_text(encoding="utf-8"),)
    except FileNotFoundError:
        seen = ()
    database = Database.open(settings.database)
    try:
        upto = await _vouched(database) if len(settings.audit.sites) > 1 else None
        origin = settings.audit.origin
        lines = tuple([each async for each in reading.whole(database, origin, upto)])
    finally:
        await database.close()
    return Source(lines=lines, keys=settings.audit.sites, seen=seen)


async def _vouched(database: Database) -> int | None:
    """Return up to where another site vouches for the log; None: it does not for all of it."""
    async with database.read() as connection:
        sealed = await reading.size(connection)
    try:
        async with asyncio.timeout(COUNTERSIGNED_S):
            while True:
                async with database.read() as connection:
                    vouched = await reading.countersigned_size(connection)
                if vouched >= sealed:
                    return vouched
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        return None
