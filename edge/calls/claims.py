"""What an edge does that was refused the ticket of a call: waits for room, and claims the call.

The shell of `edge.acd.yielding.when_refused`. Owns the claim, from its writing to its deletion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct

from edge.acd.yielding import REFUSAL_S, TakeOver, Todo, is_anothers, when_refused
from state import keys
from state.clock import Clock
from state.codec import decode, encode
from state.errors import CodecError, OutcomeUnknownError, StoreError, UnavailableError
from state.model import CallId, Claim, EdgeId
from state.raw import KeyValue
from state.store import Absent, Delete, Get, Got, ModIs, Put, Store

log = structlog.get_logger()

_LOOK_S = 0.05
_LATER_S = 0.25
"""Who has not given way in the first second is slow, or dead; a site that was frozen may have many
such calls at once."""
_AWAY_S = 2.0


class Room(Struct, frozen=True, kw_only=True):
    """The record of the call makes room for this edge's."""

    record_revision: int
    is_claimed: bool
    """Whether a claim of ours goes with it."""


class Caller(Struct, frozen=True, kw_only=True):
    """What is known of a call's caller."""

    is_acknowledged: bool = False
    """They have acknowledged our answer."""
    has_left: bool = False
    """Their leg is over."""


class Claims:
    """Those of one call at one edge."""

    def __init__(self, *, store: Store, clock: Clock, call: CallId) -> None:
        self._store = store
        self._clock = clock
        self._call = call
        self._left_s: float | None = None
        self._claimed_s: float | None = None
        self._revision: int | None = None

    async def room(
        self, edge: EdgeId, caller: Callable[[], Caller], *, waits: bool = True
    ) -> Room | None:
        """Wait until the call's record makes room for `edge`; None: it does not.

        Goes on asking while the store is away. Without `waits` only what stands there counts.
        """
        began_s = self._clock.now().mono_s
        was_anothers = False
        while True:
            try:
                record, ticket = await self._stands()
                was_anothers = was_anothers or is_anothers(edge, ticket)
                now_s = self._clock.now().mono_s
                todo = when_refused(
                    edge,
                    record=record,
                    ticket=ticket,
                    was_anothers=was_anothers,
                    is_acknowledged=self._has_ack(caller(), now_s),
                    waited_s=now_s - began_s,
                    claimed_s=None if self._claimed_s is None else now_s - self._claimed_s,
                )
                if isinstance(todo, Todo) and not waits:
                    todo = Todo.GIVE_UP
                if todo is Todo.CLAIM:
                    await self._claim(edge)
            except (UnavailableError, OutcomeUnknownError):
                await asyncio.sleep(_AWAY_S)
                continue
            except (StoreError, CodecError) as error:
                log.warning("record_not_read", call=self._call, error=str(error))
                todo = Todo.GIVE_UP
            if isinstance(todo, TakeOver):
                is_claimed = self._revision is not None
                return Room(record_revision=todo.record_revision, is_claimed=is_claimed)
            if todo is Todo.GIVE_UP:
                await self.withdraw()
                return None
            await asyncio.sleep(self._pause_s(began_s))

    def _has_ack(self, caller: Caller, now_s: float) -> bool:
        """Tell whether our answer is the caller's.

        Who has two, and keeps the other's, acknowledges ours and hangs up on it: the other edge may
        have their ACK a moment later, as its 200 comes again after half a second.
        """
        if not caller.has_left:
            return caller.is_acknowledged
        self._left_s = now_s if self._left_s is None else self._left_s
        return caller.is_acknowledged and now_s - self._left_s >= REFUSAL_S

    def _pause_s(self, began_s: float) -> float:
        since_s = began_s if self._claimed_s is None else self._claimed_s
        return _LOOK_S if self._clock.now().mono_s - since_s < REFUSAL_S else _LATER_S

    async def withdraw(self) -> None:
        """Delete the claim, if one stands; one that cannot be deleted is the janitor's."""
        revision, self._revision = self._revision, None
        if revision is None:
            return
        key = keys.claim(self._call)
        try:
            await self._store.txn((ModIs(key=key, mod_revision=revision),), (Delete(key=key),))
        except StoreError as error:
            log.warning("claim_not_withdrawn", call=self._call, error=str(error))

    async def _stands(self) -> tuple[KeyValue | None, KeyValue | None]:
        # Not by a transaction: a read waits for no write, and whoever comes now must not pass.
        record = await self._read(keys.ended(self._call))
        return record, None if record is not None else await self._read(keys.ticket(self._call))

    async def _read(self, key: str) -> KeyValue | None:
        found = await self._store.range(key)
        return next(iter(found.records), None)

    async def _claim(self, edge: EdgeId) -> None:
        key = keys.claim(self._call)
        put = Put(key=key, value=encode(Claim(call=self._call, edge=edge)))
        result = await self._store.txn((Absent(key=key),), (put,), (Get(key=key),))
        revision: int | None = result.revision
        if not result.succeeded:
            # An attempt that landed unheard; or a third edge has claimed it too.
            found = result.responses[0]
            stood = found.record if isinstance(found, Got) else None
            is_ours = stood is not None and decode(Claim, stood.value, key).edge == edge
            revision = stood.mod_revision if stood is not None and is_ours else None
        self._revision = revision
        self._claimed_s = self._clock.now().mono_s
        log.warning("call_claimed", call=self._call, is_ours=revision is not None)
