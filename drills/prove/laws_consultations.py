"""An agent asks a colleague about a caller: how long the colleague is held, and gets whom. PURE.

That no call has two agents in any other way is `laws_store`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.consultations import Consultations, transferor_of
from drills.prove.history import ConsultationOver, Consults, Event, PassedOn
from drills.prove.times import spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.keys import Kind
from state.model import CallId, Ticket

FREED_S = 5.0
"""The colleague's telephone has 2 s to end, and then the store has to be written."""


def check_consultations(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield colleagues who were kept, and callers who were handed over without a word."""
    asked, world = Consultations(events), World()
    passed = {(each.call, each.agent, each.to) for each in events if isinstance(each, PassedOn)}
    due = _due(events)
    last_s = events[-1].at_s if events else 0.0
    for changes in revisions(events):
        while due and due[0].at_s + FREED_S < changes[0].at_s:
            yield from _kept(world, asked, due.pop(0))
        calls = {CallId(change.id) for change in changes if change.kind is Kind.TICKET}
        aside = {call: asked.aside(world, call) for call in calls}
        world.apply(changes)
        for change in changes:
            ticket = change.value
            if not isinstance(ticket, Ticket) or ticket.agent not in aside[ticket.call]:
                continue
            by = transferor_of(world, ticket.call)
            if (ticket.call, by, ticket.agent) not in passed:
                text = f"{ticket.call} goes to {ticket.agent}, whom {by} has asked, and no more"
                yield Violation(
                    law=Law.ONLY_ASKED, at_s=change.at_s, revision=change.revision, text=text
                )
    for over in due:
        if over.at_s + FREED_S <= last_s:
            yield from _kept(world, asked, over)


def _due(events: Sequence[Event]) -> list[ConsultationOver]:
    """Return the questions after which nothing was broken, and that nobody asked again."""
    faults = spans(events)
    again = [event for event in events if isinstance(event, Consults)]
    return [
        over
        for over in events
        if isinstance(over, ConsultationOver)
        and not any(span.touches(over.at_s, over.at_s + FREED_S) for span in faults)
        and not any(
            (each.call, each.to) == (over.call, over.to)
            and over.at_s <= each.at_s <= over.at_s + FREED_S
            for each in again
        )
    ]


def _kept(world: World, asked: Consultations, over: ConsultationOver) -> Iterator[Violation]:
    if over.to in asked.aside(world, over.call):
        text = f"{over.to} is held for {over.call} {FREED_S:.0f} s after {over.agent} had asked"
        yield Violation(law=Law.OFFER_LEFT, at_s=over.at_s + FREED_S, text=text)
