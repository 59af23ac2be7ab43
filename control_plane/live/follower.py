"""Follows the shared state: who talks to whom, and from which number each call came.

Owns what has to be remembered beyond a snapshot. Nothing of it is lost for good with this process:
another control plane that lived remembers the same, and what nobody knows is refused.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from control_plane.customers.talking import NOBODY
from control_plane.live import look
from control_plane.live.departed import Departed
from control_plane.live.look import CallFacts
from control_plane.live.talks import NONE, Talk, by_number, followed, is_on, tenant_of
from edge.acd.region import region_of
from state import keys
from state.clock import Clock
from state.codec import Record, decode_at
from state.errors import StateError
from state.keys import Kind
from state.mirror import Mirror
from state.model import AgentId, CallId, CallRecord, Coding, Ticket
from state.snapshot import Delta, Snapshot
from state.store import Store

BLIND_S: Final = 60.0
"""Without news of the shared state for so long, nobody is known to talk to anybody."""
KEPT: Final = 20_000
"""Callers of calls that are over, until their records have been carried over."""


class Follower:
    """What one control plane has seen."""

    def __init__(self, mirror: Mirror, store: Store, clock: Clock) -> None:
        self.mirror = mirror
        self.store = store
        self.clock = clock
        self._talks = NONE
        self._by_number: dict[tuple[str, str], tuple[Talk, ...]] | None = None
        self._callers: OrderedDict[CallId, str] = OrderedDict()
        self.departed = Departed(mirror.snapshot.revision, clock.now().wall_ms)
        self.reading = asyncio.Lock()
        """Held by whoever reads all of the ledger."""
        self.on_coded: Callable[[CallId], None] | None = None
        """Hears of calls that are over and of which it is now known what they were about."""
        mirror.subscribe(self.take)

    def take(self, snapshot: Snapshot, deltas: Iterable[Delta]) -> None:
        """Take in what has changed."""
        told = tuple(deltas)
        talks = followed(self._talks, snapshot, told)
        if talks is not self._talks:
            self._talks, self._by_number = talks, None
        self.departed.take(snapshot, told, self.clock.now().wall_ms)
        for delta in told:
            if delta.kind is Kind.TICKET and delta.before is not None and delta.after is None:
                self._remember(snapshot, delta.before.value)

    def _remember(self, snapshot: Snapshot, ticket: object) -> None:
        if isinstance(ticket, Ticket):
            self._callers[ticket.call] = look.known(snapshot, ticket)
            if len(self._callers) > KEPT:
                self._callers.popitem(last=False)

    def say_coded(self, calls: Iterable[CallId]) -> None:
        """Tell that the database knows now what these calls were about."""
        if self.on_coded is not None:
            for call in calls:
                self.on_coded(call)

    @property
    def is_blind(self) -> bool:
        """Whether it is too long ago that anything was heard."""
        return self.mirror.age_s > BLIND_S

    def caller(self, call: CallId) -> str:
        """Return from which number a call came; empty: not known here."""
        snapshot = self.mirror.snapshot
        ticket = look.live_call(snapshot, call)
        return self._callers.get(call, "") if ticket is None else look.known(snapshot, ticket)

    async def ended(self, call: CallId) -> CallFacts | None:
        """Return a call that is over as the ledger has it; None: it is not there, or unreadable."""
        record, coding = await self._read(keys.ended(call)), await self._read(keys.coded(call))
        if not isinstance(record, CallRecord):
            return None
        snapshot = self.mirror.snapshot
        return look.ended_call(
            record,
            tenant=tenant_of(snapshot, record.did, record.queue),
            caller=self.caller(call),
            who=look.Whose.of(snapshot, record.agent),
            code=coding.code if isinstance(coding, Coding) else "",
        )

    async def _read(self, key: str) -> Record | None:
        try:
            records = (await self.store.range(key)).records
            return decode_at(records[0].key, records[0].value) if records else None
        except StateError:
            return None

    def region(self, tenant: str) -> str | None:
        """Return in which country's form the numbers of a tenant's callers come."""
        return region_of(self.mirror.snapshot, tenant) or None

    def talk(self, agent: str) -> Talk | None:
        """Return the call that an agent has, or still wraps up."""
        talk = self._talks.get(AgentId(agent))
        if talk is None or self.is_blind:
            return None
        return talk if is_on(talk, self.mirror.snapshot, self.clock.now()) else None

    def to(self, tenant: str, number: str) -> frozenset[str] | None:
        """Return who talks to a number in calls of `tenant`; None: that is not known."""
        if self.is_blind:
            return None
        if self._by_number is None:
            self._by_number = by_number(self._talks)
        talks = self._by_number.get((tenant, number))
        if talks is None:
            return NOBODY
        snapshot, now = self.mirror.snapshot, self.clock.now()
        return frozenset(talk.agent for talk in talks if is_on(talk, snapshot, now))
