"""Countersigns what other sites have sealed, if it goes on from what this site has seen.

The log's only copy may stand in a database that somebody else has got hold of. What a site has
vouched for it remembers elsewhere (`control_plane.audit.memory`); from then on the log can only
grow, or this site says so.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

import structlog

from control_plane.audit import ledger, note, store
from control_plane.audit.errors import AuditError, SealError, TamperedError
from control_plane.audit.ledger import Ledger, Signer
from control_plane.audit.note import Head
from control_plane.db.database import Database
from state.clock import Clock

log = structlog.get_logger()

ANEW_S: Final = 60
"""A checkpoint that stays the newest is vouched for anew so often: that nothing was cut off since
is only as certain as the last word of another site is young."""


class Seen(StrEnum):
    """What a look at the log has shown."""

    NOTHING = "nothing"
    """Nothing was sealed yet, or nobody signs here."""
    GOES_ON = "goes_on"
    BROKEN = "broken"
    """It does not go on from what this site remembers."""


class Witness:
    """One site's word on the log."""

    def __init__(self, ledger_: Ledger, database: Database, clock: Clock) -> None:
        self._ledger = ledger_
        self._database = database
        self._clock = clock
        self._said: tuple[Head, int] | None = None

    async def look(self) -> Seen:
        """Check the newest checkpoint, remember it, and countersign it if another site made it.

        Raise `DatabaseUnavailableError`, OSError.
        """
        signer = self._ledger.signer
        if signer is None:
            return Seen.NOTHING
        async with self._database.read() as connection:
            text = await store.last_note(connection)
            try:
                remembered = await asyncio.to_thread(signer.memory.head)
                if text is None and remembered is None:
                    return Seen.NOTHING
                if text is None:
                    raise TamperedError("the log has been emptied")
                checkpoint = signer.read(text)
                if checkpoint.head != remembered:
                    await ledger.check(connection, checkpoint.head, remembered)
            except AuditError as error:
                log.error("audit_log_broken", site=signer.site, why=str(error))  # noqa: TRY400
                return Seen.BROKEN
        self._ledger.has_checked(checkpoint.head)
        await self._vouch(signer, text, checkpoint.head, is_own=checkpoint.by == signer.site)
        return Seen.GOES_ON

    async def _vouch(self, signer: Signer, text: str, head: Head, *, is_own: bool) -> None:
        """Remember `head` with this site's signature, and then give that."""
        now_s = self._clock.now().wall_ms // 1000
        if self._said is not None and self._said[0] == head and now_s - self._said[1] < ANEW_S:
            return
        line = note.countersign(head, signer.site, signer.private, now_s)
        body, _, signatures = text.partition("\n\n")
        await asyncio.to_thread(signer.memory.keep, f"{body}\n\n{signatures}{line}")
        if not is_own:
            async with self._database.write() as connection:
                await store.put_cosignature(connection, head.size, signer.site, line)
        self._said = (head, now_s)


async def look_once(witness: Witness) -> Seen:
    """Look; what cannot be looked at is no word against the log."""
    try:
        return await witness.look()
    except (SealError, OSError) as error:
        log.warning("audit_memory_unusable", why=str(error))
        return Seen.NOTHING
