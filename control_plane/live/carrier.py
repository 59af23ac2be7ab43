"""Carries calls that are over from the shared state's ledger into the database, each once.

Every control plane does it; the database lets the first one add a call (docs/decisions). What has
failed is tried again, and the ledger keeps what was not carried meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls import store as calls
from control_plane.calls.store import PastCall
from control_plane.customers.store import by_number
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.history import store as history
from control_plane.history.store import Interaction
from control_plane.live.follower import Follower
from control_plane.live.look import Whose
from control_plane.live.talks import tenant_of
from state import keys
from state.codec import decode_at
from state.errors import CompactedError, StateError
from state.listing import read_all
from state.model import CallRecord
from state.raw import Change, KeyValue

log = structlog.get_logger()

RETRY_S: Final = 1.0
AT_ONCE: Final = 200


class Carrier:
    """Carries for ever."""

    def __init__(self, follower: Follower, database: Database) -> None:
        self._store = follower.store
        self._follower = follower
        self._database = database
        self._problem = ""

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            try:
                await self._carry_on()
            except CompactedError:
                # Changes that were not carried are no longer told one by one: read them all.
                await self._forget()
            except (StateError, DatabaseUnavailableError) as error:
                self._say(type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _forget(self) -> None:
        try:
            async with self._database.write() as connection:
                await calls.restart(connection)
        except DatabaseUnavailableError as error:
            self._say(type(error).__name__)

    async def _carry_on(self) -> None:
        # Whose a call is, its DID tells.
        await self._follower.mirror.wait_until(lambda snapshot: snapshot.revision > 0)
        async with self._database.read() as connection:
            at = await calls.carried(connection)
        newest = (await self._store.range(keys.ENDED, limit=1, keys_only=True)).revision
        if at == 0 or at > newest:  # at > newest: the shared state is another one
            at = await self._carry_all()
        async with aclosing(self._store.watch(keys.ENDED, at + 1)) as batches:
            async for batch in batches:
                if batch.changes:
                    await self._take(self._read(batch.changes), batch.revision)
                self._say("")

    async def _carry_all(self) -> int:
        async with self._database.write() as connection:
            await calls.restart(connection)
        listing = await read_all(self._store, keys.ENDED)
        records = listing.records
        for first in range(0, len(records), AT_ONCE):
            await self._take(self._read(records[first : first + AT_ONCE]), 0)
        await self._take((), listing.revision)
        return listing.revision

    async def _take(self, some: Iterable[PastCall], revision: int) -> None:
        # One record a call: of several versions in a batch the last one counts.
        last = tuple({each.id: each for each in some}.values())
        async with self._database.write() as connection:
            told = await calls.carry(connection, last, revision)
            await _tell_histories(connection, told)

    def _read(self, records: Sequence[KeyValue | Change]) -> Iterator[PastCall]:
        for each in records:
            if each.value is None:
                continue
            try:
                record = decode_at(each.key, each.value)
            except StateError as error:
                log.warning("call_not_carried", reason=str(error))
                continue
            if isinstance(record, CallRecord):
                yield self._past(record, each.mod_revision)

    def _past(self, record: CallRecord, revision: int) -> PastCall:
        snapshot = self._follower.mirror.snapshot
        who = Whose.of(snapshot, record.agent)
        return PastCall(
            id=record.call,
            tenant=tenant_of(snapshot, record.did, record.queue),
            did=record.did,
            queue=record.queue,
            site=record.site,
            agent=record.agent or "",
            agent_site=record.agent_site or "",
            team=who.team,
            employer=who.employer,
            caller=self._follower.caller(record.call),
            outcome=record.outcome.value,
            arrived_ms=record.arrived_ms,
            ended_ms=record.ended_ms,
            revision=revision,
            record=record,
        )

    def _say(self, problem: str) -> None:
        if problem != self._problem and problem:
            log.warning("calls_not_carried", because=problem)
        self._problem = problem


async def _tell_histories(connection: AsyncConnection, told: Iterable[PastCall]) -> None:
    """Let a call stand in the history of whoever has the number it came from."""
    for call in told:
        for customer in await by_number(connection, call.tenant, call.caller):
            await history.add(
                connection,
                Interaction(
                    tenant=call.tenant,
                    customer=customer.id,
                    at_ms=call.arrived_ms,
                    kind="call",
                    reference=call.id,
                    what=call.outcome,
                    by=call.agent,
                ),
            )
