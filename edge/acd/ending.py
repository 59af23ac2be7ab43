"""How a call ended, and what is kept of it: its record, and the place of one who was cut off. PURE.

Or that somebody has come again since, and needs none.

Owns what stands in them. When and over what they are written is `edge.acd.reservation`.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from state import keys
from state.codec import encode
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    Decision,
    Entry,
    Heir,
    Now,
    Outcome,
    Place,
    SiteId,
    Talk,
    Ticket,
    TicketState,
    WorkEnd,
)
from state.store import Put

_GOODBYES = frozenset({"both_silent", "caller_unreachable", "goodbye_unheard"})
"""Causes of a loss after which nobody is missed: somebody had hung up, as far as one can tell.

Not `agent_unheard` and `caller_unheard` (`edge.acd.call_farewell`): the talk was cut off before."""
_LONGEST_S = 10 * 366 * 86_400.0
"""Nobody waits for longer to be called back, whatever a record says: no file allows it."""
CALLBACK_TAKEN = "callback_taken"
"""Why a call ended whose caller was asked whether they want to be called back, and does."""
UNKNOWN_CALLER = "anonymous"
"""In place of a number that was withheld: nobody is known by it."""


class AgentPart(Struct, frozen=True, kw_only=True):
    """How an agent's part in a call ended, and for how long they are left alone."""

    end: WorkEnd
    rest_s: float = 0.0


class Holds(Struct, frozen=True, kw_only=True):
    """How often, and for how long, the agent of a talk that is over had the caller on hold.

    And for how long they are to wrap up.
    """

    count: int = 0
    total_s: float = 0.0
    wrap_up_s: float | None = None
    """None: nobody knows."""


WITHDRAWN = AgentPart(end=WorkEnd.WITHDRAWN)
"""Nothing the agent did: free at once."""
NO_REST = Holds(wrap_up_s=0.0)
"""Of a talk after which its agent is."""


class Ending(Struct, frozen=True, kw_only=True):
    """How a call ended, for its record."""

    outcome: Outcome
    cause: str
    decision: Decision | None = None
    """The last one made for this call."""
    agent_site: SiteId | None = None
    agent_sip_call_id: str | None = None
    holds: int = 0
    held_s: float = 0.0
    unrecorded: str = ""
    talk: Holds | None = None
    """Of the talk that ended with the call."""


def talk_told(ticket: Ticket, talk: Holds, site: SiteId | None, at: Now) -> Ticket:
    """Return the ticket with the talk in it that is over: its agent's, until now."""
    since_ms = ticket.talking_ms or ticket.connected_ms
    if ticket.agent is None or since_ms is None:
        return ticket
    told = Talk(
        agent=ticket.agent,
        site=site,
        since_ms=since_ms,
        until_ms=at.wall_ms,
        holds=talk.count,
        held_s=talk.total_s,
        wrap_up_s=talk.wrap_up_s,
        idle_s=ticket.idle_s,
    )
    return replace(ticket, talks=(*ticket.talks, told), talking_ms=None)


def taking_callback(ticket: Ticket) -> Ticket:
    """Return the ticket of a caller who wants to be called back: they are in the line no more."""
    is_waiting = ticket.state is TicketState.QUEUED
    state = TicketState.GREETING if is_waiting else ticket.state
    return replace(ticket, state=state, takes_callback=True)


def place_kept(
    ticket: Entry[Ticket], ending: Ending, at: Now, *, is_guess: bool = False
) -> Put | None:
    """Return what keeps the place of a caller who was cut off, or is to be called back.

    None: neither, or nobody knows who it was. One who was talking is to have the same agent first
    when they come again. `is_guess`: the edge that holds the call is taken for dead, and may only
    be cut off. Whom it was to call back and has not dialled it leaves to the others even then.
    """
    value, rules = ticket.value, ticket.value.call_back
    was_cut_off = ending.outcome is Outcome.LOST and ending.cause not in _GOODBYES
    # Who has been told that they will be called back is, whatever has ended the call then.
    is_sent_away = rules is not None and (
        ending.outcome is Outcome.CALLBACK
        or (value.takes_callback and ending.outcome is not Outcome.ANSWERED)
    )
    if not (was_cut_off or is_sent_away) or value.caller == UNKNOWN_CALLER:
        return None
    is_called_back = value.callback_of is not None and value.connected_ms is None
    may_go_on = is_guess and (value.callback_of is None or _was_dialled(value))
    place = Place(
        call=place_name(value),
        did=value.did,
        caller=value.caller,
        place=ticket.create_revision if value.place is None else value.place,
        waited_s=value.waited_s,
        has_heard_greeting=value.state is not TicketState.GREETING or value.takes_callback,
        prefers=value.agent if value.state is TicketState.CONNECTED else None,
        queue=value.queue,
        call_back=rules,
        due_s=_due_s(value, ending),
        until_ms=_until_ms(value, at),
        was_sent_away=is_sent_away or is_called_back,
        tries=value.tries if _was_dialled(value) else max(0, value.tries - 1),
        held_by=value.holder if may_go_on else None,
        held_at=value.site if may_go_on else None,
    )
    return Put(key=keys.place(place.call), value=encode(place))


def place_name(ticket: Ticket) -> CallId:
    """Return by which call the place of a ticket is kept: of who is called back, the first lost."""
    return ticket.callback_of or ticket.call


def come_again(ticket: Ticket) -> Put | None:
    """Return what says that a call in which its caller was cut off in talk leaves no place.

    None: it may, or there is none. They came again and have talked; whether that call is closed
    before this one or after it, and by whom.
    """
    lost = ticket.cut_off_of
    if lost is None or ticket.connected_ms is None:
        return None
    return Put(key=keys.heir(lost), value=encode(Heir(call=lost, heir=ticket.call)))


def _due_s(ticket: Ticket, ending: Ending) -> float | None:
    """Return after how long the caller is called back; None: they are not."""
    rules = ticket.call_back
    if rules is None:
        return None
    if ticket.tries and ticket.connected_ms is None:
        if not _was_dialled(ticket):
            return 0.0
        return rules.pause_s if ticket.tries < rules.tries else None
    is_at_once = ending.outcome is Outcome.CALLBACK or ticket.takes_callback
    return 0.0 if is_at_once else rules.after_lost_s


def _was_dialled(ticket: Ticket) -> bool:
    """Tell whether somebody's telephone may have rung: it does once an agent is reserved.

    Agents are rung once the caller has answered: of one who did not take them it is known.
    """
    is_waiting = ticket.state is TicketState.QUEUED and not ticket.tried
    return not is_waiting or ticket.connected_ms is not None


def _until_ms(ticket: Ticket, at: Now) -> int | None:
    rules = ticket.call_back
    if rules is None or ticket.until_ms is not None:
        return ticket.until_ms
    return at.wall_ms + int(min(max(0.0, rules.expires_s), _LONGEST_S) * 1000)


def rung_in_vain(ticket: Ticket) -> tuple[AgentId, ...]:
    """Return who declined a call, or let it ring.

    Not whoever has talked with the caller and put them into another queue: they come after all
    others there, as if they had.
    """
    talked = {each.agent for each in ticket.talks}
    return tuple(agent for agent in ticket.tried if agent not in talked)


def record_of(ticket: Ticket, ending: Ending, at: Now) -> CallRecord:
    """Return the record of a call that is over."""
    talked = ticket.connected_ms is not None
    wrap_up_s = None if ending.talk is None else ending.talk.wrap_up_s
    agent, agent_site, leg = ticket.agent, ending.agent_site, ending.agent_sip_call_id
    if ticket.talking_ms is not None:
        ticket = talk_told(ticket, ending.talk or Holds(), agent_site, at)
    elif ticket.talks and ticket.state is not TicketState.CONNECTED:
        # Nobody talks with them now: it was the last who did.
        agent, agent_site, leg = ticket.talks[-1].agent, ticket.talks[-1].site, None
    return CallRecord(
        call=ticket.call,
        did=ticket.did,
        queue=ticket.queue,
        outcome=ending.outcome,
        cause=ending.cause,
        edge=ticket.holder,
        site=ticket.site,
        via=ticket.via,
        sip_call_id=ticket.sip_call_id,
        arrived_ms=ticket.arrived_ms,
        queued_ms=ticket.queued_ms,
        connected_ms=ticket.connected_ms,
        ended_ms=at.wall_ms,
        agent=agent if talked else None,
        agent_site=agent_site if talked else None,
        agent_sip_call_id=leg if talked else None,
        tried=rung_in_vain(ticket),
        decision=ending.decision,
        estimate_s=ticket.estimate_s,
        holds=ending.holds,
        held_s=round(ending.held_s, 3),
        unrecorded=ending.unrecorded,
        talks=ticket.talks,
        callback_of=ticket.callback_of,
        wrap_up_s=wrap_up_s if talked and not ticket.talks else None,
        idle_s=ticket.idle_s if talked and not ticket.talks else None,
    )
