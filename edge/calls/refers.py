"""How one call takes a REFER, or a wish to pass its caller on: whether it may be, and where to."""

from __future__ import annotations

from typing import Final

import structlog
from msgspec import Struct

from edge.acd.call import Call, State, Transferor
from edge.acd.call_events import Attempt, PassedToAgent, PassedToConsulted, PassedToQueue
from edge.acd.transfer import No, ToAgent, ToQueue
from edge.calls.consulting import Consulting
from edge.calls.legs import CallLegs, Tell
from edge.calls.media import CallMedia
from edge.calls.recording import CallRecording
from edge.calls.records import CallRecords
from edge.calls.tools import Tools
from edge.calls.transfers import Target
from edge.sip.errors import RemoteError
from edge.sip.events import ReferReceived
from state.discreet import fault
from state.model import AgentId, Ticket

log = structlog.get_logger()

_TRYING: Final = 100
_RINGS: Final = 180
_PENDING: Final = 491
_UNAVAILABLE: Final = 503
_NOT_THE_CALLER: Final = No(status=403, reason="Only agents pass callers on")
_NOT_IN_TALK: Final = No(status=403, reason="Nobody to pass on")
_PASSED_ON: Final = No(status=_PENDING, reason="A transfer is under way")
_NOT_RESUMED: Final = No(status=_PENDING, reason="The call is being taken up")
_OFFER_OPEN: Final = No(status=_PENDING, reason="Request Pending")


class Asking(Struct, frozen=True, kw_only=True):
    """Who asks, and how the call stands."""

    call: Call | None
    ticket: Ticket
    """As it will be once everything is written."""
    attempt: Attempt | None
    """Whose leg asks; None: the caller's."""
    is_offering: bool
    """An offer of the agent's is with the relay."""


class CallTransfers:
    """One call's. What is to happen comes back as an event; None: nothing, and they know why."""

    def __init__(  # noqa: PLR0913 - what a transfer moves
        self,
        tools: Tools,
        legs: CallLegs,
        *,
        media: CallMedia,
        recording: CallRecording,
        records: CallRecords,
        consulting: Consulting,
    ) -> None:
        self._consulting = consulting
        self._tools = tools
        self._legs = legs
        self._media = media
        self._recording = recording
        self._records = records

    def refer(
        self, asked: ReferReceived, asks: Asking
    ) -> PassedToAgent | PassedToQueue | PassedToConsulted | None:
        """Take a REFER: only the agent who talks with the caller passes them on."""
        sip, call = self._tools.sip, asks.call
        because = _may_not(asks)
        if because is None and "replaces" in asked.refer_to.lower():
            return self._attended(asked, asks)
        if call is None or call.agent is None or because is not None:
            why = because or _NOT_IN_TALK
            sip.refuse_refer(asked.transaction, why.status, why.reason)
            return None
        where = self._tools.transfers.destination(asks.ticket, call.agent, asked.refer_to)
        log.info("refer", call=call.id, agent=call.agent, to=type(where).__name__)
        if isinstance(where, No):
            sip.refuse_refer(asked.transaction, where.status, where.reason)
            return None
        self._legs.accept_refer(asked.transaction, call.attempt)
        return self._passed(where, call.attempt)

    def _attended(self, asked: ReferReceived, asks: Asking) -> PassedToConsulted | None:
        """Take a REFER that names a consultation: the caller goes to whom the agent has called."""
        sip, call = self._tools.sip, asks.call
        try:
            why = self._consulting.may_hand_over(asked.refer_to)
        except RemoteError as error:
            why = No(status=error.status, reason="Refer-To makes no sense")
        if call is None or why is not None:
            why = why or _NOT_IN_TALK
            sip.refuse_refer(asked.transaction, why.status, why.reason)
            return None
        log.info("refer", call=call.id, agent=call.agent, to="consulted")
        self._legs.accept_refer(asked.transaction, call.attempt)
        return self._to_consulted(call.attempt)

    def obey(
        self, agent: AgentId, to: str, tell: Tell, asks: Asking
    ) -> PassedToAgent | PassedToQueue | PassedToConsulted | None:
        """Take a wish; it is void for anybody but `agent`."""
        call, because = asks.call, _may_not(asks)
        if call is None or call.agent != agent or because is not None:
            why = because or _NOT_IN_TALK
            tell(why.status, why.reason)
            return None
        where = self._tools.transfers.destination(asks.ticket, agent, to)
        log.info("transfer_wish", call=call.id, agent=agent, to=type(where).__name__)
        if isinstance(where, No):
            tell(where.status, where.reason)
            return None
        tell(_TRYING, "")
        self._legs.listen(call.attempt, tell)
        return self._passed(where, call.attempt)

    async def reserve(self, by: Transferor, ticket: Ticket, agent: AgentId) -> Target | int:
        """Reserve the target; or return SIP's word for why not, whatever goes wrong."""
        who = by.decision.winner
        try:
            await self._consulting.let_go(agent)
            return await self._tools.transfers.reserve(self._records, ticket, who, agent)
        except Exception as error:  # noqa: BLE001 - else the call would wait for this for ever
            log.error("reservation_fault", call=ticket.call, **fault(error))  # noqa: TRY400 - one line
            return _UNAVAILABLE

    def _to_consulted(self, attempt: Attempt) -> PassedToConsulted:
        if self._consulting.is_ringing:
            self._legs.tell(attempt, _RINGS)
        return PassedToConsulted()

    def _passed(
        self, where: ToAgent | ToQueue, attempt: Attempt
    ) -> PassedToAgent | PassedToQueue | PassedToConsulted:
        if isinstance(where, ToAgent):
            if self._consulting.promise(where.agent):
                return self._to_consulted(attempt)
            return PassedToAgent(target=where.agent)
        self._media.played.set_music(self._tools.transfers.music(where.queue.music))
        self._recording.move(where.queue)
        return PassedToQueue(queue=where.queue)


def _may_not(asks: Asking) -> No | None:
    call, attempt = asks.call, asks.attempt
    if attempt is None:
        return _NOT_THE_CALLER
    if call is None:
        return _NOT_RESUMED
    if call.transferor is not None:
        return _PASSED_ON
    if call.state is not State.CONNECTED or attempt != call.attempt:
        return _NOT_IN_TALK
    return _OFFER_OPEN if asks.is_offering else None
