"""The laws of gates and telephones. PURE.

A gate's law is exact: tokens it lets through only rise, whatever restarted. A telephone is
sometimes the last to hear (its edge is dead, or cut off), so two calls at one telephone, or two
telephones in one call, count only where nothing was broken that could have kept the news from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.consultations import Consultations
from drills.prove.history import (
    PASSED,
    AtGate,
    Event,
    LegOver,
    LegUp,
    Overlap,
    PassedOn,
    Stored,
    Token,
)
from drills.prove.times import Span, on_path, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import Lone
from state.keys import Kind
from state.model import AgentId, CallId, EdgeLife, Offer


def check_gates(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the tokens that should not have rung anybody."""
    made, lone = _reservations(events), Lone(events)
    seen = max((event.revision for event in events if isinstance(event, Stored)), default=0)
    highest: dict[AgentId, Token] = {}
    for event in events:
        if not isinstance(event, AtGate) or event.verdict != PASSED:
            continue
        before = highest.get(event.agent)
        if before is not None and event.token <= before:
            text = f"{event.agent}: {event.token} after {before}, for {event.call}"
            yield Violation(law=Law.STALE_TOKEN, at_s=event.at_s, text=text)
        is_alone = event.token[0] % 2 == 0
        if is_alone and not lone.at_site(event.site, event.at_s):
            text = f"{event.agent}: {event.token}, for {event.call}"
            yield Violation(law=Law.ALONE_TOKEN, at_s=event.at_s, text=text)
        # A gate may hear of a reservation before the history does.
        if (
            not is_alone
            and event.token[1] <= seen
            and (event.agent, event.call, event.token[1]) not in made
        ):
            text = f"{event.agent}: {event.token}, for {event.call}"
            yield Violation(law=Law.FALSE_TOKEN, at_s=event.at_s, text=text)
        highest[event.agent] = max(event.token, before or event.token)


def _reservations(events: Sequence[Event]) -> set[tuple[AgentId, CallId, int]]:
    """Return agent, call and revision of every creation of an offer, whatever became of it."""
    made = set()
    standing: set[str] = set()
    for event in events:
        if not isinstance(event, Stored) or event.kind is not Kind.OFFER:
            continue
        if isinstance(event.value, Offer):
            # What was made without a quorum and merged is known by its own count.
            if event.id not in standing and event.value.granted is None:
                made.add((event.value.agent, event.value.call, event.revision))
            standing.add(event.id)
        else:
            standing.discard(event.id)
    return made


def check_telephones(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield telephones in two calls, and calls at two telephones."""
    faults = spans(events)
    names = {
        event.value.sip: event.value.edge
        for event in events
        if isinstance(event, Stored) and isinstance(event.value, EdgeLife)
    }
    up: dict[CallId, dict[AgentId, float]] = {}
    passed: set[tuple[CallId, AgentId]] = set()
    asked = Consultations(events)
    for event in events:
        match event:
            case Overlap():
                edge = names.get(event.old_edge, event.old_edge)
                if not _is_excused(faults, edge, event.agent, event.old_since_s, event.at_s):
                    text = f"{event.agent}: {event.new_call} rings, {event.old_call} is not over"
                    yield Violation(law=Law.TWO_CALLS, at_s=event.at_s, text=text)
            case PassedOn():
                passed.add((event.call, event.agent))
            case LegUp():
                others = up.setdefault(event.call, {})
                for agent, since_s in others.items():
                    # Who passes a caller on stays until the other one has them, as does who asks.
                    if (event.call, agent) in passed or asked.has(event.call, agent, event.agent):
                        continue
                    if not _has_fault(faults, since_s, event.at_s):
                        text = f"{event.call}: {event.agent} answers, {agent} is in it"
                        yield Violation(law=Law.TWO_AGENTS, at_s=event.at_s, text=text)
                others[event.agent] = event.at_s
            case LegOver():
                up.get(event.call, {}).pop(event.agent, None)
            case _:
                pass


def _is_excused(
    faults: tuple[Span, ...], edge: str, agent: str, begin_s: float, end_s: float
) -> bool:
    """Agents' ids begin with their home site."""
    return any(span.touches(begin_s, end_s) for span in on_path(faults, edge, agent))


def _has_fault(faults: tuple[Span, ...], begin_s: float, end_s: float) -> bool:
    return any(span.touches(begin_s, end_s) for span in faults)
