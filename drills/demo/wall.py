"""What is going on this moment, from the changes of the shared state. PURE.

Owns the counts that a wallboard shows while the demo runs. They are for the eye: figures come from
the ledger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from drills.demo.history import Seen
from state.codec import decode
from state.errors import StateError
from state.keys import Kind, parse
from state.model import (
    EdgeLife,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    SiteId,
    Ticket,
    TicketState,
    Unreplicated,
)


@dataclass(slots=True)
class Wall:
    """The present state, by record."""

    tickets: dict[str, Ticket] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    ready: dict[str, SiteId] = field(default_factory=dict)
    edges: dict[str, SiteId] = field(default_factory=dict)
    unreplicated: dict[str, Unreplicated] = field(default_factory=dict)
    """By site: recordings which no other site has."""
    closed: int = 0
    """Tickets that are gone."""

    def take(self, seen: Seen) -> None:
        """Take in one change; one that cannot be read is none of the wall's business."""
        try:
            key = parse(seen.change.key)
            self._take(key.kind, key.id, seen.change.value, seen.change.key)
        except StateError:
            return

    def _take(self, kind: Kind, identifier: str, value: bytes | None, key: str) -> None:
        match kind:
            case Kind.TICKET if value is None:
                self.closed += self.tickets.pop(identifier, None) is not None
            case Kind.TICKET if value is not None:
                self.tickets[identifier] = decode(Ticket, value, key)
            case Kind.OFFER if value is None:
                self.offers.pop(identifier, None)
            case Kind.OFFER if value is not None:
                self.offers[identifier] = decode(Offer, value, key)
            case Kind.PRESENCE:
                presence = None if value is None else decode(Presence, value, key)
                self.ready.pop(identifier, None)
                if presence is not None and presence.state is PresenceState.READY:
                    self.ready[identifier] = presence.site
            case Kind.EDGE:
                self.edges.pop(identifier, None)
                if value is not None:
                    self.edges[identifier] = decode(EdgeLife, value, key).site
            case Kind.UNREPLICATED if value is not None:
                self.unreplicated[identifier] = decode(Unreplicated, value, key)
            case _:
                return

    def calls(self) -> Counter[TicketState]:
        """Return how many calls there are in each state."""
        return Counter(ticket.state for ticket in self.tickets.values())

    def held_at(self, site: SiteId) -> int:
        """Return how many calls a site's edges hold."""
        return sum(1 for ticket in self.tickets.values() if ticket.site == site)

    def agents_at(self, site: SiteId) -> tuple[int, int, int]:
        """Return a site's agents: free, ringing, talking."""
        mine = [agent for agent, home in self.ready.items() if home == site]
        states = [self.offers[agent].state for agent in mine if agent in self.offers]
        ringing = states.count(OfferState.RINGING)
        talking = states.count(OfferState.TALKING)
        return len(mine) - ringing - talking, ringing, talking

    def edges_at(self, site: SiteId) -> int:
        """Return how many of a site's edges live."""
        return sum(1 for home in self.edges.values() if home == site)
