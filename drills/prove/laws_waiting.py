"""Nobody waits while somebody is free for them. PURE.

A caller who stands in the queue for some seconds in which one agent stands ready who can do what
they ask for has been forgotten. Judged where nothing was broken that may have kept the caller's
edge from that agent; a caller who was passed on may wait for one alone. What they ask for changes
with waiting: that counts from when the store was seen to have their ticket, and an agent who would
not do any more after a later step is not taken for one who can. What counts as seen is the first
word of a revision that anybody had, the history's watch or a mirror: either may be late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from drills.prove.decisions import HEALED_S
from drills.prove.history import Event, Stored
from drills.prove.laws_gone import Gone
from drills.prove.needs import able, asked_by, meets, queue_of
from drills.prove.times import FOR_EVER, Span, on_path, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import World, known_s, revisions
from state.keys import Kind
from state.model import EdgeId, PresenceState, Ticket, TicketState

SERVED_S = 5.0
"""A refused reservation is made anew within a second; a loaded machine takes its time for it."""


def check_waiting(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the callers who have waited beside an agent who was free."""
    line, known = _Line(spans(events), Gone(events)), known_s(events)
    for changes in revisions(events):
        yield from line.take(changes, known[changes[0].revision])
    if events:
        yield from line.end(events[-1].at_s)


class _Wait(Struct, frozen=True):
    """A caller who waits: by which ticket, and since when."""

    ticket: Ticket
    since_s: float

    @property
    def holder(self) -> EdgeId:
        """By whom they are held."""
        return self.ticket.holder


class _Line:
    """Who waits and who is free, since when, as revision follows revision."""

    def __init__(self, faults: Sequence[Span], gone: Gone) -> None:
        self._faults = faults
        self._gone = gone
        self._world = World()
        self._waits: dict[str, _Wait] = {}
        self._free: dict[str, float] = {}
        self._reaches: dict[EdgeId, float] = {}
        """Since when an edge has said the same of the sites that it reaches."""
        self._told: set[str] = set()

    def take(self, changes: Sequence[Stored], at_s: float) -> Iterator[Violation]:
        """Take in a revision; yield whose wait was too long, now that it, or a rest, is over."""
        world = self._world
        before = {
            change.id: world.out_of_reach(EdgeId(change.id))
            for change in changes
            if change.kind is Kind.PROBE
        }
        world.apply(changes)
        calls = {change.id for change in changes if change.kind is Kind.TICKET}
        agents = {change.id for change in changes if change.kind in {Kind.OFFER, Kind.PRESENCE}}
        for call in calls:
            yield from self._see_call(call, at_s)
        for agent in agents:
            yield from self._see_agent(agent, at_s)
        for edge, reach in before.items():
            if world.out_of_reach(EdgeId(edge)) != reach:
                self._reaches[EdgeId(edge)] = at_s

    def end(self, at_s: float) -> Iterator[Violation]:
        """Yield who waits too long as the history ends."""
        for call in list(self._waits):
            yield from self._judge_call(call, at_s)

    def _see_call(self, call: str, at_s: float) -> Iterator[Violation]:
        ticket, _ = self._world.tickets.get(call, (None, 0))
        if ticket is not None and _is_waiting(ticket):
            self._waits.setdefault(call, _Wait(ticket, at_s))
        elif call in self._waits:
            yield from self._judge_call(call, at_s)
            del self._waits[call]

    def _see_agent(self, agent: str, at_s: float) -> Iterator[Violation]:
        presence, _ = self._world.presences.get(agent, (None, 0))
        is_ready = presence is not None and presence.state is PresenceState.READY
        if is_ready and agent not in self._world.offers:
            self._free.setdefault(agent, at_s)
        elif agent in self._free:
            for call in list(self._waits):
                yield from self._judge(call, agent, at_s)
            del self._free[agent]

    def _judge_call(self, call: str, at_s: float) -> Iterator[Violation]:
        for agent in list(self._free):
            yield from self._judge(call, agent, at_s)

    def _judge(self, call: str, agent: str, at_s: float) -> Iterator[Violation]:
        """Yield a breach if the two have stood beside each other for too long, until now."""
        wait = self._waits[call]
        since_s = max(wait.since_s, self._free[agent], self._reaches.get(wait.holder, 0.0))
        if call in self._told or at_s - since_s <= SERVED_S or not self._is_reached(wait, agent):
            return
        since_s = max(since_s, self._suits_s(wait, agent))
        if at_s - since_s <= SERVED_S:
            return
        if self._gone.between(agent, since_s, at_s):
            return
        faults = on_path(self._faults, wait.holder, agent)
        if any(span.touches(since_s, at_s, aftermath_s=HEALED_S) for span in faults):
            return
        self._told.add(call)
        text = f"{call} ({wait.holder}) waited for {at_s - since_s:.1f} s while {agent} was free"
        yield Violation(law=Law.FORGOTTEN, at_s=at_s, revision=self._world.revision, text=text)

    def _suits_s(self, wait: _Wait, agent: str) -> float:
        """Return since when a caller may have an agent whatever comes; infinity: they may not."""
        queue, can = queue_of(self._world, wait.ticket), able(self._world, agent)
        since_s = FOR_EVER
        if queue is None:
            return since_s
        for after_s in sorted({0.0, *(step.after_s for step in queue.steps)}, reverse=True):
            if not meets(can, asked_by(queue, after_s, self._world.queues)):
                break
            since_s = wait.since_s + after_s
        return since_s

    def _is_reached(self, wait: _Wait, agent: str) -> bool:
        presence, _ = self._world.presences.get(agent, (None, 0))
        is_unreached = presence is not None and presence.site in self._world.out_of_reach(
            wait.holder
        )
        return wait.holder in self._world.edges and not is_unreached


def _is_waiting(ticket: Ticket) -> bool:
    return ticket.state is TicketState.QUEUED and not ticket.talks and ticket.prefers is None
