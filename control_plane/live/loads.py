"""What is carried into the database: calls that are over, and what is said of them afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.calls import store as calls
from control_plane.calls.store import PastCall
from control_plane.customers.store import by_number
from control_plane.history import store as history
from control_plane.history.store import Interaction
from control_plane.live.carrier import Carried, NotYetError
from control_plane.live.follower import Follower
from control_plane.live.look import Whose
from control_plane.live.talks import tenant_of
from state import keys
from state.codec import Record, decode_at
from state.errors import StateError
from state.model import CallId, CallRecord, Coding, Rested

log = structlog.get_logger()


class CallLoad:
    """Calls that are over, from the ledger."""

    name = calls.LEDGER
    prefix = keys.ENDED

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    async def take(self, connection: AsyncConnection, some: Sequence[Carried]) -> None:
        """Add calls, and let them stand in their callers' histories."""
        found = (
            self._past(record, revision)
            for record, revision in _read(some)
            if isinstance(record, CallRecord)
        )
        # One record a call: of several versions in a batch the last one counts.
        last = tuple({each.id: each for each in found}.values())
        await _tell_histories(connection, await calls.carry(connection, last))

    def tell(self, some: Sequence[Carried]) -> None:
        """Tell nobody: that a call has ended is told when its ticket goes."""

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
            callback_of=record.callback_of or "",
        )


class CodeLoad:
    """What calls were about."""

    name = calls.CODES
    prefix = keys.CODED

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._store = follower.store

    async def take(self, connection: AsyncConnection, some: Sequence[Carried]) -> None:
        """Write the codes beside their calls. Raise `NotYetError` where a call is not there yet."""
        # Asked before any call is looked for: what had been carried by then is seen afterwards.
        carried = await calls.carried(connection)
        for record, revision in _read(some):
            if not isinstance(record, Coding):
                continue
            if not await calls.set_code(connection, record.call, record.code, revision):
                await self._check_never_comes(record.call, carried)

    def tell(self, some: Sequence[Carried]) -> None:
        """Tell of which calls something new is known."""
        self._follower.say_coded(
            record.call for record, _ in _read(some) if isinstance(record, Coding)
        )

    async def _check_never_comes(self, call: CallId, carried: int) -> None:
        found = (await self._store.range(keys.ended(call), keys_only=True)).records
        if found and found[0].mod_revision > carried:
            raise NotYetError
        log.warning("code_of_no_call", call=call)


class RestLoad:
    """How long agents wrapped up, where that was not as their calls' records say."""

    name = calls.RESTS
    prefix = keys.RESTED

    async def take(self, connection: AsyncConnection, some: Sequence[Carried]) -> None:
        """Keep it beside the calls, also of one that is on: its first agent may be out of it."""
        for record, revision in _read(some):
            if isinstance(record, Rested):
                await calls.set_rests(connection, record, revision)

    def tell(self, some: Sequence[Carried]) -> None:
        """Tell nobody: figures are asked for."""


def _read(some: Iterable[Carried]) -> Iterator[tuple[Record, int]]:
    """Yield what can be read, and at which revision it was written."""
    for each in some:
        if each.value is None:
            continue
        try:
            yield decode_at(each.key, each.value), each.mod_revision
        except StateError as error:
            log.warning("not_carried", reason=str(error))


async def _tell_histories(connection: AsyncConnection, learnt: calls.Learnt) -> None:
    """Let a call stand in the history of whoever has the number it came from, as it ended."""
    for call in learnt.callers:
        for customer in await by_number(connection, call.tenant, call.caller):
            await history.add(connection, _entry(call, customer.id))
    for call in learnt.ends:
        for customer in await by_number(connection, call.tenant, call.caller):
            await history.correct(connection, _entry(call, customer.id))


def _entry(call: PastCall, customer: str) -> Interaction:
    return Interaction(
        tenant=call.tenant,
        customer=customer,
        at_ms=call.arrived_ms,
        kind="call",
        reference=call.id,
        what=call.outcome,
        by=call.agent,
    )
