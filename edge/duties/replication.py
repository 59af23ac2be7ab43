"""Says in the shared state what recordings this site alone has, as its recorder tells.

So whoever asks what a site's death would cost knows it, at every site, also when the site is gone.
One edge of the site does it. No call depends on it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from edge.steering.duty import edge_at
from state import keys
from state.clock import Clock
from state.codec import encode
from state.discreet import fault
from state.errors import StoreError
from state.model import EdgeId, SiteId, Unreplicated
from state.snapshot import Snapshot
from state.store import Put, Store

PERIOD_S: Final = 5.0
ANSWER_S: Final = 2.0
SILENT_S: Final = 60.0
"""Who has not told for so long may have copied nothing for as long."""
TASK: Final = "replication"

log = structlog.get_logger()


class Told(Struct, frozen=True, kw_only=True):
    """What a recorder says."""

    replicates: bool
    """False: no other site takes copies, and there is nothing to say."""
    recordings: int = 0
    recorded_s: int = 0
    under_way: int = 0
    under_way_s: int = 0
    is_late: bool = False


class ReplicationWatch:
    """Asks the recorder, and writes what it says where it is something new."""

    def __init__(  # noqa: PLR0913 - whom it asks, and as whom it says so
        self,
        *,
        recorder: Path,
        clock: Clock,
        store: Store,
        edge: EdgeId,
        site: SiteId,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self._store = store
        self._edge = edge
        self._site = site
        self._snapshot = snapshot
        self._told_s = self._clock.now().mono_s
        self._is_failing = False

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            if edge_at(self._snapshot(), self._site, TASK) == self._edge:
                await self.look()
            else:
                self._told_s = self._clock.now().mono_s

    async def look(self) -> None:
        """Ask once, and write."""
        try:
            found = await self._ask()
        except (OSError, EOFError, TimeoutError, ValueError, ValidationError) as error:
            if not self._is_failing:
                log.warning("recorder_not_asked_of_copies", **fault(error))
            self._is_failing = True
            found = self._unknown()
        else:
            self._is_failing = False
            self._told_s = self._clock.now().mono_s
        if found is None or found == self._stands():
            return
        try:
            await self._store.txn(
                (), (Put(key=keys.unreplicated(self._site), value=encode(found)),)
            )
        except StoreError as error:
            log.info("unreplicated_not_written", error=str(error))

    def _stands(self) -> Unreplicated | None:
        entry = self._snapshot().unreplicated.get(self._site)
        return None if entry is None else entry.value

    def _unknown(self) -> Unreplicated | None:
        """Return what was known last, and is not known any more; None: it may still be so."""
        if self._clock.now().mono_s - self._told_s < SILENT_S:
            return None
        return replace(self._stands() or _said(self._site, Told(replicates=True)), is_late=True)

    async def _ask(self) -> Unreplicated | None:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(self._recorder)
            try:
                writer.write(json.dumps({"cmd": "unreplicated"}).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        if not line:
            raise EOFError("the recorder has closed the connection")
        told = convert(json.loads(line), Told)
        return _said(self._site, told) if told.replicates else None


def _said(site: SiteId, told: Told) -> Unreplicated:
    return Unreplicated(
        site=site,
        recordings=told.recordings,
        recorded_s=told.recorded_s,
        under_way=told.under_way,
        under_way_s=told.under_way_s,
        is_late=told.is_late,
    )
