"""What stands in an edge's own name for calls that it does not hold any more. PURE.

It let go of them because it was told that they were over. What shows them still is a copy that is
older than that, or the store, if nobody has cleared them away yet. Their callers are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from state import keys
from state.codec import decode
from state.errors import CodecError
from state.model import CallId, EdgeId, Offer
from state.raw import KeyValue
from state.snapshot import Snapshot

Holds: TypeAlias = Callable[[CallId], bool]
"""Tells whether an edge holds a call, or owes its record."""


def holds_all(_: CallId) -> bool:
    """Take every call that stands in the edge's name for one that it holds."""
    return True


def abandoned(snapshot: Snapshot, edge: EdgeId, holds: Holds) -> Iterator[str]:
    """Yield the keys of the tickets and offers in an edge's name for calls that it has not."""
    for call, ticket in snapshot.tickets.items():
        if ticket.value.holder == edge and not holds(call):
            yield keys.ticket(call)
    for agent, offer in snapshot.offers.items():
        if is_abandoned(offer.value, edge, holds):
            yield keys.offer(agent)


def is_abandoned(offer: Offer, edge: EdgeId, holds: Holds) -> bool:
    """Tell whether an edge has given somebody to a call that it does not hold any more."""
    return offer.edge == edge and not holds(offer.call)


def stands_abandoned(offer: KeyValue, edge: EdgeId, holds: Holds) -> bool:
    """Tell it of an offer as the store has it."""
    try:
        return is_abandoned(decode(Offer, offer.value, offer.key), edge, holds)
    except CodecError:
        return False
