"""Turns what a call wants written into plans, and their fate into events.

Owns the writes of one call; the order of them is `edge.calls.records`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_never

from msgspec import Struct

from edge.acd import reservation, transferring
from edge.acd.call import Verdict
from edge.acd.call_events import Event, WriteRefused, Written
from edge.acd.call_writes import (
    Close,
    CreateTicket,
    FreeAgent,
    FreeTransferor,
    GiveBack,
    HandBack,
    MarkConnected,
    MarkHold,
    MarkQueued,
    MoveToQueue,
    PassOn,
    TakeCallback,
    Write,
)
from edge.acd.ending import NO_REST, WITHDRAWN, Ending
from edge.acd.owed import foreseen
from edge.acd.plan import GivenAgent, Held, Plan
from edge.calls import records as stored
from edge.calls.records import CallRecords, Landed, PlanMaker
from state.model import Decision, Now, Outcome, SiteId, Ticket, TicketState

_PATIENCE_S = 0.025
"""How long may wait to be written what nobody acts upon: that two talk, or that one is on hold. At
50 calls a second that is the time of three or four requests that it can go with."""


class AgentLegFacts(Struct, frozen=True, kw_only=True):
    """What the record says of the agent's leg."""

    site: SiteId | None = None
    sip_call_id: str | None = None


class CallWriter:
    """Writes for one call, whose `ticket` is as it arrived."""

    def __init__(
        self,
        records: CallRecords,
        ticket: Ticket,
        agent_leg: Callable[[], AgentLegFacts],
        *,
        unrecorded: Callable[[], str],
        enter: Callable[[Ticket, Now], Awaitable[stored.Written]],
    ) -> None:
        self._enter = enter
        self._unrecorded = unrecorded
        self._records = records
        self._ticket = ticket
        self._agent_leg = agent_leg

    @property
    def idle_s(self) -> float | None:
        """For how long the agent of the call had been free; None: nobody knows."""
        held = self._records.held
        return None if held is None else held.ticket.value.idle_s

    async def carry_out(self, write: Write) -> Event:
        """Carry the write out, however long that takes, and tell what became of it."""
        if isinstance(write, CreateTicket):
            made = await self._create(foreseen(self._ticket, write), write.at)
            return Written(write=write) if isinstance(made, Landed) else WriteRefused(write=write)
        maker, is_needed = self._maker(write)
        if isinstance(write, Close | FreeAgent):
            written = await self._records.end(maker, self._ticket.holder)
        else:
            patience_s = _PATIENCE_S if isinstance(write, MarkConnected | MarkHold) else 0.0
            written = await self._records.write(maker, patience_s=patience_s)
        if isinstance(written, Landed) or not is_needed(self._records.held):
            return Written(write=write)
        if self._records.may_have_agent:
            # Nobody has taken them away: the place stands, and who is left is freed later.
            return Written(write=write)
        if isinstance(write, FreeAgent):
            # Somebody else has freed them: the record must not wait for an offer that is gone.
            self._records.forget_given()
        return WriteRefused(write=write)

    def ending(self, close: Close | Verdict, decision: Decision | None) -> Ending:
        """Return what the record says of how the call ended."""
        leg = self._agent_leg()
        return Ending(
            outcome=close.outcome,
            cause=close.cause,
            decision=decision,
            agent_site=leg.site,
            agent_sip_call_id=leg.sip_call_id,
            holds=close.holds,
            held_s=close.held_s,
            talk=close.talk,
            unrecorded=self._unrecorded(),
        )

    async def abandon(self, cause: str) -> None:
        """Close whatever is held, as lost: nobody is left to say more of it."""
        ending = Ending(outcome=Outcome.LOST, cause=cause, talk=NO_REST)
        await self._records.end(
            _for_held(lambda held, at: reservation.ended(held, ending, WITHDRAWN, at)),
            self._ticket.holder,
        )

    def _maker(  # noqa: C901, PLR0911 - one case a write
        self, write: Write
    ) -> tuple[PlanMaker, Callable[[Held | None], bool]]:
        match write:
            case MarkQueued(at=at):
                return _for_held(lambda held, _: reservation.queued(held, at)), _always
            case TakeCallback(at=at):
                return _for_held(lambda held, _: reservation.callback_taken(held, at)), _always
            case MarkConnected(at=at):
                return _for_given(lambda h, g: reservation.connected(h, g, at)), _always
            case MarkHold(on=on, at=at):
                return _for_given(lambda h, g: reservation.hold_turned(h, g, at, on=on)), _always
            case GiveBack(part=part, at=at, has_talked=True, talk=talk):
                site = self._agent_leg().site
                return (
                    _for_given(lambda h, g: reservation.agent_lost(h, g, part, at, talk, site)),
                    _always,
                )
            case GiveBack(part=part, tried=tried, at=at):
                return (
                    _for_given(lambda h, g: reservation.offer_failed(h, g, part, at, tried=tried)),
                    _always,
                )
            case PassOn() | MoveToQueue() | HandBack() | FreeTransferor():
                return self._transfer(write)
            case FreeAgent(part=part, at=at, leaving=leaving):
                return (
                    _for_given(
                        lambda h, g: reservation.agent_freed(h, g, part, at, leaving=leaving)
                    ),
                    lambda held: held is not None and held.given is not None,
                )
            case Close():
                return self._close(write), _always
            case CreateTicket():
                raise TypeError("a ticket is created by another way")
            case _:
                assert_never(write)

    def _transfer(
        self, write: PassOn | MoveToQueue | HandBack | FreeTransferor
    ) -> tuple[PlanMaker, Callable[[Held | None], bool]]:
        site = self._agent_leg().site
        match write:
            case PassOn(talk=talk, at=at):
                return _for_held(lambda h, _: transferring.passed_on(h, talk, site, at)), _always
            case MoveToQueue(queue=queue, part=part, talk=talk, at=at):
                return (
                    _for_given(lambda h, g: transferring.moved(h, g, queue, part, talk, site, at)),
                    _always,
                )
            case HandBack(part=part, at=at):
                return (
                    _for_both(lambda h, g, _: transferring.handed_back(h, g, part, at)),
                    _has_transferor,
                )
            case FreeTransferor(part=part, at=at):
                return (
                    _for_both(lambda h, _, t: transferring.transferor_freed(h, t, part, at)),
                    _has_transferor,
                )
            case _:
                assert_never(write)

    def _create(self, ticket: Ticket, at: Now) -> Awaitable[stored.Written]:
        if ticket.state is TicketState.QUEUED:
            return self._enter(ticket, at)
        return self._records.create(ticket, at)

    def _close(self, write: Close) -> PlanMaker:
        ending = self.ending(write, write.decision)
        return _for_held(
            lambda held, _: reservation.ended(
                held, ending, write.part, write.at, leaving=write.leaving
            )
        )


def _always(_: Held | None) -> bool:
    return True


def _has_transferor(held: Held | None) -> bool:
    return held is not None and held.transferor is not None


def _for_both(plan: Callable[[Held, GivenAgent, GivenAgent], Plan]) -> PlanMaker:
    def make(held: Held | None, _: Now) -> Plan | None:
        if held is None or held.given is None or held.transferor is None:
            return None
        return plan(held, held.given, held.transferor)

    return make


def _for_held(plan: Callable[[Held, Now], Plan]) -> PlanMaker:
    def make(held: Held | None, now: Now) -> Plan | None:
        return None if held is None else plan(held, now)

    return make


def _for_given(plan: Callable[[Held, GivenAgent], Plan]) -> PlanMaker:
    def make(held: Held | None, _: Now) -> Plan | None:
        return None if held is None or held.given is None else plan(held, held.given)

    return make
