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
    FreeTransferor,
    GiveBack,
    HandBack,
    Leaving,
    MarkConnected,
    MarkHold,
    MarkQueued,
    MoveToQueue,
    PassOn,
    TakeCallback,
    Write,
)
from edge.acd.ending import AgentPart, Ending, taking_callback, talk_told
from edge.acd.plan import Held, Plan
from edge.acd.reservation import ended, given_agent, turned_away
from edge.acd.transferring import in_queue
from edge.acd.unwritten import as_told
from state.model import AgentId, CallId, EdgeId, Now, SiteId, Ticket, TicketState, WorkEnd
from state.snapshot import Snapshot


class Owed(Struct, frozen=True, kw_only=True):
    """How a call ended."""

    ticket: Ticket
    """As it would have been, had everything been written."""
    ending: Ending
    part: AgentPart
    """The agent's, if one was held."""
    at: Now
    leaving: Leaving | None = None
    wrap_up_s: float = 0.0
    """For how long rests who has talked."""

    @property
    def call(self) -> CallId:
        """Which call."""
        return self.ticket.call

    @property
    def sip_call_ids(self) -> frozenset[str]:
        """The Call-IDs of its legs, as far as they are known."""
        known = (self.ticket.sip_call_id, self.ending.agent_sip_call_id)
        return frozenset(each for each in known if each)


def given(ticket: Ticket, agent: AgentId, idle_s: float | None) -> Ticket:
    """Return the ticket of a call that has been given an agent, who had been free for so long."""
    return replace(ticket, state=TicketState.OFFERED, agent=agent, idle_s=idle_s)


def foreseen(ticket: Ticket, write: Write, site: SiteId | None = None) -> Ticket:  # noqa: C901, PLR0911 - one case a write
    """Return the ticket as it will be once `write` has landed; `site`: its agent's."""
    match write:
        case CreateTicket(greeting=True):
            return replace(ticket, state=TicketState.GREETING, queued_ms=None)
        case CreateTicket(at=at) | MarkQueued(at=at):
            return replace(ticket, state=TicketState.QUEUED, queued_ms=at.wall_ms)
        case TakeCallback():
            return taking_callback(ticket)
        case MarkConnected(at=at):
            return replace(
                ticket,
                state=TicketState.CONNECTED,
                connected_ms=ticket.connected_ms or at.wall_ms,
                talking_ms=None if ticket.connected_ms is None else at.wall_ms,
            )
        case PassOn(talk=talk, at=at):
            return talk_told(ticket, talk, site, at)
        case MoveToQueue(queue=queue, talk=talk, at=at):
            return in_queue(talk_told(ticket, talk, site, at), queue)
        case GiveBack(tried=tried, talk=talk, at=at):
            if talk is not None:
                ticket = talk_told(ticket, talk, site, at)
            agent = ticket.agent
            more = (agent,) if tried and agent is not None and agent not in ticket.tried else ()
            tried_by = (*ticket.tried, *more)
            return replace(ticket, state=TicketState.QUEUED, agent=None, tried=tried_by)
        case HandBack(agent=agent):
            return given(ticket, agent, 0.0)
        case MarkHold() | FreeTransferor() | FreeAgent() | Close():
            return ticket


def held_of(owed: Owed, snapshot: Snapshot, edge: EdgeId) -> Held | None:
    """Return what the edge that owes the record still holds of the call; None: nothing."""
    entry = snapshot.tickets.get(owed.call)
    if entry is None or entry.value.holder != edge:
        return None
    offers = [each for each in snapshot.offers.values() if each.value.call == owed.call]
    told, leaving = owed.ticket, owed.leaving
    had = {told.agent, *(talk.agent for talk in told.talks), leaving and leaving.agent}
    # Whoever neither had the caller nor was to have them was asked about them.
    asked = next((each for each in offers if each.value.agent not in had), None)
    held = [given_agent(snapshot, each) for each in offers if each is not asked]
    given, transferor = (*held, None, None)[:2]
    consulted = None if asked is None else given_agent(snapshot, asked)
    return Held(ticket=entry, given=given, transferor=transferor, consulted=consulted)


def debt_paid(owed: Owed, held: Held | None) -> Plan:
    """Plan to write the record, by the edge that owes it, which has the call no more.

    Refused if a record stands, or if another edge has the call: then nothing is owed.
    """
    if held is None:
        return turned_away(owed.ticket, owed.ending, owed.at)
    ticket = as_told(held.ticket.value, owed.ticket)
    holding = replace(held, ticket=replace(held.ticket, value=ticket))
    return ended(holding, owed.ending, owed.part, owed.at, leaving=owed.leaving or _left(owed))


def _left(owed: Owed) -> Leaving | None:
    """Return the part of one who had talked and was out of the call, but for that being written."""
    told, part = owed.ticket, AgentPart(end=WorkEnd.TALKED, rest_s=owed.wrap_up_s)
    out = (talk.agent for talk in reversed(told.talks) if talk.agent != told.agent)
    return next((Leaving(agent=agent, part=part) for agent in out), None)
