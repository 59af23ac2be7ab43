"""How things stand when somebody wants to begin a drill: what the guards go by. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from drills.permit import Permit
from state.model import SiteId


class Lag(Struct, frozen=True, kw_only=True):
    """How far a replica is behind the one that all others follow."""

    replica: str
    behind: float | None
    """None: nobody can tell, which counts as too far."""
    at_most: float
    unit: str


MOST_BEHIND: Final = 500
"""Log entries of etcd; a call makes some five."""


def etcd_lags(behind: Mapping[SiteId, int | None]) -> tuple[Lag, ...]:
    """Return how far each member of etcd is behind, from the log entries it has yet to apply."""
    return tuple(
        Lag(replica=f"etcd at {site}", behind=entries, at_most=MOST_BEHIND, unit="log entries")
        for site, entries in sorted(behind.items())
    )


class Facts(Struct, frozen=True, kw_only=True):
    """How things stand when somebody wants to begin."""

    sites: tuple[SiteId, ...]
    good_sites: frozenset[SiteId]
    """Serving, and reachable by the others."""
    members: frozenset[SiteId]
    """Sites whose member of etcd is in the quorum."""
    agents: Mapping[SiteId, int]
    """Ready, by home site."""
    edges: Mapping[SiteId, int] = {}
    """How many of them serve, by site; of a site that is not named, one."""
    erlangs: float | None
    """What comes at its peak: calls a second times how long an agent is busy with one.

    None: nobody can tell, and it may be any number of calls."""
    other_drills: tuple[str, ...] = ()
    standing_faults: tuple[str, ...] = ()
    is_lever_pulled: bool = False
    """The safety lever, which stops all drills, and lets none begin."""
    incidents: tuple[str, ...] = ()
    """What is wrong already, in words, though nobody drills."""
    primary: str | None = None
    """The site whose member of the database takes writes; None: there is none over the sites."""
    lags: tuple[Lag, ...] = ()
    unreplicated: Mapping[SiteId, int] = {}
    """Recordings of calls that are over, at one site alone, as it says in the shared state.

    Of a site that is not named nobody tells: its recorder has said nothing yet, it copies nothing,
    or what it said cannot be read. There may be any number of them."""
    copies_late: frozenset[SiteId] = frozenset()
    """Sites whose recordings are not copied any more, or whose recorder does not tell."""
    calls: Mapping[SiteId, int] = {}
    """Calls that go on, by the site that holds them."""
    numbers: Mapping[SiteId, int] = {}
    """How many numbers each site serves before all others; under no name those of any site."""
    blackouts: tuple[str, ...] = ()
    """Names of the blackouts that the drill would fall into."""
    permit: Permit | None = None
    """Of a live system: two people's leave. None: there is none yet."""
    is_synthetic_only: bool = False
    """Whoever drills wants no real caller to be touched."""
    real_calls: int | None = 0
    """Calls that go on beside test calls; None: nobody can tell."""
    is_live: bool = False
    """Real callers are there, and not only synthetic ones."""
