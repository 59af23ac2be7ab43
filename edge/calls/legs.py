"""The SIP legs of one call: the caller's, and one an attempt to reach an agent.

Carries out what the state machine wants done over SIP. A command raises `LocalError` when its leg
has just ended by itself; the event that says so is on its way then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import assert_never

import structlog
from msgspec import Struct

from edge.acd import call_effects as fx
from edge.acd.call_events import Attempt, Side
from edge.acd.token import NO_TOKEN, Token
from edge.acd.yielding import ACKNOWLEDGED_ELSEWHERE
from edge.calls.journal import AgentNote, ConsultationNote
from edge.calls.ringing import Rung
from edge.calls.tools import RETRY_AFTER_S, Tools
from edge.calls.writer import AgentLegFacts
from edge.sip.dialog import Dialog
from edge.sip.errors import LocalError, RemoteError
from edge.sip.events import LegId, TransactionId
from edge.sip.uri import parse_uri
from state.discreet import fault
from state.model import AgentId, SiteId, Ticket

log = structlog.get_logger()

_FINAL = 200

Tell = Callable[[int, str], None]
"""(SIP status, reason in words)"""
SipEffect = (
    fx.AnswerCaller
    | fx.RejectCaller
    | fx.ReinviteCaller
    | fx.HangUpCaller
    | fx.LeaveCaller
    | fx.CancelAgent
    | fx.HangUpAgent
    | fx.ReinviteAgent
    | fx.TakeBack
    | fx.TakeConsulted
    | fx.TellTransferor
    | fx.AnswerOffer
    | fx.RefuseOffer
)


class Lent(Struct, frozen=True, kw_only=True):
    """The leg of an agent who was consulted, for the caller's call."""

    rung: Rung
    token: Token


class CallLegs:
    """One call's legs."""

    def __init__(self, tools: Tools, ticket: Ticket, caller: LegId) -> None:
        self._tools = tools
        self._ticket = ticket
        self._caller = caller
        self._agents: dict[Attempt, LegId] = {}
        self._facts: dict[Attempt, AgentLegFacts] = {}
        self._tokens: dict[Attempt, Token] = {}
        self._referring: set[Attempt] = set()
        """Who has asked by REFER to pass the caller on, and waits to hear how that gets on."""
        self._listening: dict[Attempt, Tell] = {}
        """Who else wants to hear it: an agent's desktop, not their telephone."""
        self._lent: Lent | None = None
        self._goodbyes: list[TransactionId] = []
        """To be answered once the end of the call is written down."""
        self.token = NO_TOKEN
        """Of the last reservation."""

    def adopt(self, agent: AgentNote, told: bytes | None) -> None:
        """Take up the leg of the agent whom the former life had given to this call.

        `told`: the session description that they were told last.
        """
        self.token = self._tokens[agent.attempt] = agent.token
        self._facts[agent.attempt] = AgentLegFacts(site=agent.site, sip_call_id=agent.sip_call_id)
        if agent.dialog is not None:
            leg = self._tools.sip.adopt(agent.dialog, told)
            self._tools.sip.ask(leg)
            self._own(leg, agent.attempt)

    def end_consultation(self, note: ConsultationNote) -> None:
        """Hang up on the two who were talking about the call in the former life."""
        for dialog in (note.asker, note.colleague):
            if dialog is not None:
                leg = self._tools.sip.adopt(dialog)
                self._tools.sip.bye(leg, reason=reason_field("edge_restarted"))

    def facts(self, attempt: Attempt) -> AgentLegFacts:
        """Return what is known of an agent's leg."""
        return self._facts.get(attempt, AgentLegFacts())

    def way_of(self, attempt: Attempt | None) -> SiteId | None:
        """Return by which site's Kamailio an agent's leg goes, or (None) the caller's."""
        return self._ticket.via if attempt is None else self.facts(attempt).site

    def note(self, attempt: Attempt, *, is_up: bool, is_beside: bool = False) -> AgentNote:
        """Return what a next life has to know of an agent's leg; `is_beside`: of a transferor's."""
        facts = self.facts(attempt)
        told = self._tools.sip.told(self._agents[attempt]) if is_up and is_beside else None
        return AgentNote(
            attempt=attempt,
            token=self.token_of(attempt),
            site=facts.site,
            sip_call_id=facts.sip_call_id,
            dialog=self.dialog(attempt) if is_up else None,
            told=told,
        )

    def token_of(self, attempt: Attempt) -> Token:
        """Return the token under which an attempt was rung, or would be."""
        return self._tokens.get(attempt, self.token)

    def accept_refer(self, transaction: TransactionId, attempt: Attempt) -> None:
        """Accept an agent's REFER; `TellTransferor` says how it gets on."""
        if self._tools.sip.accept_refer(transaction):
            self._referring.add(attempt)

    def lend(self, lent: Lent) -> None:
        """Have the leg of an agent who was consulted ready, for `TakeConsulted`."""
        self._lent = lent

    def listen(self, attempt: Attempt, tell: Tell) -> None:
        """Tell, too, how it gets on."""
        self._listening[attempt] = tell

    def tell(self, attempt: Attempt, status: int) -> None:
        """Tell who has passed the caller on how that gets on."""
        is_final = status >= _FINAL
        if (tell := self._listening.get(attempt)) is not None:
            tell(status, "")
        if is_final:
            self._listening.pop(attempt, None)
        if attempt in self._referring:
            self._tools.sip.notify_refer(self._agents[attempt], status, final=is_final)
        if is_final:
            self._referring.discard(attempt)

    def dialog(self, attempt: Attempt | None) -> Dialog:
        """Return the dialog of an established leg, to be written down."""
        leg = self._caller if attempt is None else self._agents[attempt]
        return self._tools.sip.dialog(leg)

    def ring(self, attempt: Attempt, agent: AgentId, sdp: bytes) -> bool:
        """Send the INVITE; False: the agent or their site is no longer configured."""
        rung = self._tools.ringing.ring(self._ticket, agent, sdp, self.token)
        if rung is None:
            return False
        self._facts[attempt] = AgentLegFacts(site=rung.site, sip_call_id=rung.sip_call_id)
        self._tokens[attempt] = self.token
        self._own(rung.leg, attempt)
        return True

    def do(self, effect: SipEffect, current: Attempt) -> None:  # noqa: C901, PLR0912 - one case an effect
        """Carry an effect out; an offer of the agent's side is of the `current` attempt's."""
        sip = self._tools.sip
        match effect:
            case fx.AnswerCaller(sdp=sdp):
                sip.answer(self._caller, sdp)
            case fx.RejectCaller(status=status, reason=reason):
                headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}  # noqa: PLR2004
                sip.reject(self._caller, status, reason=reason, headers=headers)
            case fx.ReinviteCaller(sdp=sdp):
                sip.reinvite(self._caller, sdp)
            case fx.HangUpCaller(reason=reason):
                sip.bye(self._caller, reason=reason_field(reason))
            case fx.LeaveCaller():
                sip.leave(self._caller, reason=reason_field(ACKNOWLEDGED_ELSEWHERE))
            case fx.CancelAgent(attempt=attempt, reason=reason):
                sip.cancel(self._agents[attempt], reason=reason_field(reason))
            case fx.HangUpAgent(attempt=attempt, reason=reason):
                sip.bye(self._agents[attempt], reason=reason_field(reason))
            case fx.ReinviteAgent(attempt=attempt, sdp=sdp):
                sip.reinvite(self._agents[attempt], sdp)
            case fx.TakeBack(attempt=attempt, was=was):
                self._take_back(attempt, was)
            case fx.TakeConsulted(attempt=attempt):
                self._take_consulted(attempt)
            case fx.TellTransferor(attempt=attempt, status=status):
                self.tell(attempt, status)
            case fx.AnswerOffer(side=side, sdp=sdp):
                sip.answer_offer(self._leg_of(side, current), sdp)
            case fx.RefuseOffer(side=side, status=status):
                sip.refuse_offer(self._leg_of(side, current), status)
            case _:
                assert_never(effect)

    def ask(self, side: Side, current: Attempt) -> None:
        """Ask a telephone whether it is there, the agent's of the `current` attempt."""
        with contextlib.suppress(LocalError):
            self._tools.sip.ask(self._leg_of(side, current))

    def host_of(self, side: Side, current: Attempt) -> str:
        """Return at which host a telephone is by its Contact; empty: its leg is not established."""
        with contextlib.suppress(LocalError, RemoteError):
            dialog = self._tools.sip.dialog(self._leg_of(side, current))
            return parse_uri(dialog.remote_target).host
        return ""

    def keep_goodbye(self, goodbye: TransactionId) -> None:
        """Answer a BYE when the end of the call is written down."""
        self._goodbyes.append(goodbye)

    def answer_goodbyes(self) -> None:
        """Let whoever has hung up know that the call is ended by them."""
        goodbyes, self._goodbyes = self._goodbyes, []
        for goodbye in goodbyes:
            self._tools.sip.answer_goodbye(goodbye)

    def let_go(self, cause: str) -> None:
        """End every leg in whichever way its state allows."""
        for leg in (self._caller, *self._agents.values()):
            try:
                self._tools.sip.let_go(leg, reason=reason_field(cause))
            except Exception as error:  # noqa: BLE001 - the other legs are to be let go too
                log.error("leg_not_let_go", call=self._ticket.call, **fault(error))  # noqa: TRY400 - one line

    def _take_back(self, attempt: Attempt, was: Attempt) -> None:
        self._facts[attempt] = self.facts(was)
        self.token = self._tokens[attempt] = self.token_of(was)
        self._own(self._agents.pop(was), attempt)

    def _take_consulted(self, attempt: Attempt) -> None:
        lent, self._lent = self._lent, None
        if lent is None:
            raise LocalError("nobody was consulted")
        self._facts[attempt] = AgentLegFacts(site=lent.rung.site, sip_call_id=lent.rung.sip_call_id)
        self.token = self._tokens[attempt] = lent.token
        self._own(lent.rung.leg, attempt)

    def _own(self, leg: LegId, attempt: Attempt) -> None:
        self._agents[attempt] = leg
        self._tools.own_leg(leg, self._ticket.call, attempt)

    def _leg_of(self, side: Side, current: Attempt) -> LegId:
        return self._caller if side is Side.CALLER else self._agents[current]


def reason_field(word: str) -> str:
    """Return a Reason header field's value: RFC 3326 wants a protocol, a cause and a text."""
    return f'Q.850;cause=16;text="{word}"'
