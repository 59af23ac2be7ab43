"""Who has asked whom about which caller, as their telephones tell it. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from drills.prove.history import Consults, Event
from drills.prove.world import World
from state.model import AgentId, CallId, Offer, TicketState


def transferor_of(world: World, call: CallId) -> AgentId | None:
    """Return who has had a call last, and passed it on; None: nobody has."""
    ticket, _ = world.tickets.get(call, (None, 0))
    return None if ticket is None or not ticket.talks else ticket.talks[-1].agent


class Consultations:
    """All of a history. One that comes to nothing is one, too."""

    def __init__(self, events: Sequence[Event]) -> None:
        asked = [event for event in events if isinstance(event, Consults)]
        self._consulted = {(each.call, each.agent, each.to) for each in asked}
        self._of_calls = {(each.call, each.to) for each in asked}

    def by_who_talks(self, world: World, offer: Offer) -> bool:
        """Tell whether an offer is for a colleague whom the agent who talks has asked."""
        ticket, _ = world.tickets.get(offer.call, (None, 0))
        if ticket is None or ticket.state is not TicketState.CONNECTED or ticket.agent is None:
            return False
        return self.has(offer.call, ticket.agent, offer.agent)

    def has(self, call: CallId, agent: AgentId, colleague: AgentId) -> bool:
        """Tell whether an agent has asked a colleague about a caller."""
        return (call, agent, colleague) in self._consulted

    def aside(self, world: World, call: CallId) -> frozenset[AgentId]:
        """Return the agents held for a call that stands because they are, or have been, asked.

        Whoever has the caller, is to have them, or has just passed them on is none of these.
        """
        ticket, _ = world.tickets.get(call, (None, 0))
        if ticket is None:
            return frozenset()
        have = {ticket.agent, transferor_of(world, call)}
        return frozenset(
            offer.agent
            for offer, _ in world.offers.values()
            if offer.call == call
            and offer.agent not in have
            and (call, offer.agent) in self._of_calls
        )
