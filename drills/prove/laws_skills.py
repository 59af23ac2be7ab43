"""Whom the line gives a call can do what its queue asks for, at the level of that moment. PURE.

Whom the agent of a call has chosen, to pass the caller on or to ask, may be anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import Consults, Event, PassedOn, Stored
from drills.prove.needs import asked_for, meets, queue_of, skills_of
from drills.prove.violations import Law, Violation
from drills.prove.waits import Waits
from drills.prove.world import World, revisions
from state.keys import Kind
from state.model import Offer, TicketState


def check_skills(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the offers to agents who cannot do what was asked for."""
    waits, world = Waits(events), World()
    chosen = {(e.call, e.to) for e in events if isinstance(e, PassedOn | Consults)}
    for changes in revisions(events):
        held = {each.id: world.offers.get(each.id) for each in changes if each.kind is Kind.OFFER}
        queued = {
            each.value.call
            for each in changes
            if isinstance(each.value, Offer) and _waits_or_is_new(world, each.value.call)
        }
        world.apply(changes)
        for change in changes:
            if not isinstance(change.value, Offer):
                continue
            offer, stood = change.value, held[change.id]
            if stood is not None and stood[0].call == offer.call:
                continue
            # One that was made without a quorum is written when it is merged, wherever its call has
            # come to by then.
            if offer.granted is None:
                is_lines = offer.call in queued
            else:
                is_lines = (offer.call, offer.agent) not in chosen
            if is_lines:
                yield from _judge(world, waits, change, offer)


def _waits_or_is_new(world: World, call: str) -> bool:
    ticket, _ = world.tickets.get(call, (None, 0))
    return ticket is None or ticket.state is TicketState.QUEUED


def _judge(world: World, waits: Waits, change: Stored, offer: Offer) -> Iterator[Violation]:
    ticket, _ = world.tickets.get(offer.call, (None, 0))
    if ticket is None:
        return  # that is another law's
    waited_s = waits.most_s(ticket, offer.edge, change.at_s)
    asked = asked_for(world, ticket, waited_s)
    skills = skills_of(world, offer.agent)
    if asked is None or not meets(skills, asked):
        queue = queue_of(world, ticket)
        text = (
            f"{offer.agent} {dict(skills)} given to {offer.call} of "
            f"{ticket.queue if queue is None else queue.id} after {waited_s:.1f} s at most: {asked}"
        )
        yield Violation(law=Law.UNSKILLED, at_s=change.at_s, revision=change.revision, text=text)
