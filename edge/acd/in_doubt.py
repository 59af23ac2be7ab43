"""Whether a lost call may be going on, or have been served, at a site that is only cut off. PURE.

The leases of a site that is cut off run out like those of one that is dead: survivors close its
calls as lost, and it serves their callers meanwhile. It tells of that when it merges. Whoever was
served is not to be called back, and who was cut off indeed is.

The laws:

- Of whom a survivor closed because their edge was away, nobody is called back while that is in
  doubt. They may come again themselves at any time, and have the place.
- If edges of that site are in the store, it is their word: in doubt is what was held by one that
  has served alone and not merged, be it the one that says so or a sister whom it hears
  (`EdgeLife.alone`). The same revision, or an earlier one, that takes that word back has
  deleted the place of everybody who was served.
- If none is, the telephones of its agents tell dead from cut off, as nobody else can: they go to
  another site when their own does not answer *them*. A site from which as many have gone as are
  left has hardly anybody to serve with. Who talks at an edge that lives is counted nowhere: they
  serve nobody there, and are not moved before that talk is over.
- For `SETTLES_S` there is doubt in any case: the leases of one site run out one after the other.
- After `IN_DOUBT_S`, or half of the time in which the caller wants to be called back, there is none
  any more: the agents may have gone with the site.
"""

from __future__ import annotations

from typing import Final

from state.model import AgentId, Entry, Now, Place, PresenceState, SiteId
from state.snapshot import Snapshot

SETTLES_S: Final = 3.0
"""Longer than a period of keepalives and the delay of a watch."""
IN_DOUBT_S: Final = 600.0
"""As long as a caller who was cut off may come again and have the old place."""


class Doubts:
    """What is in doubt by one snapshot. The agents of each site are looked at once, if at all."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._have_agents: dict[SiteId, bool] = {}

    def has(self, place: Entry[Place], now: Now) -> bool:
        """Tell whether the caller of a lost call may be served by the edge that held it."""
        edge, site = place.value.held_by, place.value.held_at
        if edge is None or site is None:
            return False
        age_s = now.mono_s - place.seen_s
        if age_s < SETTLES_S:
            return True
        edges = self._snapshot.edges
        there = [life.value for life in edges.values() if life.value.site == site]
        if there:
            return any(edge in life.alone for life in there)
        return age_s < _longest_s(place.value) and self._has_agents(site)

    def _has_agents(self, site: SiteId) -> bool:
        if site not in self._have_agents:
            self._have_agents[site] = _has_agents(self._snapshot, site)
        return self._have_agents[site]


def _longest_s(place: Place) -> float:
    rules = place.call_back
    return IN_DOUBT_S if rules is None else min(IN_DOUBT_S, rules.expires_s / 2)


def _has_agents(snapshot: Snapshot, site: SiteId) -> bool:
    """Tell whether more agents are left at a site of which nothing is heard than have gone."""
    agents = snapshot.agents
    gone = sum(
        move.value.home == site and agent in agents and agents[agent].value.site != site
        for agent, move in snapshot.moves.items()
    )
    left = (a for a, e in agents.items() if e.value.site == site and _is_there(snapshot, a, site))
    return sum(1 for _ in left) > gone


def _is_there(snapshot: Snapshot, agent: AgentId, site: SiteId) -> bool:
    """Tell it by what the site said of an agent last."""
    presence, offer = snapshot.presences.get(agent), snapshot.offers.get(agent)
    if presence is None or agent in snapshot.barred:
        return False
    if offer is not None and offer.value.edge in snapshot.edges:
        return False
    said = presence.value
    return said.site == site and said.state is not PresenceState.SIGNED_OUT
