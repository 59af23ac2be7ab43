"""Histories of callers who come again: what is left to them, and who has it."""

from __future__ import annotations

from msgspec.structs import replace

from state.keys import Kind
from state.model import AgentId, CallId, Heir, Outcome, Place, Ticket, TicketState
from tests.prove.histories import Tale

CALLER = "+49"


def comes(  # noqa: PLR0913 - who comes, and where to
    tale: Tale,
    call: str,
    *,
    holder: str = "a1",
    caller: str = CALLER,
    again_of: str = "",
    again: str = "",
    queue: str = "q",
) -> int:
    """Let a caller come, of whom their edge knows the calls `again_of`; in truth it is `again`."""
    ticket = tale.arrives(call, holder=holder, again=again, queue=queue)
    earlier = tuple(map(CallId, again_of.split()))
    return tale.store(tale.ticket(replace(ticket, caller=caller, again_of=earlier)))


def inherits(  # noqa: PLR0913 - who, of whom, and what
    tale: Tale,
    call: str,
    left: str,
    place: int | None,
    agent: str = "a01",
    *,
    waited_s: float = 30.0,
) -> int:
    """Let a call that waits be given an agent at the place of another, with its wait."""
    own = replace(
        tale.ticket_of(call),
        state=TicketState.OFFERED,
        agent=AgentId(agent),
        place=place,
        waited_s=waited_s,
    )
    offer = (Kind.OFFER, agent, tale.offer_of(call, agent))
    heir = (Kind.HEIR, left, Heir(call=CallId(left), heir=CallId(call)))
    return tale.store(offer, tale.ticket(own), heir)


def is_lost(tale: Tale, call: str, place: int) -> int:
    """Let a call be closed as a dead edge's, and leave its place."""
    ticket = tale.ticket_of(call)
    kept = Place(call=ticket.call, did=ticket.did, caller=ticket.caller, place=place)
    record = tale.record(call, Outcome.LOST, cause="edge_died")
    return tale.store(
        (Kind.ENDED, call, record), (Kind.TICKET, call, None), (Kind.PLACE, call, kept)
    )


def has_back(tale: Tale, call: str, left: str, place: int, waited_s: float = 0.0) -> int:
    """Let a call that waits be given a place that was left, and what was waited there."""
    own: Ticket = replace(tale.ticket_of(call), place=place, waited_s=waited_s)
    return tale.store(tale.ticket(own), (Kind.PLACE, left, None))
