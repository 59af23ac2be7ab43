"""The transactions of a call's life, as values: what is compared, what is written.

Owns what may be written over what. Knows nothing of how a transaction is carried out, nor when one
is due (`edge.acd.call_state`).

The laws:

- Every record that a plan replaces or deletes is compared by mod_revision, and every record that it
  creates is compared to be absent. A stale plan fails; it never overwrites. But what an end says of
  a place (that the caller has one, or needs none any more) rests on the ticket alone.
- An agent's work record is written only with the deletion of their offer, so whoever holds the
  offer is its one writer. A ticket is deleted only with the writing of the call's record, so that
  there is one record.
- A plan may be sent again when its outcome is unknown: if it had been carried out the compares
  fail, and `plan.landed_at` tells from the answer that it had.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from edge.acd.call_writes import Leaving
from edge.acd.eligibility import work_revision
from edge.acd.ending import (
    NO_REST,
    WITHDRAWN,
    AgentPart,
    Ending,
    Holds,
    come_again,
    place_kept,
    record_of,
    taking_callback,
    talk_told,
)
from edge.acd.plan import (
    OWN,
    GivenAgent,
    Held,
    Plan,
    put_offer,
    put_ticket,
    rewritten,
    same_offer,
    same_ticket,
    same_work,
)
from edge.acd.relaxation import waited_s
from edge.acd.work import rest_over_s, work_after
from state import keys
from state.codec import encode
from state.model import (
    EdgeId,
    Entry,
    Now,
    Offer,
    OfferState,
    Outcome,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot
from state.store import Absent, Compare, Delete, ModIs, Put

# ---- a call's life, by its holder ----------------------------------------------------------------


def created(ticket: Ticket, at: Now) -> Plan:
    """Plan for an arrival: the ticket, unless some edge has, or had, this very call."""
    put = put_ticket(ticket)
    entry = Entry(value=ticket, create_revision=OWN, mod_revision=OWN, seen_s=at.mono_s)
    return Plan(
        compares=(Absent(key=put.key), Absent(key=keys.ended(ticket.call))),
        success=(put,),
        proof=put,
        after=Held(ticket=entry),
    )


def created_after_another(
    ticket: Ticket, record_revision: int, at: Now, *, is_claimed: bool = False
) -> Plan:
    """Plan for an arrival that another edge gave up just before: its record makes room.

    `record_revision`: the mod_revision of that record. The proxy sends a call on when an edge
    cannot serve it, cancels it at one of two that it has given it to, or the caller has the answers
    of both (`is_claimed`: by us. The claim goes with it, and is not compared: of one that was made
    without a quorum the store knows nothing); and a call has one record: that of the edge which had
    it last. The place that a record of a loss has left goes too: its caller was not cut off.
    """
    put = put_ticket(ticket)
    entry = Entry(value=ticket, create_revision=OWN, mod_revision=OWN, seen_s=at.mono_s)
    record = keys.ended(ticket.call)
    gone = [record, keys.place(ticket.call)]
    if is_claimed:
        gone.append(keys.claim(ticket.call))
    return Plan(
        compares=(Absent(key=put.key), ModIs(key=record, mod_revision=record_revision)),
        success=(put, *(Delete(key=key) for key in gone)),
        proof=put,
        after=Held(ticket=entry),
    )


def turned_away(ticket: Ticket, ending: Ending, at: Now) -> Plan:
    """Plan for a caller who may not wait: the record alone, unless some edge has the call."""
    record = record_of(ticket, ending, at)
    put = Put(key=keys.ended(record.call), value=encode(record))
    entry = Entry(value=ticket, create_revision=0, mod_revision=0, seen_s=at.mono_s)
    kept = place_kept(entry, ending, at) if ticket.call_back is not None else None
    said = (kept, come_again(ticket))
    return Plan(
        compares=(Absent(key=put.key), Absent(key=keys.ticket(record.call))),
        success=(put, *(each for each in said if each is not None)),
        proof=put,
        after=None,
    )


def queued(held: Held, at: Now) -> Plan:
    """Plan for the end of the greeting: the caller waits for an agent.

    Or waits on, if they have been given back a place in the meantime.
    """
    before = held.ticket.value
    waits_s = 0.0 if before.place is None else before.waited_s
    value = replace(before, state=TicketState.QUEUED, queued_ms=at.wall_ms, waited_s=waits_s)
    put = put_ticket(value)
    return Plan(
        compares=(same_ticket(held.ticket),),
        success=(put,),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, value, at)),
    )


def callback_taken(held: Held, at: Now) -> Plan:
    """Plan for a caller who wants to be called back: they hear so, and nobody is looked for."""
    before = replace(held.ticket.value, waited_s=waited_s(held.ticket, at))
    ticket = taking_callback(before)
    put = put_ticket(ticket)
    return Plan(
        compares=(same_ticket(held.ticket),),
        success=(put,),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, ticket, at)),
    )


def connected(held: Held, given: GivenAgent, at: Now) -> Plan:
    """Plan for the moment from which the agent and the caller hear each other."""
    offer = replace(
        given.offer.value, state=OfferState.TALKING, since_ms=at.wall_ms, hold_since_ms=None
    )
    before = held.ticket.value
    ticket = replace(
        before,
        state=TicketState.CONNECTED,
        connected_ms=before.connected_ms or at.wall_ms,
        talking_ms=None if before.connected_ms is None else at.wall_ms,
        waited_s=waited_s(held.ticket, at),
    )
    ticket_put, offer_put = put_ticket(ticket), put_offer(offer)
    return Plan(
        compares=(same_ticket(held.ticket), same_offer(given.offer)),
        success=(offer_put, ticket_put),
        proof=offer_put,
        after=replace(
            held,
            ticket=rewritten(held.ticket, ticket, at),
            given=replace(given, offer=rewritten(given.offer, offer, at)),
        ),
    )


def hold_turned(held: Held, given: GivenAgent, at: Now, *, on: bool) -> Plan:
    """Plan for the moment from which the agent has the caller on hold, or talks again."""
    offer = replace(given.offer.value, hold_since_ms=at.wall_ms if on else None)
    put = put_offer(offer)
    return Plan(
        compares=(same_offer(given.offer),),
        success=(put,),
        proof=put,
        after=replace(held, given=replace(given, offer=rewritten(given.offer, offer, at))),
    )


def offer_failed(held: Held, given: GivenAgent, part: AgentPart, at: Now, *, tried: bool) -> Plan:
    """Plan for an agent who did not take the call: the caller waits on, the agent rests.

    With `tried` the others come before this agent when the call is matched again.
    """
    before = held.ticket.value
    agent = given.offer.value.agent
    more = (agent,) if tried and agent not in before.tried else ()
    ticket = replace(
        before,
        state=TicketState.QUEUED,
        agent=None,
        tried=(*before.tried, *more),
        waited_s=waited_s(held.ticket, at),
    )
    put = put_ticket(ticket)
    freeing = freeing_of(given, part, at)
    return Plan(
        compares=(same_ticket(held.ticket), *freeing.compares),
        success=(put, *freeing.success),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, ticket, at), given=None, transferor=None),
    )


def agent_lost(  # noqa: PLR0913, PLR0917  what is held, and how the talk was
    held: Held,
    given: GivenAgent,
    part: AgentPart,
    at: Now,
    talk: Holds | None = None,
    site: SiteId | None = None,
) -> Plan:
    """Plan for an agent who was lost while talking: the caller waits again, at the old place.

    As long as before the talk, which does not count as waiting. When the two were connected stays
    in the ticket: the call was answered.
    """
    before = held.ticket.value
    if talk is not None:
        before = talk_told(before, talk, site, at)
    ticket = replace(before, state=TicketState.QUEUED, agent=None)
    put = put_ticket(ticket)
    freeing = freeing_of(given, part, at)
    return Plan(
        compares=(same_ticket(held.ticket), *freeing.compares),
        success=(put, *freeing.success),
        proof=put,
        after=replace(held, ticket=rewritten(held.ticket, ticket, at), given=None, transferor=None),
    )


def agent_freed(
    held: Held, given: GivenAgent, part: AgentPart, at: Now, *, leaving: Leaving | None = None
) -> Plan:
    """Plan to free the agents of a call whose end is not known yet: its ticket stays."""
    of_all = [
        freeing_of(
            each, part_of(each, part, leaving) if each is not held.consulted else WITHDRAWN, at
        )
        for each in held.agents or (given,)
    ]
    return Plan(
        compares=tuple(compare for each in of_all for compare in each.compares),
        success=tuple(operation for each in of_all for operation in each.success),
        proof=of_all[0].proof,
        after=Held(ticket=held.ticket),
    )


def ended(
    held: Held, ending: Ending, part: AgentPart, at: Now, *, leaving: Leaving | None = None
) -> Plan:
    """Plan for the end: the record instead of the ticket; agents who are held are freed.

    `part` says how, but of one who was `leaving`, or is consulted: whom they have asked is as free
    as before. It is ignored when nobody is held.
    """
    return _closing(held, ending, part, at, guard=(), leaving=leaving)


# ---- what the dead leave -------------------------------------------------------------------------


def edge_is_dead(edge: EdgeId) -> Compare:
    """Return the condition that the edge's lease has run out."""
    return Absent(key=keys.edge(edge))


def orphan_closed(  # noqa: PLR0913  what was seen, and on which conditions
    ticket: Entry[Ticket],
    given: GivenAgent | None,
    at: Now,
    *,
    cause: str = "edge_died",
    guard: Compare | None,
    seen_offer: int = 0,
) -> Plan:
    """Plan to close, as lost, a ticket whose holder is gone, and to free its agent.

    A survivor passes `guard=edge_is_dead(holder)`, so that an edge which lives again keeps its
    calls. An edge that clears away what its own former life left passes None.

    `given` is None, but the ticket names an agent: whoever plans has missed something, and would
    leave that agent held for nothing. So they are to have what was seen of them: `seen_offer`, the
    mod_revision of another call's offer, or of one that cannot be read; 0: nothing.
    """
    held = Held(ticket=ticket, given=given)
    ending = Ending(outcome=Outcome.LOST, cause=cause, talk=NO_REST)
    conditions: tuple[Compare, ...] = () if guard is None else (guard,)
    agent = ticket.value.agent
    if given is None and agent is not None:
        key = keys.offer(agent)
        as_seen = ModIs(key=key, mod_revision=seen_offer) if seen_offer else Absent(key=key)
        conditions = (*conditions, as_seen)
    return _closing(held, ending, WITHDRAWN, at, guard=conditions, is_guess=guard is not None)


def orphan_freed(given: GivenAgent, at: Now, *, guard: Compare | None) -> Plan:
    """Plan to free an agent whose offer is by an edge that is gone and has no ticket."""
    freeing = freeing_of(given, WITHDRAWN, at)
    return Plan(
        compares=freeing.compares if guard is None else (*freeing.compares, guard),
        success=freeing.success,
        proof=freeing.proof,
        after=None,
    )


def given_agent(snapshot: Snapshot, offer: Entry[Offer]) -> GivenAgent:
    """Return what somebody who did not make the offer needs in order to end it."""
    agent = offer.value.agent
    work = snapshot.works.get(agent)
    return GivenAgent(
        offer=offer,
        work=work,
        work_revision=work_revision(snapshot, agent),
        idle_s=0.0,
        since_s=offer.seen_s,
        rest_over_s=rest_over_s(snapshot.presences.get(agent), work),
    )


# ---- parts ---------------------------------------------------------------------------------------


class Freeing(Struct, frozen=True, kw_only=True):
    """The part of a plan that deletes an offer and writes what its agent has done."""

    compares: tuple[Compare, ...]
    success: tuple[Put | Delete, ...]
    proof: Put


def freeing_of(given: GivenAgent, part: AgentPart, at: Now) -> Freeing:
    """Return what frees an agent, and says what they have done."""
    agent = given.offer.value.agent
    work = work_after(
        agent,
        None if given.work is None else given.work.value,
        end=part.end,
        rest_s=part.rest_s,
        idle_s=given.idle_s,
        busy_s=at.mono_s - given.since_s,
        at=at,
        rest_over_s=given.rest_over_s,
        call=given.offer.value.call,
    )
    put = Put(key=keys.work(agent), value=encode(work))
    return Freeing(
        compares=(same_offer(given.offer), same_work(agent, given.work_revision)),
        success=(put, Delete(key=keys.offer(agent))),
        proof=put,
    )


def part_of(given: GivenAgent, part: AgentPart, leaving: Leaving | None) -> AgentPart:
    """Return how an agent's part ended: `part`, unless they had passed the caller on."""
    is_leaving = leaving is not None and leaving.agent == given.offer.value.agent
    return leaving.part if leaving is not None and is_leaving else part


def _closing(  # noqa: PLR0913  what is held, how it ended, and on which conditions
    held: Held,
    ending: Ending,
    part: AgentPart,
    at: Now,
    *,
    guard: tuple[Compare, ...],
    leaving: Leaving | None = None,
    is_guess: bool = False,
) -> Plan:
    record = record_of(held.ticket.value, ending, at)
    put = Put(key=keys.ended(record.call), value=encode(record))
    compares: tuple[Compare, ...] = (Absent(key=put.key), same_ticket(held.ticket))
    success: tuple[Put | Delete, ...] = (put, Delete(key=keys.ticket(record.call)))
    for given in held.agents:
        # Who was consulted has not talked with the caller, however that call ends.
        own = part_of(given, part, leaving) if given is not held.consulted else WITHDRAWN
        freeing = freeing_of(given, own, at)
        compares += freeing.compares
        success += freeing.success
    kept = place_kept(held.ticket, ending, at, is_guess=is_guess)
    if kept is not None:
        success += (kept,)
    if held.ticket.value.cut_off_of is not None and (said := come_again(held.ticket.value)):
        success += (said,)
    return Plan(compares=(*compares, *guard), success=success, proof=put, after=None)
