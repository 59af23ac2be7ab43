"""Histories as tests write them: who did what, one revision after the other."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from drills.prove.checker import check
from drills.prove.history import (
    PASSED,
    Answered,
    AtGate,
    Broken,
    Event,
    FaultKind,
    LegUp,
    Mended,
    PickedUp,
    Placed,
    Stock,
    Stored,
)
from drills.prove.violations import Law
from state.codec import Record
from state.keys import Kind
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Channel,
    Decision,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Outcome,
    Presence,
    PresenceState,
    Probe,
    SiteId,
    SkillId,
    Talk,
    Ticket,
    TicketState,
)
from tests.prove.tale_center import BOTH, LANGUAGE, QUEUES

SIP = {f"{site}1": f"198.18.{n}.10:5081" for n, site in enumerate("abc", 1)}
NOBODY: Mapping[str, str] = {}


def call_id(name: str) -> CallId:
    """Return a call's id."""
    return CallId(name)


class Tale:
    """A history under way. Time goes on by 0.1 s with every event."""

    def __init__(self, *agents: str, edges: str = "a1 b1") -> None:
        self.events: list[Event] = []
        self.revision = 0
        self.at_s = 100.0
        self._agents: set[str] = set()
        self._offers: dict[str, tuple[Offer, int]] = {}
        self._tickets: dict[str, Ticket] = {}
        for queue in QUEUES:
            did = Did(number=DidNumber(queue.id), queue=queue.id)
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

    def can(
        self,
        agent: str,
        skills: Mapping[SkillId, int],
        *languages: str,
        team: str = "",
        employer: str = "",
        calls: int = 1,
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
        )
        self._configured(Kind.AGENT, agent, known)

    def waits(  # noqa: PLR0913 - who comes, and where to
        self,
        call: str,
        *,
        holder: str = "a1",
        priority: int | None = None,
        queue: str = "q",
        waited_s: float = 0.0,
        caller: str = "",
        again_of: str = "",
    ) -> int:
        """Let a caller arrive."""
        ticket = self.arrives(call, holder=holder, priority=priority, queue=queue)
        earlier = tuple(map(call_id, again_of.split()))
        ticket = replace(ticket, waited_s=waited_s, caller=caller, again_of=earlier)
        return self.store(self.ticket(ticket))

    def comes_to(self, call: str, agent: str, *, holder: str = "a1") -> int:
        """Let a caller arrive, and get a place and an agent by one transaction."""
        self.ticket(self.arrives(call, holder=holder))
        return self.gets(call, agent)

    def arrives(
        self,
        call: str,
        *,
        holder: str = "a1",
        priority: int | None = None,
        queue: str = "q",
        again: str = "",
    ) -> Ticket:
        """Let a caller arrive; return the ticket that is due: of the queue's priority, usually.

        `again`: their call before, which came to nothing.
        """
        rules = next(each for each in QUEUES if each.id == queue)
        before = call_id(again) if again else None
        placed = Placed(
            at_s=self.now(), call=call_id(call), site=SiteId("a"), did=queue, again=before
        )
        self.note(placed)
        self.note(Answered(at_s=self.now(), call=call_id(call), edge=SIP[holder]))
        return Ticket(
            call=call_id(call),
            did=DidNumber(queue),
            queue=rules.id,
            needs=rules.needs,
            any_of=rules.any_of,
            attributes=rules.attributes,
            priority=rules.priority if priority is None else priority,
            state=TicketState.QUEUED,
            holder=EdgeId(holder),
            site=SiteId(holder[0]),
            via=SiteId("a"),
            caller="",
            sip_call_id=call,
            arrived_ms=0,
        )

    def is_seen(self, *, by: str = "a1") -> None:
        """Let an edge show that it knows all that was written: it decides, about another call."""
        spare = ("a98", "a99")
        for agent in spare:
            self.presence(agent)
        seen = self.revision
        self.comes_to("c0", "a99", holder=by)
        self.talks("c0")
        for agent in spare:
            self.presence(agent, PresenceState.PAUSED)
        self.ends("c0", Outcome.ANSWERED, decided_at=seen)

    def ticket(self, ticket: Ticket) -> tuple[Kind, str, Record]:
        """Return the write of a ticket, and remember it."""
        self._tickets[ticket.call] = ticket
        return Kind.TICKET, ticket.call, ticket

    def ticket_of(self, call: str) -> Ticket:
        """Return a call's ticket as it was written last."""
        return self._tickets[call]

    def offer_of(self, call: str, agent: str) -> Offer:
        """Return an offer as it is made."""
        holder = self._tickets[call].holder
        return Offer(
            agent=AgentId(agent),
            call=call_id(call),
            edge=holder,
            state=OfferState.RINGING,
            since_ms=0,
        )

    def gets(self, call: str, agent: str) -> int:
        """Let a call be given an agent; return the token's revision."""
        offer = self.offer_of(call, agent)
        ticket = replace(self._tickets[call], state=TicketState.OFFERED, agent=AgentId(agent))
        revision = self.store((Kind.OFFER, agent, offer), self.ticket(ticket))
        self._offers[call] = (offer, revision)
        return revision

    def declines(self, call: str, agent: str) -> int:
        """Let an agent not take a call, which waits on."""
        ticket = replace(self._tickets[call], state=TicketState.QUEUED, agent=None)
        del self._offers[call]
        return self.store((Kind.OFFER, agent, None), self.ticket(ticket))

    def connects(self, call: str) -> None:
        """Let a call and its agent be joined."""
        ticket = self._tickets[call]
        since_ms = int(self.at_s * 1000)
        ticket = replace(
            ticket,
            state=TicketState.CONNECTED,
            connected_ms=ticket.connected_ms or since_ms,
            talking_ms=None if ticket.connected_ms is None else since_ms,
        )
        self.store(self.ticket(ticket))

    def is_passed_on(self, call: str) -> AgentId:
        """Let the talk of a call be told, since its agent passes it on; return who that is."""
        ticket = self._tickets[call]
        assert ticket.agent is not None
        talk = Talk(agent=ticket.agent, site=None, since_ms=1, until_ms=2, holds=0, held_s=0.0)
        told = replace(ticket, talks=(*ticket.talks, talk), talking_ms=None)
        self.store(self.ticket(told))
        return ticket.agent

    def target(self, call: str, agent: str) -> None:
        """Let a second agent be given to a call, beside the first."""
        offer = self.offer_of(call, agent)
        ticket = replace(self._tickets[call], state=TicketState.OFFERED, agent=AgentId(agent))
        revision = self.store((Kind.OFFER, agent, offer), self.ticket(ticket))
        self._offers[call] = (offer, revision)

    def is_handed_back(self, call: str, agent: str) -> None:
        """Let the target not be had: who passed the call on has it again."""
        gone = self._offers[call][0].agent
        ticket = replace(self._tickets[call], state=TicketState.OFFERED, agent=AgentId(agent))
        self.store((Kind.OFFER, gone, None), self.ticket(ticket))

    def rings(self, call: str, revision: int | None = None) -> None:
        """Let the gate let the offer of a call through."""
        offer, made = self._offers[call]
        token = (1, made if revision is None else revision)
        self.note(
            AtGate(
                at_s=self.now(),
                site=SiteId(offer.agent[0]),
                agent=offer.agent,
                call=call_id(call),
                token=token,
                verdict=PASSED,
                is_late=False,
            )
        )

    def talks(self, call: str) -> None:
        """Let the agent of a call answer."""
        agent = self._offers[call][0].agent
        self.note(PickedUp(at_s=self.now(), agent=agent, call=call_id(call)))
        self.note(LegUp(at_s=self.now(), agent=agent, call=call_id(call)))

    def record(
        self,
        call: str,
        outcome: Outcome,
        *,
        cause: str = "",
        decided_at: int = 0,
        asked: Mapping[str, str] = NOBODY,
    ) -> CallRecord:
        """Return the record of a call's end."""
        ticket = self._tickets[call]
        decision = None
        if decided_at:
            decision = Decision(
                revision=decided_at,
                wall_ms=0,
                winner=self._offers[call][0].agent,
                score=0.0,
                parts={},
                asked={CallId(each): AgentId(agent) for each, agent in asked.items()},
            )
        return CallRecord(
            call=ticket.call,
            did=ticket.did,
            queue=ticket.queue,
            outcome=outcome,
            cause=cause,
            edge=ticket.holder,
            site=ticket.site,
            via=ticket.via,
            sip_call_id=ticket.sip_call_id,
            arrived_ms=0,
            queued_ms=None,
            connected_ms=None,
            ended_ms=0,
            decision=decision,
        )

    def ends(  # noqa: PLR0913 - how it ended, and by which decision
        self,
        call: str,
        outcome: Outcome = Outcome.ABANDONED,
        *,
        cause: str = "",
        decided_at: int = 0,
        passed_on_by: str = "",
        asked: Mapping[str, str] = NOBODY,
    ) -> None:
        """Let a call end as it should: record, ticket and offer in one transaction."""
        record = self.record(call, outcome, cause=cause, decided_at=decided_at, asked=asked)
        if record.decision is not None and passed_on_by:
            decision = replace(record.decision, passed_on_by=AgentId(passed_on_by))
            record = replace(record, decision=decision)
        writes: list[tuple[Kind, str, Record | None]] = [
            (Kind.ENDED, call, record),
            (Kind.TICKET, call, None),
        ]
        if call in self._offers:
            writes.append((Kind.OFFER, self._offers.pop(call)[0].agent, None))
        self.store(*writes)

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
