"""The shared state as a fold over the store's history, one revision at a time. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from drills.prove.history import Event, Mirrored, Mode, Stored
from state.keys import Kind
from state.model import (
    Agent,
    CallRecord,
    Claim,
    Did,
    EdgeId,
    EdgeLife,
    Heir,
    Offer,
    Presence,
    Probe,
    Queue,
    SiteId,
    Ticket,
    Wish,
)
from state.overlay import ALONE_FROM

T = TypeVar("T")
FOR_EVER = float("inf")
QUORUM = "quorum"
SEEN_S = 3.0
"""How much earlier, or later, than it was seen a mode may have changed: on a busy machine an edge
takes up to two seconds to answer, and the store's news as long to come."""


@dataclass(slots=True)
class World:
    """What stands under the keys that the laws are about; each value with its create revision."""

    revision: int = 0
    tickets: dict[str, tuple[Ticket, int]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    """By which revision each ticket was written last."""
    heirs: dict[str, tuple[Heir, int]] = field(default_factory=dict)
    claims: dict[str, tuple[Claim, int]] = field(default_factory=dict)
    offers: dict[str, tuple[Offer, int]] = field(default_factory=dict)
    presences: dict[str, tuple[Presence, int]] = field(default_factory=dict)
    edges: dict[str, tuple[EdgeLife, int]] = field(default_factory=dict)
    probes: dict[str, tuple[Probe, int]] = field(default_factory=dict)
    records: dict[str, tuple[CallRecord, int]] = field(default_factory=dict)
    wishes: dict[str, tuple[Wish, int]] = field(default_factory=dict)
    agents: dict[str, tuple[Agent, int]] = field(default_factory=dict)
    queues: dict[str, tuple[Queue, int]] = field(default_factory=dict)
    dids: dict[str, tuple[Did, int]] = field(default_factory=dict)

    def apply(self, changes: Sequence[Stored]) -> None:
        """Take one revision."""
        for change in changes:
            self.revision = change.revision
            self._put(change)

    def out_of_reach(self, edge: EdgeId) -> frozenset[SiteId]:
        """Return the sites that an edge says it cannot reach."""
        probe = self.probes.get(edge)
        return frozenset() if probe is None else frozenset(probe[0].down)

    def _put(self, change: Stored) -> None:  # noqa: C901, PLR0912 - a table
        match change.kind:
            case Kind.TICKET:
                _set(self.tickets, change, Ticket)
                self.written[change.id] = change.revision
            case Kind.HEIR:
                _set(self.heirs, change, Heir)
            case Kind.CLAIM:
                _set(self.claims, change, Claim)
            case Kind.OFFER:
                _set(self.offers, change, Offer)
            case Kind.PRESENCE:
                _set(self.presences, change, Presence)
            case Kind.EDGE:
                _set(self.edges, change, EdgeLife)
            case Kind.PROBE:
                _set(self.probes, change, Probe)
            case Kind.WISH:
                _set(self.wishes, change, Wish)
            case Kind.ENDED:
                _set(self.records, change, CallRecord)
            case Kind.AGENT:
                _set(self.agents, change, Agent)
            case Kind.QUEUE:
                _set(self.queues, change, Queue)
            case Kind.DID:
                _set(self.dids, change, Did)
            case _:
                pass


def _set(table: dict[str, tuple[T, int]], change: Stored, kind: type[T]) -> None:
    if change.value is None:
        table.pop(change.id, None)
    elif isinstance(change.value, kind):
        held = table.get(change.id)
        table[change.id] = (change.value, change.revision if held is None else held[1])


class Lone:
    """When edges served without a quorum, by their own word."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._spans: dict[str, list[tuple[float, float]]] = {}
        for event in events:
            if not isinstance(event, Mode):
                continue
            spans = self._spans.setdefault(event.edge, [])
            if event.mode != QUORUM and (not spans or spans[-1][1] < FOR_EVER):
                spans.append((event.at_s - SEEN_S, FOR_EVER))
            elif event.mode == QUORUM and spans and spans[-1][1] == FOR_EVER:
                spans[-1] = (spans[-1][0], event.at_s + SEEN_S)

    def was(self, edge: str, at_s: float) -> bool:
        """Tell whether an edge did at that instant, or merged what it had done."""
        return any(begin_s <= at_s <= end_s for begin_s, end_s in self._spans.get(edge, ()))

    def was_between(self, edge: str, begin_s: float, end_s: float) -> bool:
        """Tell whether an edge did at some time between two instants."""
        return any(
            since <= end_s and begin_s <= until for since, until in self._spans.get(edge, ())
        )

    def at_site(self, site: str, at_s: float) -> bool:
        """Tell whether an edge of a site did."""
        return any(edge.startswith(site) and self.was(edge, at_s) for edge in self._spans)


def revisions(events: Sequence[Event]) -> Iterator[tuple[Stored, ...]]:
    """Yield the store's changes, one revision at a time."""
    stored = (event for event in events if isinstance(event, Stored))
    for _, changes in groupby(stored, key=lambda change: change.revision):
        yield tuple(changes)


def known_s(events: Sequence[Event]) -> dict[int, float]:
    """Return when the store was at each revision at the latest.

    The history's own watch may be seconds late: the member that it hangs on is cut off. A mirror
    that told of the revision, or of a later one, before the history heard of it did hear of it.
    """
    told = [(event.revision, event.at_s) for event in events if isinstance(event, Stored)]
    told += [
        (event.revision, event.at_s)
        for event in events
        # A site that is alone counts on by itself.
        if isinstance(event, Mirrored) and event.revision < ALONE_FROM
    ]
    known, first_s = dict[int, float](), FOR_EVER
    for revision, at_s in sorted(told, reverse=True):
        known[revision] = first_s = min(first_s, at_s)
    return known
