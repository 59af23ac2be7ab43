"""What has to be true in time: the calls of the dead closed, nothing stuck at the end. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import (
    Answered,
    Event,
    FaultKind,
    PassedOn,
    PickedUp,
    Placed,
    Stock,
    Stored,
)
from drills.prove.times import Span, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.keys import Kind
from state.model import CallId, EdgeLife, Outcome, PresenceState, Readiness

FREED_S = 15.0
MOMENT_S = 0.3
_SLACK_S = 1.0
"""For the way of the news to the history."""
_DOWN = frozenset({FaultKind.KILL_EDGE, FaultKind.FREEZE_EDGE})


def check_freed(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield what a dead edge still held after 15 s in which nothing else was broken."""
    faults = spans(events)
    due = sorted(
        (span.began_s + FREED_S + _SLACK_S, span) for span in faults if _is_clear(span, faults)
    )
    last_s = events[-1].at_s if events else 0.0
    world = World()
    for changes in revisions(events):
        while due and due[0][0] < changes[0].at_s:
            yield from _left_of(world, *due.pop(0))
        world.apply(changes)
    for at_s, span in due:
        if at_s <= last_s:
            yield from _left_of(world, at_s, span)


def _is_clear(span: Span, faults: Sequence[Span]) -> bool:
    """Tell whether an edge was down long enough, while nothing else was broken."""
    until_s = span.began_s + FREED_S + _SLACK_S
    if span.kind not in _DOWN or span.ended_s < until_s:
        return False
    others = (other for other in faults if other is not span)
    return not any(other.touches(span.began_s, until_s, aftermath_s=30.0) for other in others)


def _left_of(world: World, at_s: float, span: Span) -> Iterator[Violation]:
    edge = span.target
    tickets = [call for call, (each, _) in world.tickets.items() if each.holder == edge]
    agents = [agent for agent, (each, _) in world.offers.items() if each.edge == edge]
    if tickets or agents:
        text = f"{edge}, down for {FREED_S:.0f} s: {len(tickets)} calls, agents {agents}"
        yield Violation(law=Law.NOT_FREED, at_s=at_s, text=text)


def check_end(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield what is stuck, or untrue, at the end; nothing if the run has not come to its end."""
    stock = next((event for event in reversed(events) if isinstance(event, Stock)), None)
    if stock is None:
        return
    world = World()
    for changes in revisions(events):
        world.apply(changes)
    yield from (_stuck(stock, each) for each in _left(stock, world))
    answered = {event.call for event in events if isinstance(event, Answered)} - _unheard(events)
    placed = {event.call for event in events if isinstance(event, Placed)}
    talked = {event.call for event in events if isinstance(event, PickedUp)}
    # A caller whom nobody answered may have a record, of the edge that refused or lost them.
    yield from (
        Violation(law=Law.NO_RECORD, at_s=stock.at_s, text=f"{call} was answered, has no record")
        for call in sorted(answered - world.records.keys())
    )
    passed = {(event.call, event.agent) for event in events if isinstance(event, PassedOn)}
    for call, (record, _) in world.records.items():
        by = None if record.decision is None else record.decision.passed_on_by
        if by is not None and (record.call, by) not in passed:
            text = f"{call} counts as passed on by {by}, who did not ask for it"
            yield Violation(law=Law.UNTRUE, at_s=stock.at_s, text=text)
        if call not in placed:
            yield Violation(law=Law.UNTRUE, at_s=stock.at_s, text=f"{call} never called")
        if record.outcome is Outcome.ANSWERED and call not in talked:
            text = f"{call} counts as answered, and no agent was"
            yield Violation(law=Law.UNTRUE, at_s=stock.at_s, text=text)


def _unheard(events: Sequence[Event]) -> set[CallId]:
    """Return the calls whose edge was killed in the moment in which it answered them.

    It had not heard the caller's ACK yet, so its journal does not name them, and if it had not
    written the ticket nobody alive knows of them.
    """
    had_place = {e.id for e in events if isinstance(e, Stored) and e.kind is Kind.TICKET}
    names = {
        event.value.sip: event.value.edge
        for event in events
        if isinstance(event, Stored) and isinstance(event.value, EdgeLife)
    }
    kills = [span for span in spans(events) if span.kind is FaultKind.KILL_EDGE]
    return {
        event.call
        for event in events
        if isinstance(event, Answered)
        and event.call not in had_place
        and any(
            span.target == names.get(event.edge)
            and event.at_s - MOMENT_S <= span.began_s <= event.at_s + MOMENT_S
            for span in kills
        )
    }


def _left(stock: Stock, world: World) -> Iterator[str]:
    yield from (f"place of {call}" for call in world.tickets)
    yield from (f"offer of {agent}" for agent in world.offers)
    yield from (f"gate of {a}: {state}" for a, state in stock.gates.items() if state != "idle")
    yield from (f"telephone of {agent}, for {call}" for agent, call in stock.phones.items())
    for agent, (presence, _) in world.presences.items():
        # A wish that was sent before a cut may land after it, as the last.
        wish = world.wishes.get(agent)
        wants = wish is None or wish[0].readiness is Readiness.READY
        if wants is not (presence.state is PresenceState.READY):
            yield f"{agent} is {presence.state}, and wants {'calls' if wants else 'none'}"
    for edge, held in stock.edges.items():
        if not held:
            yield f"edge {edge} does not answer"
        yield from (f"edge {edge}: {count} {what}" for what, count in held.items() if count)


def _stuck(stock: Stock, text: str) -> Violation:
    return Violation(law=Law.STUCK, at_s=stock.at_s, text=text)
