"""What one call has to do with consultations: its agent asks a colleague, one at a time.

Owns who may consult whom, and how the caller is handed over; a consultation itself is
`edge.calls.consultation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct

from edge.acd import call_events as ev
from edge.acd import transferring
from edge.acd.call import Call, State
from edge.acd.plan import Held, Plan
from edge.acd.transfer import FORBIDDEN, No
from edge.calls.consultation import ConsultationShell
from edge.calls.journal import ConsultationNote
from edge.calls.legs import CallLegs
from edge.calls.media import CallMedia
from edge.calls.records import CallRecords, Landed
from edge.calls.tools import Tools
from edge.sip import events as sip
from edge.sip.replaces import replaces_in
from edge.sip.subscriber import number_in
from state.discreet import fault
from state.model import AgentId, DidNumber, Now, Ticket
from state.snapshot import Snapshot

log = structlog.get_logger()

AGENT: Final = "x-everline-agent"
_NO_SUCH: Final = No(status=481, reason="No such consultation")
_NO_CALLER: Final = No(status=FORBIDDEN, reason="No caller to consult about")
_ONE_ALREADY: Final = No(status=491, reason="A consultation is under way")
_NO_OFFER: Final = No(status=488, reason="Offer a session")
_UNAVAILABLE: Final = 503


class Wanted(Struct, frozen=True, kw_only=True):
    """An agent calls another."""

    by: AgentId
    agent: AgentId


def consultation_wanted(invite: sip.IncomingInvite, snapshot: Snapshot) -> Wanted | None:
    """Return which agent an INVITE is for, and by whom it is; None: it is for a number of ours.

    Who it is by is the proxy's word: it has asked them for proof.
    """
    by = invite.headers.get(AGENT)
    if by is None:
        return None
    to = number_in(invite.request_uri)
    if DidNumber(to) in snapshot.dids or AgentId(to) not in snapshot.agents:
        return None
    return Wanted(by=AgentId(by.strip()), agent=AgentId(to))


class Consulting:
    """One call's consultations."""

    def __init__(
        self, tools: Tools, legs: CallLegs, *, records: CallRecords, media: CallMedia
    ) -> None:
        self._tools = tools
        self._legs = legs
        self._records = records
        self._media = media
        self._count = 0
        self._current: ConsultationShell | None = None

    @property
    def note(self) -> ConsultationNote | None:
        """What a next life has to know."""
        return None if self._current is None else self._current.note

    def begin(
        self,
        invite: sip.IncomingInvite,
        wanted: Wanted,
        *,
        call: Call | None,
        ticket: Ticket,
        changed: Callable[[], None],
    ) -> None:
        """Take an INVITE of the agent who talks with the caller; `changed`: it is to be noted."""
        because = self._may_not(wanted, call, ticket)
        if call is None or invite.sdp is None or because is not None:
            why = because or _NO_OFFER
            log.info("consultation_refused", agent=wanted.by, of=wanted.agent, status=why.status)
            self._tools.sip.reject(invite.leg, why.status, reason=why.reason)
            return
        self._count += 1
        self._current = ConsultationShell(
            self._tools,
            records=self._records,
            media=self._media.beside(f"~{self._count}"),
            ticket=ticket,
            by=wanted.by,
            attempt=call.attempt,
            agent=wanted.agent,
            invite=invite,
            sdp=invite.sdp,
            ring_s=call.rules.ring_timeout_s,
            changed=changed,
        )
        self._current.begin()

    def _may_not(self, wanted: Wanted, call: Call | None, ticket: Ticket) -> No | None:
        if call is None or call.state is not State.CONNECTED or call.agent != wanted.by:
            return _NO_CALLER
        if call.transferor is not None or not (self._current is None or self._current.is_over):
            return _ONE_ALREADY
        where = self._tools.transfers.destination(ticket, wanted.by, wanted.agent)
        return where if isinstance(where, No) else None

    def follow(self, call: Call) -> None:
        """Let a consultation know how the caller's call goes on."""
        if self._current is not None:
            self._current.follow(call)

    # -- the caller is handed over

    def may_hand_over(self, refer_to: str) -> No | None:
        """Return why a REFER with Replaces is refused, or None: the caller goes over."""
        replaces = replaces_in(refer_to)
        current = self._current
        if replaces is None or current is None or current.is_over or not current.is_of(replaces):
            return _NO_SUCH
        return None if current.promise() else _NO_SUCH

    @property
    def is_ringing(self) -> bool:
        """Whether a colleague is being rung."""
        return self._current is not None and self._current.is_ringing

    def promise(self, agent: AgentId) -> bool:
        """Let the caller go to an agent who is being consulted; False: that one is not."""
        current = self._current
        return current is not None and current.agent == agent and current.promise()

    async def let_go(self, agent: AgentId) -> None:
        """Wait until an agent who was consulted is no longer."""
        if self._current is not None and self._current.agent == agent:
            await self._current.ended()

    async def hand_over(self) -> ev.Event:
        """Give the caller to the colleague with one transaction; tell what came of it.

        If they are still being rung, once they have answered.
        """
        current = self._current
        if current is not None and (status := await current.answered()) is not None:
            return ev.TargetRefused(status=status)
        try:
            written = await self._records.write(_handed_over, wait=False)
        except Exception as error:  # noqa: BLE001 - else the call would wait for this for ever
            log.error("hand_over_fault", **fault(error))  # noqa: TRY400 - one line
            return ev.TargetRefused(status=_UNAVAILABLE)
        if current is None or current.decision is None or not isinstance(written, Landed):
            return ev.TargetRefused(status=_UNAVAILABLE)
        if (lent := current.hand_over()) is not None:
            self._legs.lend(lent)
        return ev.ConsultedGiven(decision=current.decision, is_there=lent is not None)


def _handed_over(held: Held | None, at: Now) -> Plan | None:
    if held is None or held.given is None or held.consulted is None:
        return None
    return transferring.handed_over(held, held.consulted, at)
