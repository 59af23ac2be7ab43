"""Histories as tests write them: who did what, one revision after the other."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from drills.prove.history import (
    PASSED,
    Answered,
    AtGate,
    LegUp,
    PickedUp,
    Placed,
)
from state.codec import Record
from state.keys import Kind
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    Decision,
    DidNumber,
    EdgeId,
    Offer,
    OfferState,
    Outcome,
    PresenceState,
    SiteId,
    Talk,
    Ticket,
    TicketState,
)
from tests.prove.chronicle import SIP, Chronicle
from tests.prove.tale_center import QUEUES

NOBODY: Mapping[str, str] = {}


def call_id(name: str) -> CallId:
    """Return a call's id."""
    return CallId(name)


class Tale(Chronicle):
    """A history under way, with its calls."""

    def __init__(self, *agents: str, edges: str = "a1 b1") -> None:
        super().__init__(*agents, edges=edges)
        self._offers: dict[str, tuple[Offer, int]] = {}
        self._tickets: dict[str, Ticket] = {}

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
            tenant=rules.tenant,
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
