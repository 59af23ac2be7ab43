"""A center as large as one likes, as a snapshot, and the events that change it.

200 queues, 60 skills. Each agent has three skills drawn at random, at levels drawn at random, so
that at any size few agents are alike. A fifth of the queues has agents in plenty: their skills are
had by a fifth of the agents, who are free, and nobody waits for them. The other queues have all
callers who wait, half as many as there are agents, and their agents are busy.

A third of the queues ages its callers, a third has two relaxation steps; of four queues two are
weighted, one goes by idle time alone, and one by occupancy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final

from immutables import Map
from msgspec.structs import replace

from state.keys import Kind
from state.model import (
    Agent,
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Entry,
    Now,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    ScoreWeights,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Strategy,
    Ticket,
    TicketState,
    Work,
)
from state.snapshot import Delta, Snapshot

QUEUES: Final = 200
SKILLS: Final = 60
PLENTY: Final = 5
"""Of so many queues and skills one has agents in plenty."""
SITES: Final = ("a", "b", "c")
EDGE: Final = EdgeId("a1")
WALL_MS: Final = 1_700_000_000_000
START_S: Final = 10_000.0
HANDLING_S: Final = 300.0
"""How long a call takes: with as many agents it tells how often something happens."""
_STRATEGIES: Final = (
    Strategy.WEIGHTED,
    Strategy.LONGEST_IDLE,
    Strategy.WEIGHTED,
    Strategy.LEAST_OCCUPIED,
)


@dataclass(eq=False)
class Center:
    """A snapshot that goes from event to event; every record of it is seen being written."""

    agents: int
    random: Random
    snapshot: Snapshot = field(default_factory=Snapshot)
    now_s: float = START_S
    deltas: list[Delta] = field(default_factory=list)
    """What has happened since somebody took them."""

    def __post_init__(self) -> None:
        self._calls = count()
        queues = {each.id: self._entry(each) for each in map(self._queue, range(QUEUES))}
        self.snapshot = replace(
            self.snapshot,
            sites=Map({SiteId(each): self._entry(_site(each)) for each in SITES}),
            edges=Map({EdgeId(f"{each}1"): self._entry(_life(each)) for each in SITES}),
            queues=Map(queues),
        )

    @property
    def now(self) -> Now:
        """The moment at which the center is."""
        return Now(mono_s=self.now_s, wall_ms=WALL_MS + round(1000.0 * (self.now_s - START_S)))

    def take_deltas(self) -> tuple[Delta, ...]:
        """Return what has happened since the last time."""
        taken = tuple(self.deltas)
        self.deltas.clear()
        return taken

    # ---- furnishing ------------------------------------------------------------------------------

    def furnish(self, waiting: int, *, is_busy: bool) -> None:
        """Let all agents sign in, and so many callers wait. `is_busy`: where callers wait."""
        agents, presences, works, offers, tickets = {}, {}, {}, {}, {}
        for number in range(self.agents):
            agent = self._agent(number)
            agents[agent.id] = self._entry(agent)
            presences[agent.id] = self._entry(self._presence(agent))
            works[agent.id] = self._entry(self._work(agent.id))
            if is_busy and not _is_plenty(number):
                offers[agent.id] = self._entry(_offer(agent.id, CallId("0" * 24)))
        for _ in range(waiting):
            ticket = self._ticket(self._scarce_queue())
            age_s = self.random.uniform(0.0, HANDLING_S)
            tickets[ticket.call] = replace(self._entry(ticket), seen_s=self.now_s - age_s)
        self.snapshot = replace(
            self.snapshot,
            agents=Map(agents),
            presences=Map(presences),
            works=Map(works),
            offers=Map(offers),
            tickets=Map(tickets),
        )

    def _queue(self, number: int) -> Queue:
        asks = self.random.sample(_skills(is_plenty=_is_plenty(number)), 1 + (number % 3 == 0))
        steps = (
            Step(after_s=120.0, lower=tuple(SkillNeed(skill=skill, level=1) for skill in asks)),
            Step(after_s=240.0, raise_priority=1),
        )
        return Queue(
            id=QueueId(f"queue{number:03}"),
            needs=tuple(SkillNeed(skill=s, level=self.random.randint(1, 6)) for s in asks),
            priority=number % 4,
            strategy=_STRATEGIES[number % 4],
            weights=ScoreWeights(distance=1.0 if number % 8 == 0 else 0.0),
            aging_s=60.0 if number % 3 == 1 else None,
            steps=steps if number % 3 != 1 else (),
        )

    def _agent(self, number: int) -> Agent:
        skills = self.random.sample(_skills(is_plenty=_is_plenty(number)), 3)
        return Agent(
            id=_agent_id(number),
            name=f"Agent {number}",
            site=SiteId(SITES[number % len(SITES)]),
            skills={skill: self.random.randint(1, 10) for skill in skills},
            team=f"team{number // 20}",
        )

    def _presence(self, agent: Agent) -> Presence:
        since_ms = self.now.wall_ms - round(1000.0 * self.random.uniform(0.0, 2 * HANDLING_S))
        state = PresenceState.READY
        return Presence(agent=agent.id, site=agent.site, state=state, since_ms=since_ms)

    def _work(self, agent: AgentId) -> Work:
        busy_s = self.random.uniform(0.0, 3600.0)
        ended_ms = self.now.wall_ms - round(1000.0 * self.random.uniform(0.0, HANDLING_S))
        return Work(agent=agent, busy_s=busy_s, idle_s=3600.0 - busy_s, ended_ms=ended_ms)

    def _ticket(self, queue: QueueId) -> Ticket:
        number = next(self._calls)
        rules = self.snapshot.queues[queue].value
        return Ticket(
            call=CallId(f"{number:024x}"),
            did=DidNumber("4930100"),
            queue=queue,
            needs=rules.needs,
            priority=rules.priority,
            state=TicketState.QUEUED,
            holder=EDGE,
            site=SiteId(SITES[number % len(SITES)]),
            via=SiteId("a"),
            caller="anonymous",
            sip_call_id=f"{number}@carrier",
            arrived_ms=self.now.wall_ms,
            queued_ms=self.now.wall_ms,
        )

    def _scarce_queue(self) -> QueueId:
        while True:
            number = self.random.randrange(QUEUES)
            if not _is_plenty(number):
                return QueueId(f"queue{number:03}")

    # ---- events ----------------------------------------------------------------------------------

    def arrives(self) -> CallId:
        """Let somebody call, any queue alike."""
        ticket = self._ticket(QueueId(f"queue{self.random.randrange(QUEUES):03}"))
        self._put(Kind.TICKET, ticket.call, ticket)
        return ticket.call

    def becomes_free(self, agent: AgentId) -> None:
        """Let an agent's call be over."""
        self._put(Kind.OFFER, agent, None)
        self._put(Kind.WORK, agent, replace(self._work(agent), ended_ms=self.now.wall_ms))

    def gives(self, call: CallId, agent: AgentId) -> None:
        """Let a reservation stand."""
        ticket = self.snapshot.tickets[call].value
        self._put(Kind.OFFER, agent, _offer(agent, call))
        self._put(Kind.TICKET, call, replace(ticket, state=TicketState.OFFERED, agent=agent))

    def leaves(self, call: CallId) -> None:
        """Let a call be over."""
        self._put(Kind.TICKET, call, None)

    def _put(self, kind: Kind, name: str, value: Ticket | Offer | Work | None) -> None:
        maps = {Kind.TICKET: "tickets", Kind.OFFER: "offers", Kind.WORK: "works"}
        records = getattr(self.snapshot, maps[kind])
        before = records.get(name)
        after = None
        revision = self.snapshot.revision + 1
        if value is not None:
            after = self._entry(value, revision)
            if before is not None:
                after = replace(after, create_revision=before.create_revision)
            records = records.set(name, after)
        elif before is not None:
            records = records.delete(name)
        self.snapshot = replace(self.snapshot, revision=revision, **{maps[kind]: records})
        self.deltas.append(Delta(kind=kind, id=name, before=before, after=after))

    def _entry(self, value: object, revision: int | None = None) -> Entry:  # type: ignore[type-arg]
        if revision is None:
            revision = self.snapshot.revision + 1
            self.snapshot = replace(self.snapshot, revision=revision)
        seen_s = self.now_s
        return Entry(value=value, create_revision=revision, mod_revision=revision, seen_s=seen_s)

    def somebody_busy(self) -> AgentId | None:
        """Return one of those who have a call, drawn at random; None: nobody has."""
        offers = self.snapshot.offers
        while offers:
            agent = _agent_id(self.random.randrange(self.agents))
            if agent in offers:
                return agent
        return None


def _agent_id(number: int) -> AgentId:
    return AgentId(f"agent{number:06}")


def _is_plenty(number: int) -> bool:
    return number % PLENTY == 0


def _skills(*, is_plenty: bool) -> list[SkillId]:
    return [SkillId(f"skill{n:02}") for n in range(SKILLS) if _is_plenty(n) is is_plenty]


def _offer(agent: AgentId, call: CallId) -> Offer:
    return Offer(agent=agent, call=call, edge=EDGE, state=OfferState.TALKING, since_ms=WALL_MS)


def _site(name: str) -> Site:
    distances = {SiteId(other): 30 for other in SITES if other != name}
    return Site(id=SiteId(name), name=name, sip="198.18.1.10:5060", distance_ms=distances)


def _life(site: str) -> EdgeLife:
    state = EdgeState.SERVING
    edge = EdgeId(f"{site}1")
    return EdgeLife(edge=edge, site=SiteId(site), sip="a:1", state=state, started_ms=WALL_MS)
