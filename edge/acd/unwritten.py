"""What the former life of an edge had decided of a call, and could not write any more. PURE.

Its journal has the ticket as it would have been; the store has what was written. Between the two
there may be agents who were out of the call: nobody else would free them before it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from edge.acd.ending import WITHDRAWN, AgentPart
from edge.acd.plan import GivenAgent, Held, Plan, put_ticket, rewritten, same_ticket
from edge.acd.relaxation import waited_s
from edge.acd.reservation import freeing_of
from state.model import Now, Ticket, WorkEnd


def let_go(
    held: Held, told: Ticket, out: Sequence[GivenAgent], at: Now, *, wrap_up_s: float
) -> Plan:
    """Plan to free agents who were `out`; `held`: without them. At least one.

    Who has talked rests, as they would have. A ticket that names one of them becomes what was
    `told` of it.
    """
    parts = {talk.agent: AgentPart(end=WorkEnd.TALKED, rest_s=wrap_up_s) for talk in told.talks}
    agents = [each.offer.value.agent for each in out]
    freeing = [
        freeing_of(each, parts.get(agent, WITHDRAWN), at)
        for agent, each in zip(agents, out, strict=True)
    ]
    ticket = held.ticket
    value = ticket.value
    if value.agent in agents:
        # A talk does not count as waiting.
        waits_s = waited_s(ticket, at) if told.connected_ms is None else value.waited_s
        value = replace(as_told(value, told), waited_s=waits_s)
    put = put_ticket(value)
    return Plan(
        compares=(same_ticket(ticket), *(each for one in freeing for each in one.compares)),
        success=(put, *(each for one in freeing for each in one.success)),
        proof=put,
        after=replace(held, ticket=rewritten(ticket, value, at)),
    )


def as_told(ticket: Ticket, told: Ticket) -> Ticket:
    """Return the ticket as it would have been; its place, which nobody has told of, stays."""
    return replace(
        ticket,
        state=told.state,
        agent=told.agent,
        queue=told.queue,
        needs=told.needs,
        any_of=told.any_of,
        attributes=told.attributes,
        priority=told.priority,
        tried=told.tried,
        connected_ms=told.connected_ms,
        talks=told.talks,
        talking_ms=told.talking_ms,
    )
