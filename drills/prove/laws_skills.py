"""Whom the line gives a call can do what its queue asks for, at the level of that moment. PURE.

Each offer is judged by what its caller can have waited at most when it was made; each decision by
what they had waited at least, too: then they may have overflowed to a queue that asks for something
else. Whom the agent of a call has chosen, to pass the caller on or to ask, may be anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.decisions import Due, decided_on
from drills.prove.history import Consults, Event, PassedOn, Stored
from drills.prove.needs import Asked, able, meets, queue_of, stages
from drills.prove.violations import Law, Violation
from drills.prove.waits import Waits
from drills.prove.world import World, revisions
from state.keys import Kind
from state.model import Offer, Ticket, TicketState


def check_skills(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the offers to agents who cannot do what was asked for."""
    waits = Waits(events)
    yield from _check_offers(events, waits)
    for world, due in decided_on(events):
        yield from _judge_decision(world, waits, due)


def _check_offers(events: Sequence[Event], waits: Waits) -> Iterator[Violation]:
    world = World()
    chosen = {(e.call, e.to) for e in events if isinstance(e, PassedOn | Consults)}
    for changes in revisions(events):
        held = {each.id: world.offers.get(each.id) for each in changes if each.kind is Kind.OFFER}
        calls = {each.value.call for each in changes if isinstance(each.value, Offer)}
        before = {call: world.tickets.get(call, (None, 0))[0] for call in calls}
        world.apply(changes)
        for change in changes:
            if not isinstance(change.value, Offer):
                continue
            offer, stood = change.value, held[change.id]
            if stood is not None and stood[0].call == offer.call:
                continue
            ticket = before[offer.call]
            # One that was made without a quorum is written when it is merged, wherever its call has
            # come to by then.
            if offer.granted is None:
                is_lines = ticket is None or ticket.state is TicketState.QUEUED
            else:
                ticket, is_lines = None, (offer.call, offer.agent) not in chosen
            if is_lines:
                said_s = 0.0 if ticket is None else ticket.waited_s
                yield from _judge(world, waits, (change, offer), said_s)


def _judge(
    world: World, waits: Waits, put: tuple[Stored, Offer], least_s: float
) -> Iterator[Violation]:
    """Judge an offer to a caller of whom their ticket has said that they had waited so long."""
    change, offer = put
    ticket, _ = world.tickets.get(offer.call, (None, 0))
    if ticket is None:
        return  # that is another law's
    most_s = waits.most_s(ticket, offer.edge, change.at_s)
    if not _suits(world, offer.agent, stages(world, ticket, least_s, most_s)):
        yield _unskilled(world, change, ticket, offer.agent, f"at most {most_s:.1f}")


def _judge_decision(world: World, waits: Waits, due: Due) -> Iterator[Violation]:
    """Judge a decision whose offer may be right by what the ticket says alone."""
    ticket, _ = world.tickets.get(due.change.id, (None, 0))
    if ticket is None:
        return
    most_s = waits.most_s(ticket, due.by, due.given_s)
    least_s, winner = waits.least_s(world, ticket, due), due.decision.winner
    loose, tight = (stages(world, ticket, s, most_s) for s in (ticket.waited_s, least_s))
    if _suits(world, winner, loose) and not _suits(world, winner, tight):
        yield _unskilled(world, due.change, ticket, winner, f"at least {least_s:.1f}")


def _suits(world: World, agent: str, asked: Sequence[Asked]) -> bool:
    return any(meets(able(world, agent), each) for each in asked)


def _unskilled(world: World, change: Stored, ticket: Ticket, agent: str, waited: str) -> Violation:
    queue = queue_of(world, ticket)
    text = (
        f"{agent}, who can do {able(world, agent)}, given to {ticket.call} of "
        f"{ticket.queue if queue is None else queue.id} after {waited} s"
    )
    return Violation(law=Law.UNSKILLED, at_s=change.at_s, revision=change.revision, text=text)
