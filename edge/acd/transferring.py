"""The transactions of a transfer, as values; the others of a call are `edge.acd.reservation`'s.

The laws there hold here. One more: while a call is being passed on, or its agent consults another,
it holds two agents, each by an offer of their own; the ticket names the one who has, or is to have,
the caller. What is done about a colleague who is consulted touches neither of them.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd.ending import AgentPart, Holds, talk_told
from edge.acd.granting import reserved
from edge.acd.match import Offering
from edge.acd.plan import (
    GivenAgent,
    Held,
    Plan,
    put_offer,
    put_ticket,
    rewritten,
    same_offer,
    same_ticket,
)
from edge.acd.reservation import freeing_of
from edge.acd.token import Token
from edge.acd.work import idle_told_s
from state.model import EdgeId, Now, OfferState, Queue, SiteId, Ticket, TicketState
from state.snapshot import Snapshot


def passed_on(held: Held, talk: Holds, site: SiteId | None, at: Now) -> Plan:
    """Plan for the moment from which the agent does not talk with the caller any more."""
    ticket = talk_told(held.ticket.value, talk, site, at)
    put = put_ticket(ticket)
    return Plan(
        compares=(same_ticket(held.ticket),),
        success=(put,),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, ticket, at)),
    )


def target_reserved(  # noqa: PLR0913  as `reserved`
    offering: Offering,
    held: Held,
    snapshot: Snapshot,
    *,
    edge: EdgeId,
    at: Now,
    alone: Token | None = None,
) -> Plan:
    """Plan to give a second agent to the call; the first stays held as the transferor."""
    before = held.ticket.value
    plan = reserved(offering, held, snapshot, edge=edge, at=at, alone=alone)
    if plan.after is None:
        return plan
    # The talk that is over does not count as waiting.
    ticket = replace(plan.after.ticket.value, waited_s=before.waited_s)
    put = put_ticket(ticket)
    return replace(
        plan,
        success=(plan.proof, put),
        after=replace(
            plan.after,
            ticket=replace(plan.after.ticket, value=ticket),
            transferor=held.given,
        ),
    )


def handed_back(held: Held, target: GivenAgent, part: AgentPart, at: Now) -> Plan:
    """Plan for a target who cannot be had: free; the transferor has the caller again."""
    transferor = held.transferor
    agent = None if transferor is None else transferor.offer.value.agent
    ticket = replace(held.ticket.value, state=TicketState.OFFERED, agent=agent, idle_s=0.0)
    put = put_ticket(ticket)
    freeing = freeing_of(target, part, at)
    return Plan(
        compares=(same_ticket(held.ticket), *freeing.compares),
        success=(put, *freeing.success),
        proof=put,
        after=replace(
            held, ticket=rewritten(held.ticket, ticket, at), given=transferor, transferor=None
        ),
    )


def transferor_freed(held: Held, transferor: GivenAgent, part: AgentPart, at: Now) -> Plan:
    """Plan for a transferor who is out."""
    freeing = freeing_of(transferor, part, at)
    return Plan(
        compares=freeing.compares,
        success=freeing.success,
        proof=freeing.proof,
        after=replace(held, transferor=None),
    )


def moved(  # noqa: PLR0913, PLR0917  who leaves, where to, and how the talk was
    held: Held,
    given: GivenAgent,
    queue: Queue,
    part: AgentPart,
    talk: Holds,
    site: SiteId | None,
    at: Now,
) -> Plan:
    """Plan for a caller who is put into another queue: their agent is free.

    They keep what they have waited, and their place counts there as if they had come to it then.
    """
    ticket = in_queue(talk_told(held.ticket.value, talk, site, at), queue)
    put = put_ticket(ticket)
    freeing = freeing_of(given, part, at)
    return Plan(
        compares=(same_ticket(held.ticket), *freeing.compares),
        success=(put, *freeing.success),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, ticket, at), given=None, transferor=None),
    )


def in_queue(ticket: Ticket, queue: Queue) -> Ticket:
    """Return the ticket of a caller who now waits by the rules of `queue`.

    The agent who has put them there comes after all others.
    """
    return replace(
        ticket,
        queue=queue.id,
        needs=queue.needs,
        any_of=queue.any_of,
        attributes=queue.attributes,
        priority=queue.priority,
        state=TicketState.QUEUED,
        agent=None,
        tried=() if ticket.agent is None else (ticket.agent,),
        prefers=None,
    )


# ---- an agent consults another -------------------------------------------------------------------


def consulted(  # noqa: PLR0913  as `reserved`
    offering: Offering,
    held: Held,
    snapshot: Snapshot,
    *,
    edge: EdgeId,
    at: Now,
    alone: Token | None = None,
) -> Plan:
    """Plan to give a second agent to the call, whom the first wants to ask: the ticket stays."""
    plan = reserved(offering, held, snapshot, edge=edge, at=at, alone=alone)
    colleague = None if plan.after is None else plan.after.given
    return replace(plan, success=(plan.proof,), after=replace(held, consulted=colleague))


def consulted_talks(held: Held, colleague: GivenAgent, at: Now) -> Plan:
    """Plan for the moment from which the two agents hear each other."""
    offer = replace(colleague.offer.value, state=OfferState.TALKING, since_ms=at.wall_ms)
    put = put_offer(offer)
    return Plan(
        compares=(same_offer(colleague.offer),),
        success=(put,),
        proof=put,
        after=replace(
            held, consulted=replace(colleague, offer=rewritten(colleague.offer, offer, at))
        ),
    )


def consulted_freed(held: Held | None, colleague: GivenAgent, part: AgentPart, at: Now) -> Plan:
    """Plan for a colleague who is not consulted any more, and does not have the caller."""
    freeing = freeing_of(colleague, part, at)
    return Plan(
        compares=freeing.compares,
        success=freeing.success,
        proof=freeing.proof,
        after=None if held is None else replace(held, consulted=None),
    )


def handed_over(held: Held, colleague: GivenAgent, at: Now) -> Plan:
    """Plan to let the colleague have the caller; who has consulted them is the transferor now.

    The talk that is over has been told (`passed_on`).
    """
    ticket = replace(
        held.ticket.value,
        state=TicketState.OFFERED,
        agent=colleague.offer.value.agent,
        idle_s=idle_told_s(colleague.work, colleague.idle_s),
    )
    put = put_ticket(ticket)
    return Plan(
        compares=(same_ticket(held.ticket), same_offer(colleague.offer)),
        success=(put,),
        proof=put,
        after=replace(
            held,
            ticket=rewritten(held.ticket, ticket, at),
            given=colleague,
            transferor=held.given,
            consulted=None,
        ),
    )
