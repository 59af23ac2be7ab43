"""No tenant's agents serve another tenant's callers, whatever is configured. PURE.

Neither does the line give them, nor may anybody pass a caller on to them or ask them about one, nor
does a gate let them be rung; and no caller waits in another tenant's queue. Exact: a call belongs
to whom the number belongs that its caller is known to have dialled, and not to whom a ticket says;
who has which numbers, queues and agents stands in the store before anybody calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import PASSED, AtGate, Event, Placed, Stored
from drills.prove.violations import Law, Violation
from state.keys import Kind
from state.model import Agent, CallId, Did, Offer, Queue, TenantId, Ticket

_Serves = tuple[Kind, str]
"""Who or what serves a call: an agent or a queue, and its id."""


def check_tenants(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield who was given, rung or waited for across tenants; each once for a call and a way."""
    dialled = {event.call: event.did for event in events if isinstance(event, Placed)}
    tenants: dict[_Serves, TenantId] = {}
    told: set[tuple[CallId, _Serves, str]] = set()
    for event in events:
        if isinstance(event, Stored) and isinstance(event.value, Agent | Did | Queue):
            tenants[event.kind, event.id] = event.value.tenant
        for call, serves, how in _meetings(event):
            wants, has = tenants.get((Kind.DID, dialled.get(call, ""))), tenants.get(serves)
            if wants is None or has is None or wants == has or (call, serves, how) in told:
                continue
            told.add((call, serves, how))
            yield Violation(
                law=Law.OTHER_TENANT,
                at_s=event.at_s,
                revision=event.revision if isinstance(event, Stored) else 0,
                text=f"{call}, a call to {wants}, {how} {serves[1]} of {has}",
            )


def _meetings(event: Event) -> Iterator[tuple[CallId, _Serves, str]]:
    """Yield the call, by whom or what it is served, and how, as an event tells."""
    if isinstance(event, AtGate) and event.verdict == PASSED:
        yield event.call, (Kind.AGENT, event.agent), "rang"
    if not isinstance(event, Stored):
        return
    match event.value:
        case Offer() as offer:
            yield offer.call, (Kind.AGENT, offer.agent), "was given"
        case Ticket() as ticket:
            yield ticket.call, (Kind.QUEUE, ticket.queue), "waits in"
        case _:
            pass
