"""Small worlds for the tests of the decision core: records put one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import HealthCheck, settings

from state import keys
from state.codec import Record, encode
from state.model import (
    FIRST_EPOCH,
    Agent,
    AgentId,
    CallId,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Move,
    Now,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Probe,
    Queue,
    QueueId,
    ScoreWeights,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Ticket,
    TicketState,
    Work,
)
from state.raw import Change
from state.snapshot import Delta, Snapshot, step

PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is no failure."""

WALL_MS = 1_700_000_000_000
NOW = Now(mono_s=1_000.0, wall_ms=WALL_MS)
SITES = ("a", "b", "c")


def at(seconds: float) -> Now:
    """Return the instant `seconds` after NOW, on both clocks."""
    return Now(mono_s=NOW.mono_s + seconds, wall_ms=NOW.wall_ms + round(seconds * 1000))


def call_id(number: int) -> CallId:
    """Return a call's id that one can tell from others."""
    return CallId(f"{number:024x}")


def needs(**levels: int) -> tuple[SkillNeed, ...]:
    """Return needs by skill: `needs(sales=3)`."""
    return tuple(SkillNeed(skill=SkillId(skill), level=level) for skill, level in levels.items())


def skills(**levels: int) -> Mapping[SkillId, int]:
    """Return an agent's skills."""
    return {SkillId(skill): level for skill, level in levels.items()}


class World:
    """A keyspace, one revision later with each record put; `snapshot` is what an edge knows."""

    def __init__(self, sites: tuple[str, ...] = SITES) -> None:
        self.snapshot = Snapshot()
        self.deltas: list[Delta] = []
        """What has led to the snapshot."""
        for number, site in enumerate(sites, start=1):
            self.site(site, sip=f"198.18.{number}.10:5060")
            self.edge(f"{site}1", sip=f"198.18.{number}.10:5081")

    def put(self, key: str, record: Record | bytes, *, seen_s: float = 0.0) -> int:
        """Write a record (or bytes that are none) and return its revision."""
        revision = self.snapshot.revision + 1
        raw = self.snapshot.raw.get(key)
        change = Change(
            key=key,
            value=record if isinstance(record, bytes) else encode(record),
            create_revision=revision if raw is None else raw.create_revision,
            mod_revision=revision,
        )
        self._take(change, revision, seen_s)
        return revision

    def drop(self, key: str) -> None:
        """Delete a record."""
        revision = self.snapshot.revision + 1
        change = Change(key=key, value=None, create_revision=0, mod_revision=revision)
        self._take(change, revision, 0.0)

    def _take(self, change: Change, revision: int, seen_s: float) -> None:
        self.snapshot, deltas = step(self.snapshot, (change,), revision, seen_s)
        self.deltas += deltas

    def site(self, name: str, *, sip: str, draining: bool = False, **distance_ms: int) -> None:
        """Configure a site."""
        distances = {SiteId(other): ms for other, ms in distance_ms.items()}
        record = Site(id=SiteId(name), name=name, sip=sip, draining=draining, distance_ms=distances)
        self.put(keys.site(record.id), record)

    def edge(
        self,
        name: str,
        *,
        sip: str,
        state: EdgeState = EdgeState.SERVING,
        is_crowded: bool = False,
    ) -> None:
        """Let an edge live; its site is its first letter."""
        record = EdgeLife(
            edge=EdgeId(name),
            site=SiteId(name[0]),
            sip=sip,
            state=state,
            started_ms=WALL_MS,
            is_crowded=is_crowded,
        )
        self.put(keys.edge(record.edge), record)

    def probe(self, name: str, *, down: str = "") -> None:
        """Let an edge publish which sites it cannot reach."""
        record = Probe(edge=EdgeId(name), up=(), down=tuple(SiteId(site) for site in down))
        self.put(keys.probe(record.edge), record)

    def queue(self, name: str, *, weights: ScoreWeights | None = None, **levels: int) -> None:
        """Configure a queue with its needs."""
        record = Queue(id=QueueId(name), needs=needs(**levels), weights=weights or ScoreWeights())
        self.put(keys.queue(record.id), record)

    def set_queue(self, record: Queue) -> None:
        """Configure a queue with all its rules."""
        self.put(keys.queue(record.id), record)

    def set_agent(self, record: Agent) -> None:
        """Configure an agent who has signed in."""
        self.put(keys.agent(record.id), record)
        self.presence(record.id, site=record.site)

    def set_ticket(self, record: Ticket, *, waits_s: float = 0.0) -> CallId:
        """Let a caller wait who, at NOW, has waited for so long."""
        self.put(keys.ticket(record.call), record, seen_s=NOW.mono_s - waits_s)
        return record.call

    def did(self, number: str, queue: str) -> None:
        """Configure a number."""
        record = Did(number=DidNumber(number), queue=QueueId(queue))
        self.put(keys.did(record.number), record)

    def agent(
        self,
        name: str,
        *,
        site: str = "a",
        state: PresenceState | None = PresenceState.READY,
        since_ms: int = WALL_MS - 60_000,
        **levels: int,
    ) -> AgentId:
        """Configure an agent who has signed in, unless `state` says otherwise."""
        record = Agent(id=AgentId(name), name=name, site=SiteId(site), skills=skills(**levels))
        self.put(keys.agent(record.id), record)
        if state is not None:
            self.presence(name, site=site, state=state, since_ms=since_ms)
        return record.id

    def presence(
        self,
        name: str,
        *,
        site: str = "a",
        state: PresenceState = PresenceState.READY,
        since_ms: int = WALL_MS - 60_000,
        epoch: int = FIRST_EPOCH,
    ) -> None:
        """Say what an agent's home site says."""
        agent = AgentId(name)
        record = Presence(
            agent=agent, site=SiteId(site), state=state, since_ms=since_ms, epoch=epoch
        )
        self.put(keys.presence(agent), record, seen_s=NOW.mono_s)

    def move(self, name: str, site: str, *, home: str) -> None:
        """Move an agent who is configured to be at `home` to another site."""
        agent = AgentId(name)
        record = Move(agent=agent, site=SiteId(site), home=SiteId(home), since_ms=WALL_MS)
        self.put(keys.move(agent), record)

    def work(self, name: str, *, seen_s: float = 0.0, rest_s: float = 0.0, **sums: float) -> None:
        """Write what an agent has done; it was seen at `seen_s`."""
        agent = AgentId(name)
        record = Work(
            agent=agent,
            rest_s=rest_s,
            busy_s=sums.get("busy_s", 0.0),
            idle_s=sums.get("idle_s", 0.0),
            ended_ms=int(sums.get("ended_ms", WALL_MS)),
        )
        self.put(keys.work(agent), record, seen_s=seen_s)

    def offer(
        self,
        name: str,
        call: int = 999,
        *,
        edge: str = "a1",
        state: OfferState = OfferState.RINGING,
    ) -> None:
        """Give an agent to a call."""
        agent = AgentId(name)
        record = Offer(
            agent=agent, call=call_id(call), edge=EdgeId(edge), state=state, since_ms=WALL_MS
        )
        self.put(keys.offer(agent), record, seen_s=NOW.mono_s)

    def ticket(  # noqa: PLR0913  the fields that matter to a match
        self,
        number: int,
        *,
        state: TicketState = TicketState.QUEUED,
        holder: str = "a1",
        priority: int = 0,
        queue: str = "sales",
        tried: tuple[str, ...] = (),
        agent: str | None = None,
        wants: Mapping[str, int] | None = None,
        by: str | None = None,
        **levels: int,
    ) -> CallId:
        """Let a caller wait."""
        record = ticket(
            number,
            state=state,
            holder=holder,
            priority=priority,
            queue=queue,
            tried=tried,
            agent=agent,
            wants=wants,
            by=by,
            **levels,
        )
        self.put(keys.ticket(record.call), record, seen_s=NOW.mono_s)
        return record.call


def ticket(  # noqa: PLR0913  the fields that matter to a match
    number: int,
    *,
    state: TicketState = TicketState.QUEUED,
    holder: str = "a1",
    priority: int = 0,
    queue: str = "sales",
    tried: tuple[str, ...] = (),
    agent: str | None = None,
    wants: Mapping[str, int] | None = None,
    by: str | None = None,
    **levels: int,
) -> Ticket:
    """Return a caller's place; what is needed is in `wants` or in the levels."""
    return Ticket(
        call=call_id(number),
        did=DidNumber("4930100"),
        queue=QueueId(queue),
        needs=needs(**(wants or levels)),
        priority=priority,
        state=state,
        holder=EdgeId(holder),
        site=SiteId(holder[0]),
        via=SiteId(holder[0]),
        caller="+4915100000",
        by=None if by is None else AgentId(by),
        sip_call_id=f"{number}@carrier",
        arrived_ms=WALL_MS,
        agent=None if agent is None else AgentId(agent),
        tried=tuple(AgentId(each) for each in tried),
    )
