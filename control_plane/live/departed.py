"""PURE. The calls whose tickets have gone, for as long as they are remembered here.

A ticket goes in the transaction that writes the call's record. Who has seen it go, and finds no
record, knows of a call that nobody accounts for; the shared state alone could not tell.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from control_plane.live.talks import tenant_of
from state.keys import Kind
from state.model import CallId, EdgeId, SiteId, TenantId, Ticket
from state.snapshot import Delta, Snapshot

KEPT: Final = 50_000


class Gone(Struct, frozen=True, kw_only=True):
    """A call whose ticket has gone."""

    call: CallId
    tenant: TenantId
    site: SiteId
    edge: EdgeId
    """That held it last."""
    revision: int
    """At the latest of which it went."""
    at_ms: int
    """When that was heard of here."""


class Departed:
    """All that one control plane has seen go."""

    def __init__(self, revision: int, at_ms: int) -> None:
        self.since_revision = revision
        """From here on none is missing; 0: nothing has been seen yet."""
        self.since_ms = at_ms
        self._gone: OrderedDict[CallId, Gone] = OrderedDict()

    @property
    def all(self) -> tuple[Gone, ...]:
        """Return them, as they went."""
        return tuple(self._gone.values())

    def knows(self, after: int, since_ms: int) -> bool:
        """Return whether all are here that have gone after a revision, or since a time."""
        if not self.since_revision:
            return False
        return after >= self.since_revision or since_ms > self.since_ms

    def take(self, snapshot: Snapshot, deltas: Iterable[Delta], at_ms: int) -> None:
        """Take in what has changed."""
        if not self.since_revision:
            self.since_revision, self.since_ms = snapshot.revision, at_ms
        for delta in deltas:
            if delta.kind is Kind.TICKET and delta.before is not None and delta.after is None:
                self._note(snapshot, delta.before.value, at_ms)

    def _note(self, snapshot: Snapshot, ticket: object, at_ms: int) -> None:
        if not isinstance(ticket, Ticket):
            return
        self._gone[ticket.call] = Gone(
            call=ticket.call,
            tenant=tenant_of(snapshot, ticket.did, ticket.queue),
            site=ticket.site,
            edge=ticket.holder,
            revision=snapshot.revision,
            at_ms=at_ms,
        )
        self._gone.move_to_end(ticket.call)
        if len(self._gone) > KEPT:
            _, forgotten = self._gone.popitem(last=False)
            self.since_revision, self.since_ms = forgotten.revision, forgotten.at_ms
