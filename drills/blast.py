"""Whom a fault can harm: which sites it takes, and which calls had something there. PURE."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from drills.fault import Fault, FaultKind
from state.model import EdgeId, SiteId

_SITE: Final = re.compile(r"[a-z]\d*")
_LINES: Final = "agents-"
_SITE_FAULTS: Final = frozenset({FaultKind.KILL_SITE, FaultKind.FREEZE_SITE})


def killed_site(method: Iterable[Fault]) -> SiteId | None:
    """Return the first site that is gone as a whole, None when none is."""
    return next((SiteId(each.target) for each in method if each.kind in _SITE_FAULTS), None)


def killed_sites(method: Iterable[Fault]) -> frozenset[SiteId]:
    """Return all sites that are gone as a whole."""
    return frozenset(SiteId(each.target) for each in method if each.kind in _SITE_FAULTS)


def parted(fault: Fault, sites: Collection[SiteId]) -> frozenset[tuple[SiteId, SiteId]]:
    """Return who no longer reaches whom by SIP: from a site, to one.

    An answer that does not come back is as good as a question that does not arrive. Of a link that
    comes and goes, or loses some packets, nobody can say.
    """
    ends = [SiteId(end) for end in re.split("[->]", fault.target) if end in sites]
    match fault.kind:
        case FaultKind.KILL_SITE | FaultKind.FREEZE_SITE:
            return frozenset((other, site) for site in ends for other in sites if other != site)
        case FaultKind.CUT_OFF | FaultKind.ISOLATE if ends == [fault.target]:
            pairs = [(ends[0], other) for other in sites if other != ends[0]]
        case FaultKind.CUT | FaultKind.CUT_ONE_WAY if len(ends) == 2:  # noqa: PLR2004 - two ends
            pairs = [(ends[0], ends[1])]
        case _:
            return frozenset()
    return frozenset((*pairs, *((other, site) for site, other in pairs)))


def dead_lines(fault: Fault) -> SiteId | None:
    """Return the site whose agents' lines a fault breaks, None: it breaks none."""
    site = fault.target.removeprefix(_LINES)
    is_theirs = fault.kind is FaultKind.ISOLATE and fault.target.startswith(_LINES)
    return SiteId(site) if is_theirs else None


def named_sites(method: Iterable[Fault]) -> frozenset[str] | None:
    """Return the sites that a method names; None: any.

    Any where a fault says who leads, or not, and where it names none: `etcd`, as one whose space is
    used up, and `carrier` are every site's.
    """
    found: set[str] = set()
    for fault in method:
        # `b`, `a-b`, `a>b`, `etcd-b`, `edge-b1`, `agents-b`
        named = {part[0] for part in re.split("[->]", fault.target) if _SITE.fullmatch(part)}
        if "{" in fault.target or not named:
            return None
        found |= named
    return frozenset(found)


def takes_edge(method: Iterable[Fault], edge: EdgeId) -> bool | None:
    """Tell whether a method takes this edge by itself; None: it takes none so."""
    targets = [
        each.target.removeprefix("edge-") for each in method if each.target.startswith("edge-")
    ]
    # `edge-b1`, or `edge-b`: all of a site's.
    return any(name in {edge, edge[:1]} for name in targets) if targets else None


def touches(fault: Fault, at: Collection[SiteId]) -> bool:  # noqa: PLR0911 - one case a kind
    """Tell whether a call with legs or media at some sites had something to lose by a fault."""
    sites = {str(site) for site in at}
    match fault.kind:
        case FaultKind.KILL_SITE | FaultKind.FREEZE_SITE:
            return fault.target in sites
        case FaultKind.CUT | FaultKind.CUT_ONE_WAY | FaultKind.FLAP:
            ends = set(fault.target.replace(">", "-").split("-"))
            # A cut of the carrier's line is between the carrier and the site.
            return ends - {"carrier"} <= sites
        case FaultKind.DRAIN | FaultKind.WRONG_CLOCK | FaultKind.CUT_ETCD:
            return False
        case (
            FaultKind.FILL_ETCD
            | FaultKind.SLOW_SYNC
            | FaultKind.LOSE_KEYS
            | FaultKind.LOSE_STORE
            | FaultKind.FILL_STORE
        ):
            return False
        case FaultKind.EXPIRE | FaultKind.MUTE:
            return fault.target in sites
        case FaultKind.ISOLATE:
            return fault.target.removeprefix(_LINES) in sites
        case FaultKind.CUT_OFF:
            return fault.target in sites and len(sites) > 1
        case FaultKind.SHAPE:
            return bool(set(fault.target.split("-")) & sites)
        case FaultKind.KILL | FaultKind.HOLD_DOWN | FaultKind.FREEZE | FaultKind.STUTTER:
            part, _, name = fault.target.partition("-")
            return part not in {"etcd", "control", "patroni"} and name[:1] in sites
