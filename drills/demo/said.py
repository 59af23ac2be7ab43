"""What the shared state said of each agent, and which edges lived, by its history. PURE.

As it stood at each moment, however late it was written: whoever read it then was told so. Knows
nothing of what was true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.history import Seen, of_kind
from state.codec import decode
from state.keys import Kind
from state.model import AgentId, CallId, EdgeId, Offer, Presence, PresenceState, SiteId


class Said(Struct, frozen=True, kw_only=True):
    """What was said of an agent for a while. Times: wall-clock milliseconds of the machine."""

    agent: AgentId
    state: PresenceState = PresenceState.SIGNED_OUT
    site: SiteId | None = None
    """Where they can be rung; None: they have never been anywhere."""
    call: CallId | None = None
    """To which they were given."""
    from_ms: float
    to_ms: float


class Life(Struct, frozen=True, kw_only=True):
    """An edge had a lease."""

    edge: EdgeId
    from_ms: float
    to_ms: float


class Words(Struct, frozen=True, kw_only=True):
    """Everything of it."""

    agents: tuple[Said, ...] = ()
    """No two of one agent at a time."""
    lives: tuple[Life, ...] = ()


def words(seen: Iterable[Seen]) -> Words:
    """Return it of a history that is complete; CodecError for a record that cannot be read."""
    changes = tuple(seen)
    return Words(agents=tuple(_agents(changes)), lives=tuple(_lives(changes)))


def _agents(seen: Iterable[Seen]) -> Iterator[Said]:
    now: dict[AgentId, Said] = {}
    for each in seen:
        for kind in (Kind.PRESENCE, Kind.OFFER):
            for _, key in of_kind((each,), kind):
                agent, value = AgentId(key.id), each.change.value
                before = now.get(agent)
                if before is not None and before.from_ms < each.at_ms:
                    yield replace(before, to_ms=each.at_ms)
                after = before or Said(agent=agent, from_ms=each.at_ms, to_ms=math.inf)
                after = replace(after, from_ms=each.at_ms)
                if kind is Kind.OFFER:
                    offer = None if value is None else decode(Offer, value, each.change.key)
                    now[agent] = replace(after, call=None if offer is None else offer.call)
                else:
                    said = None if value is None else decode(Presence, value, each.change.key)
                    state = PresenceState.SIGNED_OUT if said is None else said.state
                    site = after.site if said is None else said.site
                    now[agent] = replace(after, state=state, site=site)
    yield from now.values()


def _lives(seen: Iterable[Seen]) -> Iterator[Life]:
    now: dict[EdgeId, Life] = {}
    for each, key in of_kind(seen, Kind.EDGE):
        edge = EdgeId(key.id)
        if each.change.value is not None:
            now.setdefault(edge, Life(edge=edge, from_ms=each.at_ms, to_ms=math.inf))
        elif edge in now:
            yield replace(now.pop(edge), to_ms=each.at_ms)
    yield from now.values()
