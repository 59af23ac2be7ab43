"""What histories that tests write are about, but for calls: who is there, and what is broken."""

from __future__ import annotations

from collections.abc import Mapping

from drills.prove.checker import check
from drills.prove.history import Broken, Event, FaultKind, Mended, Stock, Stored
from drills.prove.violations import Law
from state.codec import Record
from state.keys import Kind
from state.model import (
    MAIN,
    Agent,
    AgentId,
    Channel,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Presence,
    PresenceState,
    Probe,
    SiteId,
    SkillId,
    TenantId,
)
from tests.prove.tale_center import BOTH, LANGUAGE, QUEUES

SIP = {f"{site}1": f"198.18.{n}.10:5081" for n, site in enumerate("abc", 1)}


class Chronicle:
    """A history under way, but for its calls. Time goes on by 0.1 s with every event."""

    def __init__(self, *agents: str, edges: str = "a1 b1") -> None:
        self.events: list[Event] = []
        self.revision = 0
        self.at_s = 100.0
        self._agents: set[str] = set()
        for queue in QUEUES:
            did = Did(number=DidNumber(queue.id), queue=queue.id, tenant=queue.tenant)
            self._configured(Kind.QUEUE, queue.id, queue)
            self._configured(Kind.DID, did.number, did)
        for edge in edges.split():
            self.lives(edge)
        for agent in agents:
            self.presence(agent)

    def laws(self) -> list[Law]:
        """Return what the checker finds."""
        return [violation.law for violation in check(self.events)]

    def note(self, event: Event) -> None:
        """Append an event."""
        self.events.append(event)

    def now(self, later_s: float = 0.1) -> float:
        """Let time pass."""
        self.at_s += later_s
        return self.at_s

    def _configured(self, kind: Kind, key: str, value: Record) -> None:
        at_s, revision = self.at_s, self.revision
        self.note(Stored(at_s=at_s, revision=revision, kind=kind, id=key, value=value))

    # -- the store

    def store(self, *writes: tuple[Kind, str, Record | None]) -> int:
        """Write several keys in one transaction."""
        self.revision += 1
        at_s = self.now()
        for kind, key, value in writes:
            change = Stored(at_s=at_s, revision=self.revision, kind=kind, id=key, value=value)
            self.note(change)
        return self.revision

    def lives(self, edge: str) -> None:
        """Let an edge live."""
        life = EdgeLife(
            edge=EdgeId(edge),
            site=SiteId(edge[0]),
            sip=SIP[edge],
            state=EdgeState.SERVING,
            started_ms=0,
        )
        self.store((Kind.EDGE, edge, life))

    def dies(self, edge: str) -> None:
        """Let an edge's lease run out."""
        self.store((Kind.EDGE, edge, None))

    def probe(self, edge: str, down: str) -> None:
        """Let an edge say what it cannot reach."""
        sites = tuple(SiteId(site) for site in down)
        self.store((Kind.PROBE, edge, Probe(edge=EdgeId(edge), up=(), down=sites)))

    def presence(self, agent: str, state: PresenceState = PresenceState.READY) -> None:
        """Let an agent's home site say something; who is not known yet can do everything."""
        if agent not in self._agents:
            self.can(agent, BOTH)
        record = Presence(agent=AgentId(agent), site=SiteId(agent[0]), state=state, since_ms=0)
        self.store((Kind.PRESENCE, agent, record))

    def can(  # noqa: PLR0913 - all that an agent can be
        self,
        agent: str,
        skills: Mapping[SkillId, int],
        *languages: str,
        team: str = "",
        employer: str = "",
        calls: int = 1,
        tenant: TenantId = MAIN,
    ) -> None:
        """Let an agent be known, what they can do and speak, and whose they are."""
        self._agents.add(agent)
        site = SiteId(agent[0])
        known = Agent(
            id=AgentId(agent),
            name=agent,
            site=site,
            skills=skills,
            attributes={LANGUAGE: languages},
            team=team,
            employer=employer,
            channels={Channel.VOICE: calls, Channel.CHAT: 2},
            tenant=tenant,
        )
        self._configured(Kind.AGENT, agent, known)

    # -- faults, and the end

    def breaks(self, kind: FaultKind, target: str) -> None:
        """Let a fault begin."""
        self.note(Broken(at_s=self.now(), kind=kind, target=target))

    def mends(self, kind: FaultKind, target: str) -> None:
        """Let a fault end."""
        self.note(Mended(at_s=self.now(), kind=kind, target=target))

    def stock(self, gates: dict[str, str] | None = None, legs: int = 0) -> None:
        """Take stock."""
        self.note(
            Stock(
                at_s=self.now(),
                gates={AgentId(agent): state for agent, state in (gates or {}).items()},
                phones={},
                edges={EdgeId("a1"): {"calls": 0, "legs": legs}},
            )
        )
