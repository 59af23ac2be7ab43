"""Finds what there is to explain a call by: its ticket, an edge's log, or what its record keeps.

Why it has the agent it has, `account` tells from that.
"""

from __future__ import annotations

import asyncio

from drills.desk import account, ledger, past
from drills.desk.call_answers import Explained
from drills.desk.errors import RefusedError
from drills.lab.lab import Lab
from state.clock import Clock
from state.mirror import Mirror
from state.model import CallRecord, Now
from state.store import Store


class Explainer:
    """Explains the calls of one lab."""

    def __init__(self, launcher: int, lab: Lab, store: Store, mirror: Mirror, clock: Clock) -> None:
        self._launcher = launcher
        self._lab = lab
        self._store = store
        self._mirror = mirror
        self._clock = clock

    async def explain(self, begins: str) -> Explained:
        """Explain the call whose id begins so; without, the newest that came to an agent.

        RefusedError if there is none, or more than one.
        """
        if not begins:
            return await self._newest()
        begins = ledger.check_prefix(begins)
        over = await ledger.read_ledger(self._store, begins)
        snapshot, now = self._mirror.snapshot, self._clock.now()
        call = ledger.only_one(begins, snapshot, over)
        for record in over.records:
            if record.call == call:
                return await self._record(record, over.revisions[call], now)
        return account.of_ticket(self._launcher, snapshot, snapshot.tickets[call].value, now)

    async def _newest(self) -> Explained:
        over = await ledger.read_ledger(self._store)
        decided = [record for record in over.records if record.decision is not None]
        if not decided:
            raise RefusedError(
                "no call has come to an agent and ended yet: place one by ./everline call"
            )
        newest = decided[0]
        return await self._record(newest, over.revisions[newest.call], self._clock.now())

    async def _record(self, record: CallRecord, ended_at: int, now: Now) -> Explained:
        """Explain a call that is over: from an edge's log, or else from what its record keeps."""
        logs = past.log_directories(self._lab, record)
        found = await asyncio.to_thread(past.find, logs, record, ended_at)
        if found is None:
            return account.of_record(self._launcher, self._mirror.snapshot, record, now)
        return account.of_past(self._launcher, record, found.account, found.then, now)
