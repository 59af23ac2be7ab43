"""Writes the records that the former life of this edge owed when it died.

They stand in its journal. Until they are written nobody else of this edge closes what those calls
left in the shared state: the journal knows how they ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from edge.acd.owed import Owed, debt_paid, held_of
from edge.acd.plan import waited
from edge.calls.journal import Journal
from edge.calls.records import CallRecords, Landed
from state.clock import Clock
from state.model import CallId, EdgeId
from state.snapshot import Snapshot
from state.store import Store

log = structlog.get_logger()

_LOOK_S = 0.05


class Debts:
    """Pays them all once the shared state is known."""

    def __init__(  # noqa: PLR0913  what is owed, and what it takes to pay
        self,
        *,
        edge: EdgeId,
        clock: Clock,
        store: Store,
        snapshot: Callable[[], Snapshot],
        is_current: Callable[[], bool],
        journal: Journal,
        owed: Mapping[CallId, Owed],
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._store = store
        self._snapshot = snapshot
        self._is_current = is_current
        self._journal = journal
        self._owed = dict(owed)

    @property
    def owed(self) -> frozenset[CallId]:
        """The calls whose records have not been written yet."""
        return frozenset(self._owed)

    def owes(self, call: CallId) -> bool:
        """Tell whether a call's record is still to be written."""
        return call in self._owed

    async def run(self) -> None:
        """Write what is owed, and return when all is written."""
        if not self._owed:
            return
        while not self._is_current():  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(_LOOK_S)
        await asyncio.gather(*map(self._pay, list(self._owed.values())))

    async def _pay(self, owed: Owed) -> None:
        records = CallRecords(store=self._store, clock=self._clock, call=owed.call)
        records.restore(held_of(owed, self._snapshot(), self._edge))
        # A write of the former life may have landed after all that the snapshot shows.
        written = await records.end(
            lambda held, at: waited(debt_paid(owed, held), at.mono_s - owed.at.mono_s), self._edge
        )
        del self._owed[owed.call]
        self._journal.forget(owed.call)
        event = "record_written_late" if isinstance(written, Landed) else "record_stood_already"
        log.warning(event, call=owed.call, outcome=owed.ending.outcome, cause=owed.ending.cause)
