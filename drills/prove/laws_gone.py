"""An agent whose telephone has gone is not rung, and soon not offered any more. PURE.

Their gate knows at once: it is Kamailio that has no telephone for them. The edges hear it from
that, by an event; where the event was lost, when they look at all registrations again, every 10 s.
So an agent is not given to a call 15 s after their telephone has gone, and 5 s where it was told;
judged where nothing was broken that may have kept that from the home edge, or its word from who
gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import PASSED, AtGate, Event, FaultKind, PhoneBack, PhoneGone, Stored
from drills.prove.times import Span, on_path, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, revisions
from state.model import AgentId, Offer

UNTOLD_S, TOLD_S = 15.0, 5.0
SLACK_S = 1.0
"""For the way of the news to the history."""
BEFORE_S = 30.0
"""What was broken so long before may still show."""


class Gone:
    """Whose telephones were gone, when."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._spans: dict[AgentId, list[tuple[PhoneGone, float]]] = {}
        for event in events:
            if isinstance(event, PhoneGone):
                self._spans.setdefault(event.agent, []).append((event, float("inf")))
            elif isinstance(event, PhoneBack) and event.agent in self._spans:
                went, _ = self._spans[event.agent][-1]
                self._spans[event.agent][-1] = (went, event.at_s)

    def at(self, agent: str, at_s: float) -> PhoneGone | None:
        """Return how an agent's telephone had gone that was not there then; None: it was."""
        spans = self._spans.get(AgentId(agent), ())
        return next((went for went, back_s in spans if went.at_s < at_s < back_s), None)

    def between(self, agent: str, begin_s: float, end_s: float) -> bool:
        """Tell whether an agent's telephone was not there at some time between two instants."""
        spans = self._spans.get(AgentId(agent), ())
        return any(went.at_s <= end_s and begin_s <= back_s for went, back_s in spans)


def check_gone(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield who was rung without a telephone, or given to a call long after it had gone."""
    gone = Gone(events)
    yield from _rung(events, gone)
    faults = [span for span in spans(events) if span.kind is not FaultKind.WRONG_CLOCK]
    for change, offer in _made(events):
        went = gone.at(offer.agent, change.at_s)
        if went is None or _is_soon(went, change) or _is_excused(faults, went, change, offer):
            continue
        since_s = change.at_s - went.at_s
        text = f"{offer.agent} given to {offer.call}, whose phone had gone {since_s:.1f} s before"
        yield Violation(law=Law.GONE, at_s=change.at_s, revision=change.revision, text=text)


def _rung(events: Sequence[Event], gone: Gone) -> Iterator[Violation]:
    for event in events:
        if not isinstance(event, AtGate) or event.verdict != PASSED:
            continue
        if gone.at(event.agent, event.at_s) is not None:
            text = f"{event.agent}, who has no telephone, was rung for {event.call}"
            yield Violation(law=Law.GONE, at_s=event.at_s, text=text)


def _made(events: Sequence[Event]) -> Iterator[tuple[Stored, Offer]]:
    """Yield the offers as they are made; not those of a merge, which were made before that."""
    world = World()
    for changes in revisions(events):
        held = {change.id: world.offers.get(change.id) for change in changes}
        world.apply(changes)
        for change in changes:
            offer = change.value
            if isinstance(offer, Offer) and held[change.id] is None and offer.granted is None:
                yield change, offer


def _is_soon(went: PhoneGone, change: Stored) -> bool:
    return change.at_s - went.at_s <= (TOLD_S if went.is_told else UNTOLD_S) + SLACK_S


def _is_excused(faults: Sequence[Span], went: PhoneGone, change: Stored, offer: Offer) -> bool:
    kept = on_path(faults, offer.agent, offer.edge)
    return any(span.touches(went.at_s, change.at_s, aftermath_s=BEFORE_S) for span in kept)
