"""The laws that every revision of the shared state keeps. PURE.

They need no leniency: a transaction is one revision, and the history of the store is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.consultations import Consultations, transferor_of
from drills.prove.history import Broken, Event, FaultKind, Stored
from drills.prove.violations import Law, Violation
from drills.prove.world import Lone, World, revisions
from state.keys import Kind
from state.model import (
    CallId,
    CallRecord,
    Offer,
    OfferState,
    Outcome,
    PresenceState,
    Ticket,
    TicketState,
)

EDGE_DIED = "edge_died"
CANCELLED = "caller_cancelled"
ACKNOWLEDGED_ELSEWHERE = "acknowledged_elsewhere"
"""An edge has given a call up to another, whose answer the caller has acknowledged."""


def check_store(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield what breaks a law, in the order of revisions."""
    kills, asked = _kills(events), Consultations(events)
    world, lone = World(), Lone(events)
    for changes in revisions(events):
        before = _Before(world, changes)
        world.apply(changes)
        for change in changes:
            match change.value:
                case Offer() as offer:
                    yield from _offer_put(before, world, change, offer, asked)
                case Ticket() as ticket:
                    yield from _ticket_put(before, world, change, ticket, lone)
                case CallRecord() as record:
                    yield from _record_put(before, world, change, record, kills, lone)
                case None if change.kind is Kind.TICKET:
                    yield from _ticket_gone(before, world, change)
                case _:
                    pass
        yield from _offers_fit(before, world, changes, asked)


class _Before:
    """What stood, just before a revision, under the keys that it changes and that its laws ask."""

    def __init__(self, world: World, changes: Sequence[Stored]) -> None:
        ids = {change.id for change in changes}
        self.tickets = {key: world.tickets[key] for key in ids & world.tickets.keys()}
        self.offers = {key: world.offers[key] for key in ids & world.offers.keys()}
        self.records = {key: world.records[key] for key in ids & world.records.keys()}
        self.presences = {key: world.presences[key] for key in ids & world.presences.keys()}
        self.claims = {key: world.claims[key] for key in ids & world.claims.keys()}


def _offer_put(
    before: _Before, world: World, change: Stored, offer: Offer, asked: Consultations
) -> Iterator[Violation]:
    held = before.offers.get(change.id)
    # One that was made without a quorum may follow another of the same call: the agent was given
    # back and given again meanwhile, and both are merged as one.
    is_again = offer.state is OfferState.RINGING and offer.granted is None
    if held is not None and (held[0].call != offer.call or is_again):
        yield _say(
            Law.TWO_OFFERS, change, f"{offer.agent} given to {offer.call}, held by {held[0].call}"
        )
    yield from _two_agents(world, change, offer, asked)
    if held is not None or offer.granted is not None:
        # One that was made without a quorum is written when it is merged, wherever it has come to.
        return
    ticket = before.tickets.get(offer.call)
    # A transfer's status has the call's id: it may stand beside the offer in one revision.
    if _came_with(world, change, offer) or asked.by_who_talks(world, offer):
        pass
    elif ticket is None or not (ticket[0].state is TicketState.QUEUED or _is_passed_on(ticket[0])):
        state = "no place" if ticket is None else ticket[0].state
        yield _say(
            Law.NOT_WAITING, change, f"{offer.agent} given to {offer.call}, which is {state}"
        )
    presence = world.presences.get(offer.agent)
    if presence is None or presence[0].state is not PresenceState.READY:
        state = "unknown" if presence is None else presence[0].state
        yield _say(Law.NOT_READY, change, f"{offer.agent} given to {offer.call} while {state}")


def _two_agents(
    world: World, change: Stored, offer: Offer, asked: Consultations
) -> Iterator[Violation]:
    held = {agent for agent, (each, _) in world.offers.items() if each.call == offer.call}
    aside = asked.aside(world, offer.call)
    if len(aside) > 1:
        yield _say(Law.TWO_AGENTS, change, f"{offer.call} has {sorted(aside)}, who are asked")
    if offer.agent in aside:
        return
    others = held - aside - {offer.agent}
    # Beside who is to have a caller there may be the one agent who has passed them on, last.
    passing = transferor_of(world, offer.call)
    if len(others) > 1 or (others and passing not in {*others, offer.agent}):
        yield _say(Law.TWO_AGENTS, change, f"{offer.call} has {offer.agent} and {min(others)}")


def _came_with(world: World, change: Stored, offer: Offer) -> bool:
    """Tell whether the call got its place and this agent by one transaction."""
    ticket, created = world.tickets.get(offer.call, (None, 0))
    return ticket is not None and created == change.revision and ticket.agent == offer.agent


def _ticket_put(
    before: _Before, world: World, change: Stored, ticket: Ticket, lone: Lone
) -> Iterator[Violation]:
    record = before.records.get(change.id)
    makes_room = record is not None and (
        _is_guess(record[0], change, lone)
        or record[0].cause == ACKNOWLEDGED_ELSEWHERE
        or _is_claimed(before, world, ticket, record[0])
    )
    if (
        record is not None
        and record[0].outcome is not Outcome.REFUSED
        and not (makes_room and change.id not in world.records)
    ):
        yield _say(Law.RISEN, change, f"{ticket.call} has a place after its end")
    held = before.tickets.get(change.id)
    if held is not None and held[0].holder != ticket.holder:
        yield _say(Law.TWO_HOLDERS, change, f"{ticket.call}: {held[0].holder}, {ticket.holder}")


def _is_claimed(before: _Before, world: World, ticket: Ticket, record: CallRecord) -> bool:
    """Tell whether an edge takes up by its claim, which goes, the call of one that has died."""
    claim = before.claims.get(ticket.call)
    is_its = claim is not None and claim[0].edge == ticket.holder
    is_anothers = record.cause == EDGE_DIED and record.edge != ticket.holder
    return is_its and is_anothers and ticket.call not in world.claims


def _is_guess(record: CallRecord, change: Stored, lone: Lone) -> bool:
    """Tell whether a record is a survivor's of a call whose edge was alone: that one knows better.

    So does the sister of an edge whose caller cancelled. `change` is what replaces it.
    """
    causes = {EDGE_DIED, CANCELLED, ACKNOWLEDGED_ELSEWHERE}
    return record.cause in causes and lone.was(record.edge, change.at_s)


def _record_put(  # noqa: PLR0913, PLR0917  all that tells whether it may be written
    before: _Before,
    world: World,
    change: Stored,
    record: CallRecord,
    kills: dict[str, list[float]],
    lone: Lone,
) -> Iterator[Violation]:
    held = before.tickets.get(change.id)
    stood = before.records.get(change.id)
    if stood is not None and not (
        _is_guess(stood[0], change, lone)
        and (stood[0].edge == record.edge or stood[0].cause != EDGE_DIED)
    ):
        yield _say(Law.TWO_RECORDS, change, f"{record.call}: {record.cause}, written over another")
    was_killed = any(at_s >= change.at_s - _SINCE_KILL_S for at_s in kills.get(record.edge, []))
    # The store may never have heard of a call whose edge was killed: the next life tells of it; or
    # of one that came and went while its edge was alone.
    may_be_news = was_killed or lone.was(record.edge, change.at_s)
    if held is None and record.outcome is not Outcome.REFUSED and not may_be_news:
        yield _say(Law.TWO_RECORDS, change, f"{record.call}: {record.cause}, without a place")
    if change.id in world.tickets:
        yield _say(Law.RISEN, change, f"{record.call} has ended and keeps its place")
    # An edge that lives clears away what its own former life has left.
    was_living = record.edge in world.edges and not was_killed
    if record.cause == EDGE_DIED and held is not None and was_living:
        text = f"{record.call} closed for {record.edge}, which lives"
        yield _say(Law.CLOSED_OF_LIVING, change, text)


_SINCE_KILL_S = 60.0


def _ticket_gone(before: _Before, world: World, change: Stored) -> Iterator[Violation]:
    if change.id in before.tickets and change.id not in world.records:
        yield _say(Law.NO_RECORD, change, f"{change.id} lost its place without a record")


def _offers_fit(
    before: _Before, world: World, changes: Sequence[Stored], asked: Consultations
) -> Iterator[Violation]:
    """Yield offers among what has changed that are for a call which does not have that agent."""
    calls = {change.id for change in changes if change.kind is Kind.TICKET}
    agents = {change.id for change in changes if change.kind is Kind.OFFER}
    if not calls and not agents:
        return
    for agent, (offer, _) in world.offers.items():
        if agent not in agents and offer.call not in calls:
            continue
        ticket = world.tickets.get(offer.call)
        if _is_left_for_later(before, world, agent, offer.call):
            continue
        if agent == transferor_of(world, offer.call) or agent in asked.aside(world, offer.call):
            continue
        if ticket is None or ticket[0].agent != agent:
            why = "is over" if ticket is None else f"has {ticket[0].agent}"
            yield _say(Law.OFFER_LEFT, changes[0], f"{agent} is held for {offer.call}, which {why}")


def _is_left_for_later(before: _Before, world: World, agent: str, call: CallId) -> bool:
    """Tell whether a survivor has just closed a call, and the agent is not whom the ticket named.

    Who has passed the caller on, or is consulted, is freed next: in time, as `check_freed` judges.
    """
    closed, _ = before.tickets.get(call, (None, 0))
    record, _ = world.records.get(call, (None, 0))
    if closed is None or record is None or call in world.tickets:
        return False
    return record.cause == EDGE_DIED and agent != closed.agent


def _is_passed_on(ticket: Ticket) -> bool:
    """Tell whether the agent of a call has passed it on and nobody has it yet: the talk is told."""
    is_told = bool(ticket.talks) and ticket.talks[-1].agent == ticket.agent
    return ticket.state is TicketState.CONNECTED and is_told and ticket.talking_ms is None


def _kills(events: Sequence[Event]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for event in events:
        if isinstance(event, Broken) and event.kind is FaultKind.KILL_EDGE:
            found.setdefault(event.target, []).append(event.at_s)
    return found


def _say(law: Law, change: Stored, text: str) -> Violation:
    return Violation(law=law, at_s=change.at_s, revision=change.revision, text=text)
