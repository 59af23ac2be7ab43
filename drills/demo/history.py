"""What a watch of the shared state saw, read as a story. PURE.

Turns raw changes into the history of the offers and into sightings of a site's death. Knows nothing
of how the watch was kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from drills.demo.failover import Detector, Kill, Sighting
from drills.demo.reports import OfferChange, OfferEvent
from state.codec import decode
from state.errors import BadKeyError
from state.keys import Key, Kind, parse
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    Offer,
    Presence,
    PresenceState,
    Probe,
    SiteId,
    Ticket,
)
from state.raw import Change


class Seen(Struct, frozen=True, kw_only=True):
    """One change, and when the watch delivered it."""

    at_ms: int
    change: Change


def offers(seen: Iterable[Seen]) -> tuple[OfferEvent, ...]:
    """Return every change of an offer key. CodecError for one that cannot be read."""
    found = []
    for each, key in of_kind(seen, Kind.OFFER):
        value = each.change.value
        offer = None if value is None else decode(Offer, value, each.change.key)
        found.append(
            OfferEvent(
                revision=each.change.mod_revision,
                at_ms=each.at_ms,
                change=OfferChange.DELETED if offer is None else OfferChange.PUT,
                agent=AgentId(key.id),
                call=None if offer is None else offer.call,
            )
        )
    return tuple(found)


def sightings(
    seen: Sequence[Seen], kill: Kill, homes: Mapping[EdgeId, SiteId]
) -> tuple[Sighting, ...]:
    """Return who noticed the site's death in the shared state. `homes` tells each edge's site."""
    return (
        *_probes(seen, kill, homes),
        *_leases(seen, kill, homes),
        *_closed_tickets(seen, kill, homes),
    )


def came_back(seen: Iterable[Seen], site: SiteId, from_ms: int) -> dict[AgentId, int]:
    """Return when agents were first there, after `from_ms`, by the word of another site."""
    found: dict[AgentId, int] = {}
    for each, key in of_kind(seen, Kind.PRESENCE):
        value = each.change.value
        if each.at_ms < from_ms or value is None:
            continue
        said = decode(Presence, value, each.change.key)
        if said.site != site and said.state is not PresenceState.SIGNED_OUT:
            found.setdefault(AgentId(key.id), each.at_ms)
    return found


class TicketSeen(Struct, frozen=True, kw_only=True):
    """A ticket as it stood once; `ticket` None: it was deleted."""

    at_ms: int
    call: CallId
    create_revision: int
    ticket: Ticket | None


def tickets(seen: Iterable[Seen]) -> tuple[TicketSeen, ...]:
    """Return every change of a ticket."""
    return tuple(
        TicketSeen(
            at_ms=each.at_ms,
            call=CallId(key.id),
            create_revision=each.change.create_revision,
            ticket=None
            if each.change.value is None
            else decode(Ticket, each.change.value, each.change.key),
        )
        for each, key in of_kind(seen, Kind.TICKET)
    )


def _probes(seen: Iterable[Seen], kill: Kill, homes: Mapping[EdgeId, SiteId]) -> Iterator[Sighting]:
    """Find the first and the last of the surviving edges to find the site down."""
    found: dict[EdgeId, int] = {}
    for each, key in of_kind(seen, Kind.PROBE):
        edge, value = EdgeId(key.id), each.change.value
        if each.at_ms < kill.at_ms or edge in found or value is None:
            continue
        if kill.site in decode(Probe, value, each.change.key).down:
            found[edge] = each.at_ms
    found = {edge: at_ms for edge, at_ms in found.items() if homes.get(edge) != kill.site}
    survivors = [edge for edge, site in homes.items() if site != kill.site]
    if found:
        first = min(found, key=lambda edge: found[edge])
        what = f"SIP probes of {kill.site} fail, the first to notice"
        yield Sighting(at_ms=found[first], who=f"edge {first}", what=what)
    if found and len(found) == len(survivors):
        last = max(found, key=lambda edge: found[edge])
        what = f"all {len(found)} surviving edges have taken {kill.site} out"
        yield Sighting(at_ms=found[last], who=f"edge {last}", what=what, detected_by=Detector.EDGES)


def _leases(seen: Iterable[Seen], kill: Kill, homes: Mapping[EdgeId, SiteId]) -> Iterator[Sighting]:
    for each, key in of_kind(seen, Kind.EDGE):
        is_gone = each.change.value is None and each.at_ms >= kill.at_ms
        if is_gone and homes.get(EdgeId(key.id)) == kill.site:
            yield Sighting(at_ms=each.at_ms, who="etcd", what=f"lease of edge {key.id} ran out")


def _closed_tickets(
    seen: Iterable[Seen], kill: Kill, homes: Mapping[EdgeId, SiteId]
) -> Iterator[Sighting]:
    """Find when the last ticket that the dead site held was closed for it."""
    holders: dict[str, EdgeId] = {}
    closed: list[int] = []
    for each, key in of_kind(seen, Kind.TICKET):
        value = each.change.value
        if value is not None:
            holders[key.id] = decode(Ticket, value, each.change.key).holder
        elif homes.get(holders.pop(key.id, EdgeId(""))) == kill.site and each.at_ms > kill.at_ms:
            closed.append(each.at_ms)
    if closed:
        what = f"last of {len(closed)} tickets of {kill.site} closed for it"
        yield Sighting(at_ms=max(closed), who="survivors", what=what)


def of_kind(seen: Iterable[Seen], kind: Kind) -> Iterator[tuple[Seen, Key]]:
    """Yield the changes of one kind of record; keys that are none of ours are left out."""
    for each in seen:
        try:
            key = parse(each.change.key)
        except BadKeyError:
            continue
        if key.kind is kind:
            yield each, key
