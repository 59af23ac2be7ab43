"""Which edges serve a DID, in order of preference, as one site sees it: the rows of `steer`.

Owns the order of sites. Knows nothing of htables but how a row is written.

The laws:

- The own site comes first unless it drains. Then the others: those with an edge that has room
  before those where all have too much to do, whose own Kamailio cannot keep from them what comes
  from here; those where an agent who can take the DID's calls is free, before those without; the
  nearer first; by id.
- How much the own site has to do is no reason to leave it: its Kamailio refuses what is too much,
  and the carrier finds the next.
- A DID that names sites has those first, in its order, whichever it came to. While a site drains,
  the backups that it names come first there, in its order.
- A site that names shares, and does not drain, makes one first group of the sites that serve and
  have a part, each as often as its parts say: Kamailio begins anywhere in a group. Not for a DID
  that names sites.
- Dead edges, and sites that this one cannot reach, are left out. Edges that drain, and sites that
  do or that are `last` (see `standing`), come after all others. Whoever is left out for a reason
  that may be mistaken comes back in when nobody else is left: the last good site is never removed.
- A row changes only with what it rests on: whether an agent is free, not how many are; whether an
  edge has had too much to do for a while, not how much.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from edge.acd.eligibility import facts_of, live_sites, unavailable_because, unsuited_because
from edge.acd.needs import Needs
from state.model import AgentId, DidNumber, EdgeLife, EdgeState, Now, SiteId
from state.snapshot import Snapshot

ANY: Final = DidNumber("*")
"""The row for numbers without one of their own: an edge says whether it knows the number."""

Groups: TypeAlias = tuple[tuple[str, ...], ...]
"""`host:port` of edges: each group before the next, no preference within one."""

_FAR_MS: Final = 1_000_000
"""The distance of a site that nobody has measured."""


def rows(
    snapshot: Snapshot,
    site: SiteId,
    now: Now,
    *,
    unreachable: frozenset[SiteId] = frozenset(),
    last: frozenset[SiteId] = frozenset(),
) -> Mapping[DidNumber, Groups]:
    """Return the row of every DID, and of ANY, as seen from `site`.

    Empty when no edge at all is known to live, which says nothing: keep the rows that there are.
    """
    lives = [life.value for life in snapshot.edges.values()]
    lives = [life for life in lives if life.site == site or life.site not in unreachable] or lives
    if not lives:
        return {}
    view = _View(snapshot, site, lives, last)
    staff = _Staff(snapshot, now)
    known: dict[tuple[Needs | None, tuple[SiteId, ...]], Groups] = {}
    table = {ANY: view.groups(frozenset(), ())}
    for number, did in snapshot.dids.items():
        queue = snapshot.queues.get(did.value.queue)
        needs = None if queue is None else Needs.of_queue(queue.value)
        kind = (needs, did.value.sites)
        if kind not in known:
            staffed = frozenset() if needs is None else staff.sites(needs)
            known[kind] = view.groups(staffed, did.value.sites)
        table[number] = known[kind]
    return table


def encode(groups: Groups) -> str:
    """Return the row as Kamailio reads it: `|` between groups, `,` within."""
    return "|".join(",".join(group) for group in groups)


class _View:
    """The edges that can be asked, by site, as `own` sees them."""

    def __init__(
        self,
        snapshot: Snapshot,
        own: SiteId,
        lives: Collection[EdgeLife],
        last: frozenset[SiteId],
    ) -> None:
        self._snapshot = snapshot
        self._last = last
        self._own = own
        self._serving: dict[SiteId, list[str]] = defaultdict(list)
        self._leaving: dict[SiteId, list[str]] = defaultdict(list)
        self._crowded = {life.sip for life in lives if life.is_crowded}
        for life in lives:
            kept = self._leaving if life.state is EdgeState.DRAINING else self._serving
            kept[life.site].append(life.sip)

    def groups(self, staffed: frozenset[SiteId], named: tuple[SiteId, ...]) -> Groups:
        """Return one group a site, best first; then one a site of the edges that drain.

        Before them the sites that share, if there are some, as one group.
        """
        shared = () if named else self._shared()
        groups = [
            tuple(sorted(edges[site]))
            for edges in (self._serving, self._leaving)
            for site in sorted(edges, key=lambda each: self._preference(each, staffed, named))
        ]
        rest = tuple(group for group in groups if not set(group) <= set(shared))
        return (shared, *rest) if shared else rest

    def _shared(self) -> tuple[str, ...]:
        """Return the edges of the sites that share this one's calls, each as often as it should."""
        own = self._snapshot.sites.get(self._own)
        if own is None or self._is_draining(self._own):
            return ()
        parts = {
            site: count
            for site, count in own.value.shares.items()
            if count and site in self._serving and not self._is_draining(site)
        }
        if not parts:
            return ()
        least = math.gcd(*parts.values())
        # Enough entries that each edge of the largest site has its turn.
        times = max(len(self._serving[site]) for site in parts)
        turns = [
            ((turn + 0.5) / total, site, turn)
            for site, count in parts.items()
            for total in (count // least * times,)
            for turn in range(total)
        ]
        return tuple(self._edge(site, turn) for _, site, turn in sorted(turns))

    def _edge(self, site: SiteId, turn: int) -> str:
        edges = sorted(self._serving[site])
        return edges[turn % len(edges)]

    def _is_draining(self, site: SiteId) -> bool:
        known = self._snapshot.sites.get(site)
        return site in self._last or (known is not None and known.value.draining)

    def _preference(
        self, site: SiteId, staffed: frozenset[SiteId], named: tuple[SiteId, ...]
    ) -> tuple[bool, int, int, bool, bool, bool, int, SiteId]:
        own = self._snapshot.sites.get(self._own)
        distances = {} if own is None else own.value.distance_ms
        distance_ms = distances.get(site, _FAR_MS)
        backups = own.value.backups if own is not None and self._is_draining(self._own) else ()
        return (
            self._is_draining(site),
            _rank(named, site),
            _rank(backups, site),
            site != self._own,
            self._crowded.issuperset(self._serving.get(site, ("",))),
            site not in staffed,
            distance_ms,
            site,
        )


def _rank(order: tuple[SiteId, ...], site: SiteId) -> int:
    return order.index(site) if site in order else len(order)


class _Staff:
    """Where somebody is free, at one moment.

    One of each site is enough, and most are found at once: looking at all agents for every change
    of one would cost a large center more than its calls do.
    """

    def __init__(self, snapshot: Snapshot, now: Now) -> None:
        self._snapshot = snapshot
        self._now = now
        self._live = live_sites(snapshot)
        self._free: dict[AgentId, bool] = {}
        """Of those who have been looked at."""

    def sites(self, needs: Needs) -> frozenset[SiteId]:
        """Return the sites where a free agent meets the needs."""
        empty, offers = set(self._live), self._snapshot.offers
        for entry in self._snapshot.agents.values():
            agent = entry.value
            # Where nobody is free nearly all have an offer: the cheapest test to fail.
            if (
                agent.site in empty
                and agent.id not in offers
                and unsuited_because(agent, needs) is None
                and self._is_free(agent.id)
            ):
                empty.discard(agent.site)
                if not empty:
                    break
        return self._live - empty

    def _is_free(self, agent: AgentId) -> bool:
        known = self._free.get(agent)
        if known is None:
            facts = facts_of(self._snapshot, agent, self._live)
            known = self._free[agent] = unavailable_because(facts, self._now) is None
        return known
