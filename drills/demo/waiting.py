"""Who waited for an agent and which agents were free, by the history of the shared state. PURE.

Knows nothing of who should have had whom. What a watch sees late, as while nobody could write, is
put where it was: a caller waits since their edge let them wait, an agent is free when the wrap-up
is over that their last call's edge had begun, both by the edges' own stamps. An offer counts from
when it was there: until then the caller waits, and the agent is free.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.history import Seen, of_kind
from state.codec import decode
from state.keys import Key, Kind
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    Presence,
    PresenceState,
    Probe,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
    Work,
)

_MS = 1000.0


class Wait(Struct, frozen=True, kw_only=True):
    """A caller waits for an agent, at an edge. Times: wall-clock milliseconds of the machine."""

    call: CallId
    queue: QueueId
    holder: EdgeId
    order: tuple[int, int]
    """The lower is served first."""
    from_ms: float
    to_ms: float


class Free(Struct, frozen=True, kw_only=True):
    """An agent is signed in and ready, rested, and given to nobody."""

    agent: AgentId
    site: SiteId
    from_ms: float
    to_ms: float


class OutOfReach(Struct, frozen=True, kw_only=True):
    """Sites that an edge says it cannot reach."""

    edge: EdgeId
    sites: frozenset[SiteId]
    from_ms: float
    to_ms: float


class Waiting(Struct, frozen=True, kw_only=True):
    """Everything of it."""

    waits: tuple[Wait, ...] = ()
    free: tuple[Free, ...] = ()
    out_of_reach: tuple[OutOfReach, ...] = ()


def waiting(seen: Iterable[Seen]) -> Waiting:
    """Return it of a history that is complete; CodecError for a record that cannot be read."""
    changes = tuple(seen)
    return Waiting(
        waits=tuple(_waits(changes)),
        free=tuple(_free(changes)),
        out_of_reach=tuple(_out_of_reach(changes)),
    )


def _waits(seen: Iterable[Seen]) -> Iterator[Wait]:
    """Yield a stretch of waiting for each order, queue and holder that a waiting caller had."""
    open_: dict[CallId, Wait] = {}
    known: set[CallId] = set()
    for each, key in of_kind(seen, Kind.TICKET):
        value, call = each.change.value, CallId(key.id)
        ticket = None if value is None else decode(Ticket, value, each.change.key)
        before = open_.pop(call, None)
        if before is not None:
            yield replace(before, to_ms=each.at_ms)
        if ticket is None or ticket.queued_ms is None:
            continue
        # A ticket that was written late: they wait since their edge says so.
        since_ms = each.at_ms if call in known else min(each.at_ms, ticket.queued_ms)
        known.add(call)
        wait = Wait(
            call=call,
            queue=ticket.queue,
            holder=ticket.holder,
            order=(-ticket.priority, ticket.place or each.change.create_revision),
            from_ms=since_ms,
            to_ms=each.at_ms,
        )
        if ticket.state is TicketState.QUEUED:
            open_[call] = replace(wait, to_ms=math.inf)
        if since_ms < each.at_ms:
            yield wait
            if call in open_:
                open_[call] = replace(open_[call], from_ms=each.at_ms)
    yield from open_.values()


class _Agent(Struct):
    """One agent, as far as the history has come."""

    ready: SiteId | None = None
    """At which site they are ready; None: they are not."""
    is_given: bool = False
    since_ms: float = 0.0
    """When the last of what kept them was over: not ready, given, or at rest."""
    given_ms: float = 0.0
    """When they were given last."""
    freed: int = 0
    """The revision at which they were given back."""
    rested: tuple[int, float] = (0, 0.0)
    """At which revision their last work was written, and when they are rested of it."""

    def free(self, agent: AgentId, until_ms: float) -> Iterator[Free]:
        """Yield the stretch in which they were free, if they were."""
        if self.ready is not None and not self.is_given and self.since_ms < until_ms:
            yield Free(agent=agent, site=self.ready, from_ms=self.since_ms, to_ms=until_ms)


def _free(seen: Iterable[Seen]) -> Iterator[Free]:
    agents: dict[AgentId, _Agent] = {}
    for each, key in _of_agents(seen):
        who, value, at_ms = AgentId(key.id), each.change.value, each.at_ms
        agent = agents.setdefault(who, _Agent())
        if key.kind is Kind.WORK:
            if value is not None:
                _worked(agent, decode(Work, value, each.change.key), each)
            continue
        yield from agent.free(who, at_ms)
        agent.since_ms = max(agent.since_ms, at_ms)
        if key.kind is Kind.PRESENCE:
            said = None if value is None else decode(Presence, value, each.change.key)
            is_ready = said is not None and said.state is PresenceState.READY
            agent.ready = said.site if said is not None and is_ready else None
        elif value is not None:
            agent.is_given = True
            agent.since_ms = agent.given_ms = at_ms
        else:
            agent.is_given, agent.freed = False, each.change.mod_revision
            _rested(agent)
    for who, agent in agents.items():
        yield from agent.free(who, math.inf)


def _worked(agent: _Agent, work: Work, each: Seen) -> None:
    ended_ms = work.ended_ms or each.at_ms
    agent.rested = (each.change.mod_revision, ended_ms + work.rest_s * _MS)
    _rested(agent)


def _rested(agent: _Agent) -> None:
    """Let who was given back be free once they are rested; both are one write, in any order."""
    revision, rested_ms = agent.rested
    if not agent.is_given and agent.freed == revision:
        agent.since_ms = max(agent.given_ms, rested_ms)


def _of_agents(seen: Iterable[Seen]) -> Iterator[tuple[Seen, Key]]:
    for each in seen:
        for kind in (Kind.PRESENCE, Kind.OFFER, Kind.WORK):
            yield from of_kind((each,), kind)


def _out_of_reach(seen: Iterable[Seen]) -> Iterator[OutOfReach]:
    open_: dict[EdgeId, OutOfReach] = {}
    for each, key in of_kind(seen, Kind.PROBE):
        edge, value = EdgeId(key.id), each.change.value
        before = open_.pop(edge, None)
        if before is not None:
            yield replace(before, to_ms=each.at_ms)
        down = () if value is None else decode(Probe, value, each.change.key).down
        if down:
            open_[edge] = OutOfReach(
                edge=edge, sites=frozenset(down), from_ms=each.at_ms, to_ms=math.inf
            )
    yield from open_.values()
