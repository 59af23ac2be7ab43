"""Where agents are at home while their home is dead: at the site that has their telephone. PURE.

A telephone whose registrar is silent registers at another site. That site takes the agent over, and
is their home until it is the other way round: then their own site takes them back, by the same
rule. A record says so (`state.model.Move`), and snapshots show the agent there.

The laws:

- A home that lives and has a telephone of the agent keeps them, whatever else is registered where.
- Nobody is moved while an offer stands for them: the move compares that there is none.
- A token made before a move does not ring the agent after it: the move's mod_revision is the floor
  of the gate at the new home, and no gate but that of the home lets anything through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from edge.steering.duty import edge_at
from state.model import AgentId, EdgeId, Move, PresenceState, Readiness, SiteId
from state.snapshot import Snapshot, configured_site


class MoveDue(Struct, frozen=True, kw_only=True):
    """A move to be written if nothing has changed meanwhile."""

    move: Move
    replaces: int
    """The mod_revision of the agent's last move; 0: there is none."""
    presence: int
    """The mod_revision of what their home of before says of them; 0: nothing."""


def moves_due(
    snapshot: Snapshot, edge: EdgeId, registered: Iterable[AgentId], wall_ms: int
) -> Iterator[MoveDue]:
    """Yield the moves that this edge has to write, of agents whose telephones its site has."""
    own = snapshot.edges.get(edge)
    if own is None:
        return
    site = own.value.site
    lit = {life.value.site for life in snapshot.edges.values()}
    for agent in registered:
        entry = snapshot.agents.get(agent)
        if entry is None or entry.value.site == site or agent in snapshot.offers:
            continue
        if agent in snapshot.barred or _is_kept(snapshot, agent, entry.value.site, lit):
            continue
        if edge_at(snapshot, site, agent) != edge:
            continue
        move, presence = snapshot.moves.get(agent), snapshot.presences.get(agent)
        yield MoveDue(
            move=Move(
                agent=agent,
                site=site,
                home=configured_site(snapshot, agent),
                since_ms=wall_ms,
            ),
            replaces=0 if move is None else move.mod_revision,
            presence=0 if presence is None else presence.mod_revision,
        )


def _is_kept(snapshot: Snapshot, agent: AgentId, home: SiteId, lit: set[SiteId]) -> bool:
    """Whether an agent's home of now lives and has a telephone of theirs.

    Who wishes to be signed out stays where they are: what the home says does not tell whether their
    telephone is there.
    """
    if home not in lit:
        return False
    wish, move = snapshot.wishes.get(agent), snapshot.moves.get(agent)
    if wish is not None and wish.value.readiness is Readiness.SIGNED_OUT:
        return True
    presence = snapshot.presences.get(agent)
    if presence is None:
        return False
    if move is not None and presence.mod_revision < move.mod_revision:
        return True  # the new home has not spoken yet
    said = presence.value
    return said.site == home and said.state is not PresenceState.SIGNED_OUT
