"""A record that a call owes: what the next life of its edge writes if this one dies before. PURE.

While a call goes on, `foreseen` keeps what its ticket will say once all that was asked for has been
written: from that, and from how the call ended, its record can be made whether or not the store has
heard of any of it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.call_writes import (
    Close,
    CreateTicket,
    FreeAgent,
    GiveBack,
    MarkConnected,
    MarkHold,
    MarkQueued,
    Write,
)
from edge.acd.ending import AgentPart, Ending
from edge.acd.plan import Held, Plan
from edge.acd.reservation import ended, given_agent, turned_away
from state.model import AgentId, CallId, EdgeId, Now, Ticket, TicketState
from state.snapshot import Snapshot


class Owed(Struct, frozen=True, kw_only=True):
    """How a call ended."""

    ticket: Ticket
    """As it would have been, had everything been written."""
    ending: Ending
    part: AgentPart
    """The agent's, if one was held."""
    at: Now

    @property
    def call(self) -> CallId:
        """Which call."""
        return self.ticket.call


def given(ticket: Ticket, agent: AgentId) -> Ticket:
    """Return the ticket of a call that has been given an agent."""
    return replace(ticket, state=TicketState.OFFERED, agent=agent)


def foreseen(ticket: Ticket, write: Write) -> Ticket:
    """Return the ticket as it will be once `write` has landed."""
    match write:
        case CreateTicket(greeting=True):
            return replace(ticket, state=TicketState.GREETING, queued_ms=None)
        case CreateTicket(at=at) | MarkQueued(at=at):
            return replace(ticket, state=TicketState.QUEUED, queued_ms=at.wall_ms)
        case MarkConnected(at=at):
            connected_ms = ticket.connected_ms or at.wall_ms
            return replace(ticket, state=TicketState.CONNECTED, connected_ms=connected_ms)
        case GiveBack(tried=tried):
            agent = ticket.agent
            more = (agent,) if tried and agent is not None and agent not in ticket.tried else ()
            tried_by = (*ticket.tried, *more)
            return replace(ticket, state=TicketState.QUEUED, agent=None, tried=tried_by)
        case MarkHold() | FreeAgent() | Close():
            return ticket


def held_of(owed: Owed, snapshot: Snapshot, edge: EdgeId) -> Held | None:
    """Return what the edge that owes the record still holds of the call; None: nothing."""
    entry = snapshot.tickets.get(owed.call)
    if entry is None or entry.value.holder != edge:
        return None
    offers = (each for each in snapshot.offers.values() if each.value.call == owed.call)
    return Held(ticket=entry, given=next((given_agent(snapshot, each) for each in offers), None))


def debt_paid(owed: Owed, held: Held | None) -> Plan:
    """Plan to write the record, by the edge that owes it, which has the call no more.

    Refused if a record stands, or if another edge has the call: then nothing is owed.
    """
    if held is None:
        return turned_away(owed.ticket, owed.ending, owed.at)
    told = owed.ticket
    ticket = replace(
        held.ticket.value,
        queued_ms=told.queued_ms,
        connected_ms=told.connected_ms,
        agent=told.agent,
        tried=told.tried,
    )
    holding = replace(held, ticket=replace(held.ticket, value=ticket))
    return ended(holding, owed.ending, owed.part, owed.at)
