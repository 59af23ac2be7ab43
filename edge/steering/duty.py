"""Which edge sees to what can be seen to by several: all edges with the same snapshot agree.

By rendezvous hashing: when an edge comes or goes, only what it had changes hands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from state.model import AgentId, EdgeId, EdgeState, SiteId
from state.snapshot import Snapshot


def home_edge(snapshot: Snapshot, agent: AgentId) -> EdgeId | None:
    """Return the edge that writes the agent's presence and loads their gate.

    One that lives at the agent's home site and, if there is one, does not drain. None: the agent is
    not configured, or no edge of their home site lives.
    """
    entry = snapshot.agents.get(agent)
    return None if entry is None else edge_at(snapshot, entry.value.site, agent)


def edge_at(snapshot: Snapshot, site: SiteId, task: str) -> EdgeId | None:
    """Return the edge of a site that is to do a task: if there is one, one that does not drain.

    None: no edge lives there.
    """
    here = [life.value for life in snapshot.edges.values() if life.value.site == site]
    serving = [life.edge for life in here if life.state is EdgeState.SERVING]
    return chosen(serving or [life.edge for life in here], task)


def taking_calls(snapshot: Snapshot) -> Sequence[EdgeId]:
    """Return the edges that take new calls: of sites that drain none, if there are others.

    Where all sites drain there is nobody else, and whoever comes is served there, too.
    """
    serving = [e.value for e in snapshot.edges.values() if e.value.state is EdgeState.SERVING]
    drained = {name for name, site in snapshot.sites.items() if site.value.draining}
    stay = [each.edge for each in serving if each.site not in drained]
    return stay or [each.edge for each in serving]


def janitor(snapshot: Snapshot, dead: EdgeId) -> EdgeId | None:
    """Return the survivor who closes a dead edge's tickets and frees its agents.

    None: nobody lives. The dead edge is not asked, though it may be in the snapshot of one who
    knows better.
    """
    return chosen((edge for edge in snapshot.edges if edge != dead), dead)


def chosen(edges: Iterable[EdgeId], task: str) -> EdgeId | None:
    """Return the one of some edges who is to do a task: the same whoever asks."""
    return max(edges, key=lambda edge: (_weight(edge, task), edge), default=None)


def _weight(edge: EdgeId, task: str) -> bytes:
    return hashlib.blake2b(f"{edge}\0{task}".encode(), digest_size=8).digest()
