"""What a method takes out of service: which sites serve, can be rung and count no more. PURE.

The guards go by it. Each kind of fault is decided here by what it does (docs/drills.md has the
table); what is not known is told, and forbidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Flag, auto
from typing import Final

from msgspec import Struct

from drills.fault import Fault, FaultKind
from state.model import SiteId


class Loss(Flag):
    """What a site has no more while a fault lasts."""

    NOTHING = 0
    SERVICE = auto()
    """No new caller from outside is served there."""
    AGENTS = auto()
    """Its agents cannot be rung by all, or not be heard."""
    CALLS = auto()
    """Calls that go on there are harmed."""
    MEMBER = auto()
    """Its member of etcd does not count towards a majority."""


_ALL: Final = Loss.SERVICE | Loss.AGENTS | Loss.CALLS | Loss.MEMBER
_CALLING: Final = _ALL & ~Loss.MEMBER
_TRUNK: Final = Loss.SERVICE | Loss.CALLS
_LINES: Final = Loss.AGENTS | Loss.CALLS
_OF_SITE: Final = {
    FaultKind.KILL_SITE: _ALL,
    FaultKind.FREEZE_SITE: _ALL,
    FaultKind.ISOLATE: _ALL,
    # It serves whoever comes to it with its own agents; the others go on without both.
    FaultKind.CUT_OFF: _ALL,
    # Found gray and put last, and all that is said there is heard badly.
    FaultKind.SHAPE: _ALL,
    # Its relay is not heard; its agents have their sound from the relays of the others.
    FaultKind.MUTE: _TRUNK,
    # It serves its own callers alone.
    FaultKind.CUT_ETCD: Loss.AGENTS | Loss.MEMBER,
    # All its edges start anew, and without the shared state.
    FaultKind.EXPIRE: _CALLING,
    # What stands goes on, and its agents are rung by the others.
    FaultKind.DRAIN: Loss.SERVICE,
    FaultKind.WRONG_CLOCK: Loss.NOTHING,
    FaultKind.LOSE_KEYS: Loss.NOTHING,
    FaultKind.LOSE_STORE: Loss.NOTHING,
    FaultKind.FILL_STORE: Loss.NOTHING,
}
_OF_PROCESS: Final = {
    "kamailio": _CALLING,
    # Audio goes by the serving site's relay, wherever the agent is.
    "rtpengine": _TRUNK,
    "etcd": Loss.MEMBER,
    "recorder": Loss.NOTHING,
    "control-plane": Loss.NOTHING,
    "patroni": Loss.NOTHING,
}
_PROCESS_FAULTS: Final = frozenset(
    {
        FaultKind.KILL,
        FaultKind.HOLD_DOWN,
        FaultKind.FREEZE,
        FaultKind.STUTTER,
        # A member that keeps the others waiting may as well be away.
        FaultKind.SLOW_SYNC,
    }
)
_LINK_FAULTS: Final = frozenset(
    {FaultKind.CUT, FaultKind.CUT_OFF, FaultKind.CUT_ONE_WAY, FaultKind.FLAP, FaultKind.SHAPE}
)
_OUTSIDE: Final = frozenset({"carrier", "callers"})
_PEOPLE: Final = "agents-"
_FEWEST_LINKS: Final = 2


class Toll(Struct, frozen=True, kw_only=True):
    """Which sites lose what, while all faults of a method last."""

    service: frozenset[SiteId]
    agents: frozenset[SiteId]
    calls: frozenset[SiteId]
    members: frozenset[SiteId]
    unknown: frozenset[str]
    """Targets of which nobody knows what they are."""


def toll(faults: Iterable[Fault], sites: Collection[SiteId], edges: Mapping[SiteId, int]) -> Toll:
    """Return what faults take of which sites. `edges`: how many of them serve at each."""
    taken = dict.fromkeys(sites, Loss.NOTHING)
    links, edges_hit, unknown = set[frozenset[SiteId]](), set[str](), set[str]()
    for fault in faults:
        found = tuple(_taken(fault, sites))
        for site, loss in found:
            taken[site] |= loss
        if pair := _link(fault, sites):
            links.add(pair)
        elif edge := _edge(fault, sites):
            edges_hit.add(edge)
        elif not found:
            unknown.add(fault.target)
    hit = Counter(map(_site_of_edge, edges_hit))
    for site in sites:
        # Beside an edge that is gone its sister serves, and takes up what it held.
        if hit[site] >= edges.get(site, 1):
            taken[site] |= _CALLING if hit[site] else Loss.NOTHING
        # One bad link is nobody's fault; most of a site's put it out, as its own loss would.
        broken = sum(site in pair for pair in links)
        if broken >= _FEWEST_LINKS and broken > (len(sites) - 1) / 2:
            taken[site] |= _ALL

    def having(loss: Loss) -> frozenset[SiteId]:
        return frozenset(site for site, lost in taken.items() if loss in lost)

    return Toll(
        service=having(Loss.SERVICE),
        agents=having(Loss.AGENTS),
        calls=having(Loss.CALLS),
        members=having(Loss.MEMBER),
        unknown=frozenset(unknown),
    )


def _taken(fault: Fault, sites: Collection[SiteId]) -> Iterator[tuple[SiteId, Loss]]:
    """Yield what one fault takes of which site; nothing for links between sites, and for edges."""
    if fault.kind is FaultKind.FILL_ETCD:
        yield from ((site, Loss.MEMBER) for site in sites)
    elif fault.kind in _PROCESS_FAULTS:
        yield from _of_process(fault.target, sites)
    elif fault.target in sites:
        if fault.kind in _OF_SITE:
            yield SiteId(fault.target), _OF_SITE[fault.kind]
    else:
        yield from _of_lines(_ends(fault), sites)


def _of_process(process: str, sites: Collection[SiteId]) -> Iterator[tuple[SiteId, Loss]]:
    part, _, name = process.rpartition("-")
    if name in _OUTSIDE:
        yield from ((site, _TRUNK) for site in sites)
    elif part in _OF_PROCESS and name in sites:
        yield SiteId(name), _OF_PROCESS[part]


def _of_lines(ends: tuple[str, ...], sites: Collection[SiteId]) -> Iterator[tuple[SiteId, Loss]]:
    """Yield what is lost with lines to people: the agents' ones, and trunks."""
    at = [SiteId(end) for end in ends if end in sites]
    homes = [SiteId(end.removeprefix(_PEOPLE)) for end in ends if end.startswith(_PEOPLE)]
    if homes and set(homes) <= set(sites):
        yield from ((site, _LINES) for site in homes)
    elif _OUTSIDE & set(ends) and (at or len(ends) == 1):
        yield from ((site, _TRUNK) for site in at or sites)


def _ends(fault: Fault) -> tuple[str, ...]:
    """Return the hosts at the ends of what a fault breaks; one host stands for all its links."""
    if fault.kind is FaultKind.CUT_ONE_WAY:
        return tuple(fault.target.split(">"))
    one, dash, other = fault.target.partition("-")
    is_host = not dash or fault.target.startswith(_PEOPLE)
    return (fault.target,) if is_host else (one, other)


def _link(fault: Fault, sites: Collection[SiteId]) -> frozenset[SiteId] | None:
    """Return the two sites whose link is broken, in one direction at least; None: it is none."""
    if fault.kind not in _LINK_FAULTS:
        return None
    pair = frozenset(SiteId(end) for end in _ends(fault) if end in sites)
    return pair if len(pair) == len(_ends(fault)) == 2 else None  # noqa: PLR2004 - two ends


def _edge(fault: Fault, sites: Collection[SiteId]) -> str | None:
    """Return the edge that a fault strikes, None where it is none."""
    part, _, edge = fault.target.rpartition("-")
    is_edge = fault.kind in _PROCESS_FAULTS and part == "edge" and _site_of_edge(edge) in sites
    return edge if is_edge else None


def _site_of_edge(edge: str) -> SiteId:
    return SiteId(edge.rstrip("0123456789"))
