"""What the sites of `bench routing` share: one queue, and agents of all three sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zlib import crc32

from state import keys
from state.codec import Record, encode
from state.model import (
    Agent,
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Now,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Strategy,
    Ticket,
    TicketState,
)
from state.store import Put

SITES: Final = ("a", "b", "c")
QUEUE: Final = QueueId("q")
_NEEDS: Final = (SkillNeed(skill=SkillId("talk"), level=2),)


def furnishing(agents: int, strategy: Strategy = Strategy.WEIGHTED) -> Iterator[Put]:
    """Yield the records of the center, with an edge that lives at each site."""
    yield _put(keys.queue(QUEUE), Queue(id=QUEUE, needs=_NEEDS, strategy=strategy))
    for number, name in enumerate(SITES, start=1):
        site, edge = SiteId(name), EdgeId(f"{name}1")
        sip = f"198.18.{number}.10:5060"
        yield _put(keys.site(site), Site(id=site, name=name, sip=sip))
        state = EdgeState.SERVING
        life = EdgeLife(edge=edge, site=site, sip=sip, state=state, started_ms=1)
        yield _put(keys.edge(edge), life)
    for number in range(agents):
        agent = AgentId(f"agent{number:05}")
        site = SiteId(SITES[number % len(SITES)])
        skills = {SkillId("talk"): 2 + number % 3}
        yield _put(keys.agent(agent), Agent(id=agent, name=agent, site=site, skills=skills))
        ready = PresenceState.READY
        said = Presence(agent=agent, site=site, state=ready, since_ms=1)
        yield _put(keys.presence(agent), said)


def ticket(number: int, edge: EdgeId, at: Now) -> Ticket:
    """Return a caller who waits at an edge."""
    site = SiteId(edge[0])
    # The instant keeps the calls of one slice from those of the next.
    name = f"{crc32(edge.encode()):08x}{at.wall_ms % 2**32:08x}{number:08x}"
    return Ticket(
        call=CallId(name),
        did=DidNumber("15550100"),
        queue=QUEUE,
        needs=_NEEDS,
        priority=0,
        state=TicketState.QUEUED,
        holder=edge,
        site=site,
        via=site,
        caller="anonymous",
        sip_call_id=f"{name}@carrier",
        arrived_ms=at.wall_ms,
        queued_ms=at.wall_ms,
    )


def _put(key: str, record: Record) -> Put:
    return Put(key=key, value=encode(record))
