"""One call's shell: gives events to the state machine, and has its effects carried out.

Decides nothing. Every event goes through `deliver`, one at a time; so does what comes of an effect.
"""

from __future__ import annotations

from collections import deque
from functools import partial

import structlog

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call import WITH_MEDIA, Call, CallerLeg, Rules, State
from edge.acd.call_events import NO_ATTEMPT, Attempt, Side
from edge.acd.call_resume import NOTHING_PASSED, called_back, in_order, is_silent, resumed
from edge.acd.call_state import start, step
from edge.acd.token import Token
from edge.acd.yielding import CANCELLED
from edge.calls.consulting import Consulting, Wanted
from edge.calls.effects import CallEffects
from edge.calls.giving_up import FAULT, GivingUp
from edge.calls.journal import CallNote
from edge.calls.legs import CallLegs, Tell
from edge.calls.media import CallMedia
from edge.calls.notes import CallNotes
from edge.calls.recording import CallRecording
from edge.calls.records import CallRecords
from edge.calls.refers import Asking, CallTransfers
from edge.calls.sound import CallSound
from edge.calls.tasks import CallTasks
from edge.calls.timers import CallTimers, Own
from edge.calls.tools import Tools
from edge.calls.writer import AgentLegFacts, CallWriter
from edge.sip.events import IncomingInvite, LegId, ReferReceived, TransactionId
from state.discreet import fault
from state.model import AgentId, Decision, SiteId, Ticket

log = structlog.get_logger()


class CallShell:
    """A call that this edge holds."""

    def __init__(  # noqa: PLR0913 - what a call is made of
        self,
        *,
        tools: Tools,
        ticket: Ticket,
        leg: LegId,
        media: CallMedia,
        records: CallRecords,
        recording: CallRecording,
    ) -> None:
        self.id = ticket.call
        self.records = records
        self._tools = tools
        self._legs = CallLegs(tools, ticket, leg)
        self._media = media
        self._recording = recording
        self._writer = CallWriter(
            records,
            ticket,
            self._agent_facts,
            unrecorded=lambda: recording.unrecorded,
            enter=partial(tools.line.enter, self),
        )
        self._consulting = Consulting(tools, self._legs, records=records, media=media)
        self._transfers = CallTransfers(
            tools,
            self._legs,
            media=media,
            recording=recording,
            records=records,
            consulting=self._consulting,
        )
        self._call: Call | None = None
        self._left: CallNote | None = None
        """What the former life has left of it, to go by until it is resumed."""
        self._is_doubted = False
        """Whether the caller's telephone knows of no such call."""
        media.ears.on_change = self._note
        self._timers = CallTimers()
        self._inbox: deque[ev.Event] = deque()
        self._is_busy = False
        self._notes = CallNotes(
            tools,
            self._legs,
            media=media,
            recording=recording,
            writer=self._writer,
            consulting=self._consulting,
            heard_until_ms=lambda: self.sound.heard_until_ms,
        )
        self._tasks = CallTasks(self._fault)
        self.sound = CallSound(
            media,
            recording,
            self._timers,
            self._tasks,
            call=lambda: self._call,
            deliver=self.deliver,
            changed=self._note,
            clock=tools.clock,
        )
        self._effects = CallEffects(
            tools,
            self._legs,
            ticket=ticket,
            sound=self.sound,
            writer=self._writer,
            consulting=self._consulting,
            transfers=self._transfers,
            timers=self._timers,
            tasks=self._tasks,
            call=lambda: self._call,
            deliver=self.deliver,
            reserved=self.on_reserved,
            fault=self._fault,
        )
        self._giving_up = GivingUp(
            tools,
            self._legs,
            media=media,
            recording=recording,
            writer=self._writer,
            tasks=self._tasks,
        )

    # -- what others ask

    @property
    def is_waiting(self) -> bool:
        """Whether it wants an agent: not for a caller who has hung up, as it seems."""
        return self._call is not None and self._call.is_waiting and not self._is_doubted

    @property
    def state(self) -> str:
        """Where it stands, for people."""
        return "new" if self._call is None else self._call.state.value

    @property
    def attempt(self) -> Attempt:
        """The attempt that is current."""
        held = self._call or self._left
        return NO_ATTEMPT if held is None else held.attempt

    def has_passed_on(self, attempt: Attempt) -> bool:
        """Tell whether that is the leg of who has passed the caller on, and is in no talk now."""
        passing = self._call or (self._left and self._left.passing)
        transferor = passing.transferor if passing else None
        return transferor is not None and transferor.attempt == attempt

    @property
    def was_cancelled(self) -> bool:
        """Whether its caller gave up before we answered; that is still to be written down."""
        verdict = None if self._call is None else self._call.verdict
        return verdict is not None and verdict.cause == CANCELLED

    @property
    def is_lost(self) -> bool:
        """Whether its place is known to be another's, or to have been closed by somebody else."""
        return self._call is not None and self._call.is_ticket_lost

    @property
    def talks_to(self) -> SiteId | None:
        """The home site of the agent who talks with the caller, or holds them; None: nobody."""
        if self._call is None or self._call.state is not State.CONNECTED:
            return None
        return self._agent_facts().site

    @property
    def keeps_goodbyes(self) -> bool:
        """Whether its end is to be written down, or may be once it has been resumed."""
        return self._call is None or self._call.state is State.ENDING

    def keep_goodbye(self, goodbye: TransactionId) -> None:
        """Answer a BYE when that is done."""
        self._legs.keep_goodbye(goodbye)

    def way_of(self, attempt: Attempt | None) -> SiteId | None:
        """Return by which site's Kamailio an agent's leg goes, or (None) the caller's."""
        return self._legs.way_of(attempt)

    @property
    def media(self) -> CallMedia:
        """What the relay does for it."""
        return self._media

    def hold_back(self) -> None:
        """Let the agent hear a caller who may key tones later than the recorder hears them."""
        self._tasks.spawn(self._media.hold_back())

    @property
    def has_media(self) -> bool:
        """Whether the relay should know it."""
        return self._call is not None and self._call.state in WITH_MEDIA

    # -- what happens to it

    def begin(self, rules: Rules, sdp: bytes | None, *, is_late: bool) -> None:
        """Take the INVITE."""
        now = self._tools.clock.now()
        self._call, effects = start(self.id, rules, sdp, now, is_late=is_late)
        self._effects.carry_out(effects)

    def begin_called_back(
        self, rules: Rules, decision: Decision, token: Token, *, said: bytes, told: bytes
    ) -> None:
        """Take a caller who has answered our call, for whom an agent is reserved already."""
        held = self.records.held
        idle_s = None if held is None else held.ticket.value.idle_s
        self._effects.give(decision.winner, token, idle_s)
        self._media.restore(said={Side.CALLER: said}, told={Side.CALLER: told}, is_joined=False)
        self._notes.is_confirmed = True
        self._call, effects = called_back(self.id, rules, decision)
        self.records.is_acknowledged = self._call.is_acknowledged
        self._effects.carry_out(effects)
        self._note()

    def doubt(self, *, of_caller: bool) -> None:
        """Take in that a telephone knows of no such call: its BYE is on its way, or met nobody."""
        self._is_doubted |= of_caller

    def ask(self, side: Side) -> None:
        """Ask a telephone of those who talk whether it is there; `sip.WasAsked` follows."""
        self._legs.ask(side, self.attempt)

    def host_of(self, side: Side) -> str:
        """Return at which host a telephone says that it is; empty: nobody knows."""
        return self._legs.host_of(side, self.attempt)

    def adopt_agents(self, note: CallNote) -> None:
        """Take up the legs of the agents whom the former life had given to this call.

        And what the relay has of it: an agent who is kept from the caller waits for nothing else.
        """
        self._left = note
        self._media.restore(said=note.said, told=note.told, is_joined=note.is_joined)
        self._media.ears.restore(note.ears)
        for agent in (note.transferor, note.agent):
            if agent is not None:
                told = note.told.get(Side.AGENT) if agent is note.agent else agent.told
                self._legs.adopt(agent, told)
        if note.consultation is not None:
            self._legs.end_consultation(note.consultation)

    def resume(self, note: CallNote, *, has_media: bool = True) -> None:
        """Go on where the former life of this edge left off; nothing if it has gone on already."""
        if self._call is not None:
            return
        has_media = has_media and not note.hears_nothing
        self._media.restore(
            said=note.said,
            told=note.told,
            is_joined=note.is_joined,
            is_forgotten=not has_media,
        )
        self._notes.is_confirmed = True
        self._recording.restore(note.heard, note.unrecorded)
        is_left = has_media and is_silent(note.state, note.heard_until_ms, self._tools.clock.now())
        self._call, first = resumed(
            self.id,
            note.rules,
            note.state,
            attempt=note.attempt,
            decision=note.decision,
            hold=note.hold,
            has_talked=note.has_talked,
            asked=note.asked,
            passing=note.passing or NOTHING_PASSED,
            has_media=has_media,
            is_joined=note.is_joined,
            offered_anew=note.told.get(Side.CALLER) if is_left else None,
        )
        self.records.is_acknowledged = self._call.is_acknowledged
        if note.is_joined:
            self.sound.record()
        if not has_media:
            self._note()
        if self._call.is_media_moving:
            self.sound.do(fx.RequeueMedia())
        passing = note.passing or NOTHING_PASSED
        self._inbox = deque(in_order(first, self._inbox, passing.transferor))
        self._take_all()
        if self._call.is_waiting:
            self._tools.line.waits(self.id)

    def expect_agent(self) -> None:
        """Get ready what rings an agent, whoever it is, while the store is asked for one."""
        self._tasks.spawn(self._media.look_ahead())

    def on_reserved(self, decision: Decision, token: Token) -> None:
        """Take the agent whom the store has granted, and who is rung under `token`."""
        held = self.records.held
        idle_s = None if held is None else held.ticket.value.idle_s
        self._effects.give(decision.winner, token, idle_s)
        self.deliver(ev.Reserved(decision=decision))

    def deliver(self, event: ev.Event) -> None:
        """Take one event, after those that are being taken."""
        self._inbox.append(event)
        self._take_all()

    # -- transfers

    def refer(self, asked: ReferReceived, attempt: Attempt | None) -> None:
        """Take a REFER: only the agent who talks with the caller passes them on."""
        passed = self._transfers.refer(asked, self._asks(attempt))
        if passed is not None:
            self.deliver(passed)

    def consult(self, invite: IncomingInvite, wanted: Wanted) -> None:
        """Let the agent who talks with the caller call another."""
        self._consulting.begin(
            invite, wanted, call=self._call, ticket=self._effects.foreseen, changed=self._note
        )

    def _note(self) -> None:
        if self._call is not None:
            self._notes.note_again(self._call, self._effects.foreseen)

    def obey(self, agent: AgentId, to: str, tell: Tell) -> None:
        """Pass the caller on as somebody wishes for the agent who talks with them."""
        passed = self._transfers.obey(agent, to, tell, self._asks(self.attempt))
        if passed is not None:
            self.deliver(passed)

    def _asks(self, attempt: Attempt | None) -> Asking:
        return Asking(
            call=self._call,
            ticket=self._effects.foreseen,
            attempt=attempt,
            is_offering=self.sound.is_offering(Side.AGENT),
        )

    # -- taking events

    def _take_all(self) -> None:
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._inbox and self._call is not None:
                self._try_to_take(self._inbox.popleft(), self._call)
        finally:
            self._is_busy = False

    def _try_to_take(self, event: ev.Event, before: Call) -> None:
        try:
            self._take(event, before)
        except Exception as error:  # noqa: BLE001 - a fault in one call must not reach the others
            self._fault(error)

    def _take(self, event: ev.Event, before: Call) -> None:
        self._call, effects = step(before, event, self._tools.clock.now())
        self.records.is_acknowledged = self._call.is_acknowledged
        self.records.has_left = self._call.caller is CallerLeg.OVER
        if self._call.state is not before.state:
            if before.state is State.ARRIVING:
                self._tools.arrivals.over(self.id, self._tools.clock.now().mono_s)
            log.info(
                "call_state",
                call=self.id,
                was=before.state,
                state=self._call.state,
                because=type(event).__name__,
                agent=self._call.agent,
            )
        self._effects.carry_out(effects)
        if self._call.state is State.ENDING and before.state is not State.ENDING:
            # The relay may have a talk for some seconds yet, in which nothing is to be kept.
            self._recording.stop()
        if (held := self._call.hold.since is not None) is not (before.hold.since is not None):
            self._recording.hold(on=held)
        self._consulting.follow(self._call)
        self._notes.write_down(event, before, self._call, self._effects.foreseen)
        if not self._call.is_waiting:
            return
        # The mirror may show a ticket before the store's answer says that it is ours: then nothing
        # could be done about it when it was seen, and nothing more would change.
        if not before.is_waiting or isinstance(event, ev.Written):
            self._tools.line.waits(self.id)

    def _agent_facts(self) -> AgentLegFacts:
        return self._legs.facts(self.attempt)

    # -- faults of ours

    def _fault(self, error: BaseException) -> None:
        """End the call: it must neither leave the caller in silence nor keep an agent."""
        log.error("call_fault", call=self.id, **fault(error))
        if not self._timers.has(Own.LAST_RESORT):
            self._timers.start(Own.LAST_RESORT, _LAST_RESORT_S, self._give_up)
            self.deliver(ev.Stop(cause=FAULT))

    def _give_up(self) -> None:
        """Let go of everything: the state machine waits for what will never come."""
        if self._call is None or self._call.state is State.ENDED:
            return
        log.error("call_given_up", call=self.id, state=self._call.state)
        self._call = None
        self._timers.stop_all()
        self._giving_up.let_go(self._effects.foreseen)


_LAST_RESORT_S = 4.0
"""How long a call may take to end in order after a fault of ours."""
