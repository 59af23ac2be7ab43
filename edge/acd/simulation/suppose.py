"""How things would stand if: under other rules, without some sites. PURE.

What is supposed is a beginning (`Begin`) like that of a recorded day, so that the same simulation
goes on from it, and a snapshot of it tells what steering would make of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from edge.acd.simulation.day import KINDS, kind_of
from edge.acd.simulation.world import World
from state import keys
from state.codec import encode
from state.configuration import Configuration
from state.eventlog.lines import Begin
from state.eventlog.lines import begin as begun_with
from state.keys import Kind, parse
from state.model import AgentId, EdgeId, Now, Presence, SiteId
from state.snapshot import Snapshot, configured_site


def supposed(
    snapshot: Snapshot,
    now: Now,
    *,
    rules: Configuration | None = None,
    lost: frozenset[SiteId] = frozenset(),
) -> Begin:
    """Return how a day would begin at `now` under these rules (None: its own), without some sites.

    Nobody calls yet, and nobody talks. The agents of a lost site are gone with it; all others are
    as ready as they are. An agent to whom the rules give another home is there, and ready.
    """
    whole = begun_with("supposed", snapshot, now)
    kept = tuple(row for row in whole.rows if _stays(row.key, snapshot, lost))
    begin = replace(whole, rows=kept)
    if rules is None:
        return begin
    world = World(begin)
    world.write(_differences(snapshot, rules, lost), now)
    return begun_with("supposed", world.snapshot, now)


def _differences(
    snapshot: Snapshot, rules: Configuration, lost: frozenset[SiteId]
) -> Iterator[tuple[str, bytes | None]]:
    """Yield what other rules write, and take away, of what a day begins with."""
    wanted = {key: encode(record) for key, record in rules.by_key().items() if _begins(key)}
    for key, raw in snapshot.raw.items():
        if key.startswith(keys.CONFIG) and _begins(key) and key not in wanted:
            yield key, None
        elif wanted.get(key) == raw.value:
            del wanted[key]
    yield from wanted.items()
    for agent in rules.agents:
        entry = snapshot.presences.get(agent.id)
        if entry is None or agent.id not in snapshot.agents or entry.value.site in lost:
            continue
        if configured_site(snapshot, agent.id) != agent.site:
            yield keys.presence(agent.id), encode(_at(entry.value, agent.site))
            yield keys.move(agent.id), None


def _at(presence: Presence, site: SiteId) -> Presence:
    # An early rest belongs to what an edge has seen, and is nobody's here.
    return replace(presence, site=site, rest_of=0, rest_s=0.0)


def _begins(key: str) -> bool:
    return kind_of(key) in KINDS


def _stays(key: str, snapshot: Snapshot, lost: frozenset[SiteId]) -> bool:
    """Tell whether a record is there when these sites are not, and belongs to a beginning."""
    kind = kind_of(key)
    if kind not in KINDS:
        return False
    identifier = parse(key).id
    match kind:
        case Kind.EDGE:
            life = snapshot.edges.get(EdgeId(identifier))
            return life is not None and life.value.site not in lost
        case Kind.PROBE:
            # What edges say of each other's reach is of now, and not of what is supposed.
            return False
        case Kind.PRESENCE:
            presence = snapshot.presences.get(AgentId(identifier))
            return presence is not None and presence.value.site not in lost
        case _:
            return True
