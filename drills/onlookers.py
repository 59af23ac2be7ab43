"""What the sites' control planes say of the sites, and what has changed from one answer on. PURE.

Owns what a drill reads of `GET /v1/live/sites`; the rest of that answer is no matter of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from msgspec import Struct

PATH = "/v1/live/sites"
"""What whoever may run a drill (`site:read`) may also ask."""


class SeenEdge(Struct, frozen=True, kw_only=True):
    """An edge that lives, by the shared state."""

    edge: str


class SeenSite(Struct, frozen=True, kw_only=True):
    """A site, as one control plane sees it."""

    id: str
    is_draining: bool = False
    alone_because: str | None = None
    """Why it serves without a quorum; told at the site itself alone."""
    edges: tuple[SeenEdge, ...] = ()
    out_of_reach_of: tuple[str, ...] = ()
    """Edges elsewhere that do not reach it."""


class SeenSites(Struct, frozen=True, kw_only=True):
    """One answer of a control plane."""

    as_of: dt.datetime
    """By the clock of its host, in milliseconds."""
    is_current: bool
    """False: it has not heard of the shared state for some seconds."""
    items: tuple[SeenSite, ...]

    @property
    def at_ms(self) -> int:
        """Return when it was made, in milliseconds since 1970, by the clock of its host."""
        return round(self.as_of.timestamp() * 1000)


def changes(before: SeenSites, now: SeenSites) -> Iterator[str]:
    """Yield in words what is otherwise than in the answer before."""
    if before.is_current and not now.is_current:
        yield "no news of the shared state"
    elif now.is_current and not before.is_current:
        yield "news of the shared state again"
    known = {each.id: each for each in before.items}
    for site in now.items:
        if site.id in known:
            yield from _of_site(known[site.id], site)


def _of_site(before: SeenSite, now: SeenSite) -> Iterator[str]:
    were, are = _edges(before), _edges(now)
    if gone := sorted(were - are):
        yield f"{', '.join(gone)} of site {now.id} no longer in the shared state"
    if came := sorted(are - were):
        yield f"{', '.join(came)} of site {now.id} in the shared state"
    if set(before.out_of_reach_of) != set(now.out_of_reach_of):
        who = ", ".join(sorted(now.out_of_reach_of))
        yield f"site {now.id} out of reach of {who}" if who else f"site {now.id} in reach of all"
    if before.is_draining != now.is_draining:
        yield f"site {now.id} drains" if now.is_draining else f"site {now.id} drains no longer"
    if before.alone_because != now.alone_because:
        why = now.alone_because
        yield f"site {now.id} serves alone: {why}" if why else f"site {now.id} serves by the quorum"


def _edges(site: SeenSite) -> frozenset[str]:
    return frozenset(each.edge for each in site.edges)


class SeenCall(Struct, frozen=True, kw_only=True):
    """A call, by a control plane's record. The caller is not read."""

    id: str
    state: str
    outcome: str | None = None


class SeenCalls(Struct, frozen=True, kw_only=True):
    """A page of calls."""

    items: tuple[SeenCall, ...]
    next: str | None = None


class Recorded(Struct, frozen=True, kw_only=True):
    """What the control plane of one site has recorded of a drill's calls."""

    site: str
    calls: Mapping[str, str] = {}
    """Call -> how it ended; empty: it goes on."""
    why_not: str = ""
    """Why it says nothing of calls, in words; empty: it does."""
