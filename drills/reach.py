"""Which sites were out of whose reach, and what edges said of it. PURE.

What a fault parts is known by its kind; when an edge knew is its own word. An edge that has a
quorum has said so when the shared state has it, one that is cut off from that when its log does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from msgspec import Struct

from drills.blast import parted
from drills.course import Made
from drills.fault import FaultKind
from drills.guards import lost_sites
from drills.seen import Seen
from drills.stretches import Stretch, joined, without
from drills.toll import toll
from state.model import EdgeId, SiteId

NOTICED_S: Final = 5.0
"""A fault of so long is noticed by everybody whom it parts: two probes a second apart, of 0.9 s
each, and the writing. A shorter one may be over before."""
_MS: Final = 1000.0


class Noticing(Struct, frozen=True, kw_only=True):
    """An edge had to find that it does not reach a site."""

    edge: EdgeId
    site: SiteId
    after_s: float | None
    """From the fault on; None: it did not say so while that lasted."""


def noticing(seen: Seen) -> tuple[Noticing, ...]:
    """Return who had to find which site out of reach, by all faults that lasted long enough."""
    return tuple(
        Noticing(edge=edge, site=site, after_s=after_s)
        for made in seen.course.made
        for edge, site, after_s in _noticing(seen, made)
    )


def noticed_s(seen: Seen) -> float | None:
    """Return within which time all had found it; without end: one did not. None: nobody had to."""
    took_s = [math.inf if each.after_s is None else each.after_s for each in noticing(seen)]
    return max(took_s, default=None)


def _noticing(seen: Seen, made: Made) -> Iterator[tuple[EdgeId, SiteId, float | None]]:
    until_ms = math.inf if made.healed_ms is None else made.healed_ms
    if until_ms - made.at_ms < NOTICED_S * _MS:
        return
    lost, sites = lost_sites(seen.course.method), frozenset(seen.edges.values())
    pairs = parted(made.fault, sites)
    for edge, home in sorted(seen.edges.items()):
        if home in lost:
            continue
        for site in sorted(site for one, site in pairs if one == home):
            known = [
                begins_ms
                for begins_ms, ends_ms in _down(seen, edge, site)
                if begins_ms < until_ms and ends_ms > made.at_ms
            ]
            after_s = max(0.0, min(known) - made.at_ms) / _MS if known else None
            yield edge, site, after_s


def _down(seen: Seen, edge: EdgeId, site: SiteId) -> tuple[Stretch, ...]:
    """Return when an edge said that it does not reach a site, to whom it could."""
    alone = without_quorum(seen)
    words = seen.out_of_reach if seen.edges[edge] in alone else seen.waiting.out_of_reach
    return joined(
        (each.from_ms, each.to_ms) for each in words if each.edge == edge and site in each.sites
    )


def without_quorum(seen: Seen) -> frozenset[SiteId]:
    """Return the sites whose edges have no majority of etcd while the faults last."""
    sites = frozenset(seen.edges.values())
    lost = toll(seen.course.method, sites, {}).members & sites
    return lost if 2 * len(lost) < len(sites) else sites


def said_out(seen: Seen, site: SiteId) -> tuple[Stretch, ...]:
    """Return when the shared state had it that nobody elsewhere reaches a site.

    No edge of it is alive, or all that are elsewhere say that they do not: nobody there counts as
    free then, whatever else is said of them.
    """
    lives, down = seen.words.lives, seen.waiting.out_of_reach
    known = [(each.from_ms, each.to_ms) for each in lives]
    known += [(each.from_ms, each.to_ms) for each in down]
    ends = {at_ms for stretch in known for at_ms in stretch}
    return joined(
        (from_ms, to_ms)
        for from_ms, to_ms in pairwise(sorted(ends))
        if _is_out(seen, site, from_ms)
    )


def _is_out(seen: Seen, site: SiteId, at_ms: float) -> bool:
    alive = {each.edge for each in seen.words.lives if each.from_ms <= at_ms < each.to_ms}
    elsewhere = {edge for edge in alive if seen.edges.get(edge) != site}
    say_so = {
        each.edge
        for each in seen.waiting.out_of_reach
        if each.from_ms <= at_ms < each.to_ms and site in each.sites
    }
    return alive == elsewhere or (bool(elsewhere) and elsewhere <= say_so)


def still_out(seen: Seen) -> Iterator[tuple[SiteId, float]]:
    """Yield for how many seconds a site was said to be out of reach when its links were mended.

    Of a site that was killed nobody can say when it could be reached again.
    """
    lost, sites = lost_sites(seen.course.method), frozenset(seen.edges.values())
    for made in seen.course.made:
        if made.healed_ms is None:
            continue
        away = {site for _, site in parted(made.fault, sites)}
        if made.fault.kind is FaultKind.CUT_ETCD:
            away.add(SiteId(made.fault.target))
        for site in sorted(away - lost):
            after = without(said_out(seen, site), [(-math.inf, made.healed_ms)])
            yield from ((site, (ends_ms - begins_ms) / _MS) for begins_ms, ends_ms in after)
