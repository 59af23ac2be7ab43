"""Everything around one call, played: the caller, agents, the media relay and the store.

It carries effects out as the shell, the SIP stack and the store would, refuses any that makes no
sense at that moment, and lets the test choose what happens next, and in which order.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TypeAlias, assert_never

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import Rules, State
from edge.acd.call_events import Attempt, By, Side
from edge.acd.call_farewell import UNHEARD_MS, UNMET_MS
from edge.acd.call_state import start, step
from state.model import AgentId, Decision, Now, Outcome
from tests.acd.talks import Talks
from tests.acd.worlds import NOW, call_id

SDP = b"v=0"


class Leg(StrEnum):
    """Where a leg is, as the SIP stack has it."""

    RINGING = "ringing"
    UP = "up"
    CANCELLED = "cancelled"
    BYE_SENT = "bye_sent"
    OVER = "over"


class Wanting(StrEnum):
    """A reservation that the reserver has put in line."""

    RESERVATION = "reservation"
    TARGET = "target"
    """Of an agent to whom the caller is passed on."""
    CONSULTED = "consulted"
    """Of one who is reserved already, as they have been asked."""


Freeing: TypeAlias = (
    wr.GiveBack | wr.MoveToQueue | wr.HandBack | wr.FreeTransferor | wr.FreeAgent | wr.Close
)
MediaStep: TypeAlias = (
    ef.OpenMedia
    | ef.Play
    | ef.PrepareAgent
    | ef.JoinMedia
    | ef.RequeueMedia
    | ef.SettleMedia
    | ef.Renegotiate
    | ef.AskLastHeard
    | ef.CloseMedia
)


def decision(agent: str = "ann") -> Decision:
    """Return a decision for an agent."""
    return Decision(revision=7, wall_ms=NOW.wall_ms, winner=AgentId(agent), score=1.0, parts={})


class Stage:
    """One call with its surroundings."""

    def __init__(
        self, *, greeting: bool = True, sdp: bytes | None = SDP, is_late: bool = False
    ) -> None:
        self.caller = Leg.RINGING
        self.is_confirmed = False
        """The caller has acknowledged our answer."""
        self.offer_open: Side | None = None
        """Whose re-INVITE is open on the caller's leg; CALLER: theirs."""
        self.offering: Attempt | None = None
        """The agent's leg whose re-INVITE is open."""
        self.agents: dict[Attempt, Leg] = {}
        self.media: deque[MediaStep] = deque()
        self.is_media_closed = False
        self.last_heard_ms: dict[Side, int] = {}
        """What the relay would say if it were asked."""
        self.told_ms: dict[Side, int] = {}
        """What it has said."""
        self.is_greeting = False
        self.timers: set[ef.Timer] = set()
        self.line: deque[wr.Write | Wanting] = deque()
        """Writes in the order in which they were asked for."""
        self.has_ticket = False
        self.has_offer = False
        self.has_transferor = False
        """A second offer stands: the agent's who has passed the caller on."""
        self.reinvited: set[Attempt] = set()
        """Agents' legs with an open re-INVITE of ours."""
        self.told: list[tuple[Attempt, int]] = []
        """What transferors were told of how it gets on."""
        self.target_is_free = True
        self.consulted_stays = True
        """The agent who was consulted has not hung up."""
        self.is_taken = False
        """Somebody else has closed this call's records."""
        self.closed: list[wr.Close] = []
        self.given = 0
        """How often an agent was reserved for this call."""
        self.freed: list[Freeing] = []
        self.finished: list[ef.Finished] = []
        self.log: list[ef.Effect] = []
        self.talks = Talks()
        self.now = NOW
        self.call, effects = start(call_id(1), Rules(greeting=greeting), sdp, NOW, is_late=is_late)
        self._carry_out(effects)

    def deliver(self, event: ev.Event) -> tuple[ef.Effect, ...]:
        """Let something happen."""
        before = self.call
        self.is_confirmed |= isinstance(event, ev.Confirmed) and event.side is Side.CALLER
        self.call, effects = step(before, event, self.now)
        if before.state is State.ENDED:
            assert (self.call, effects) == (before, ())
        if before.state is State.ENDING:
            assert self.call.state in {State.ENDING, State.ENDED}
        self.talks.follow(before, self.call, effects, self.now)
        self._carry_out(effects)
        return effects

    def _carry_out(self, effects: tuple[ef.Effect, ...]) -> None:
        for effect in effects:
            assert not self.finished, effect
            self.log.append(effect)
            self._do(effect)

    def _do(self, effect: ef.Effect) -> None:  # noqa: C901, PLR0912  one case an effect
        match effect:
            case ef.Store(write=write):
                self.line.append(write)
            case ef.AnswerCaller():
                assert self.caller is Leg.RINGING
                self.caller = Leg.UP
            case ef.RejectCaller() | ef.HangUpCaller() | ef.LeaveCaller():
                self._end_caller(effect)
            case ef.ReinviteCaller():
                assert self.caller is Leg.UP
                assert self.offer_open is None
                self.offer_open = Side.AGENT
            case ef.InviteAgent(attempt=attempt):
                assert attempt not in self.agents
                assert self.ringing_or_up == self.passing
                self.agents[attempt] = Leg.RINGING
            case ef.CancelAgent(attempt=attempt):
                assert self.agents[attempt] is Leg.RINGING
                self.agents[attempt] = Leg.CANCELLED
            case ef.HangUpAgent(attempt=attempt):
                assert self.agents[attempt] is Leg.UP
                self.agents[attempt] = Leg.BYE_SENT
                self._offers_no_more(attempt)
                self.reinvited.discard(attempt)
            case (
                ef.ReinviteAgent()
                | ef.TakeBack()
                | ef.TakeConsulted()
                | ef.TellTransferor()
                | ef.ReserveTarget()
                | ef.HandOver()
            ):
                self._transfer(effect)
            case ef.AnswerOffer(side=side) | ef.RefuseOffer(side=side):
                self._reply_to_offer(side)
            case ef.StartTimer(timer=timer, seconds=seconds):
                assert seconds > 0
                self.timers.add(timer)
            case ef.StopTimer(timer=timer):
                self.timers.discard(timer)
            case ef.Finished():
                self.finished.append(effect)
            case ef.CloseMedia():
                assert ef.CloseMedia() not in self.media
                assert not self.is_media_closed
                self.media.append(effect)
            case _:
                assert ef.CloseMedia() not in self.media
                assert not self.is_media_closed
                self.media.append(effect)

    def _end_caller(self, effect: ef.RejectCaller | ef.HangUpCaller | ef.LeaveCaller) -> None:
        self.offer_open = None
        match effect:
            case ef.RejectCaller(status=status):
                assert self.caller is Leg.RINGING
                assert status >= 400
                self.caller = Leg.OVER
            case ef.HangUpCaller():
                assert self.caller is Leg.UP
                self.caller = Leg.BYE_SENT
            case ef.LeaveCaller():
                assert self.caller in {Leg.UP, Leg.BYE_SENT}
                assert not self.is_confirmed
                self.caller = Leg.OVER

    def _transfer(
        self,
        effect: ef.ReinviteAgent
        | ef.TakeBack
        | ef.TakeConsulted
        | ef.TellTransferor
        | ef.ReserveTarget
        | ef.HandOver,
    ) -> None:
        match effect:
            case ef.ReinviteAgent(attempt=attempt):
                assert self.agents[attempt] is Leg.UP
                self.reinvited.add(attempt)
            case ef.TakeBack(attempt=attempt, was=was):
                assert attempt not in self.agents
                self.agents[attempt] = self.agents.pop(was)
                assert self.offering != was
                assert self.agents[attempt] is Leg.UP
            case ef.TellTransferor(attempt=attempt, status=status):
                assert self.agents[attempt] is Leg.UP
                self.told.append((attempt, status))
            case ef.ReserveTarget():
                self.line.append(Wanting.TARGET)
            case ef.HandOver():
                self.line.append(Wanting.CONSULTED)
            case ef.TakeConsulted(attempt=attempt):
                assert attempt not in self.agents
                assert self.ringing_or_up == self.passing
                self.agents[attempt] = Leg.UP
            case _:
                assert_never(effect)

    def _reply_to_offer(self, side: Side) -> None:
        if side is Side.CALLER:
            assert self.caller is Leg.UP
            if self.offer_open is Side.CALLER:
                self.offer_open = None
        else:
            assert self.agent_offer_open
            self.offering = None

    def _offers_no_more(self, attempt: Attempt) -> None:
        if self.offering == attempt:
            self.offering = None

    @property
    def agent_offer_open(self) -> bool:
        """Whether an agent waits for an answer to a re-INVITE."""
        return self.offering is not None

    def is_in(self, state: State) -> bool:
        """Tell whether the call is in this state now."""
        return self.call.state is state

    @property
    def ringing_or_up(self) -> list[Attempt]:
        """The agents who are being rung or talked to."""
        return [a for a, leg in self.agents.items() if leg in {Leg.RINGING, Leg.UP}]

    @property
    def passing(self) -> list[Attempt]:
        """The agent who has passed the caller on, while their leg is up."""
        transferor = self.call.transferor
        return [transferor.attempt] if transferor is not None and transferor.is_up else []

    # -- the store

    def want_agent(self) -> None:
        """Let the reserver put a reservation in line."""
        self.line.append(Wanting.RESERVATION)

    def write(self, agent: str = "ann", *, at_once: bool = False) -> None:
        """Let the store answer the first in line; `at_once`: with an agent, if it is an arrival."""
        write = self.line.popleft()
        if write is Wanting.TARGET or write is Wanting.CONSULTED:
            self._reserve_target(is_there=write is Wanting.CONSULTED)
            return
        if isinstance(write, Wanting):
            can_land = self.has_ticket and not self.has_offer and not self.is_taken
            if can_land and self.call.is_waiting:
                self._give()
                self.deliver(ev.Reserved(decision=decision(agent)))
            return
        landed = self._land(write)
        if landed and at_once and isinstance(write, wr.CreateTicket) and not write.greeting:
            self._give()
            self.deliver(ev.Reserved(decision=decision(agent)))
        self.deliver(ev.Written(write=write) if landed else ev.WriteRefused(write=write))

    def _reserve_target(self, *, is_there: bool) -> None:
        can_land = self.has_offer and not self.has_transferor and not self.is_taken
        if can_land and self.target_is_free:
            self.has_transferor = True
            self.given += 1
            given = decision("tom")
            self.deliver(
                ev.ConsultedGiven(decision=given, is_there=self.consulted_stays)
                if is_there
                else ev.Reserved(decision=given)
            )
        else:
            self.deliver(ev.TargetRefused(status=486))

    def _give(self) -> None:
        self.has_offer = True
        self.given += 1

    def _free(self, write: Freeing) -> None:
        for holds in (self.has_offer, self.has_transferor):
            if holds:
                self.freed.append(write)
        self.has_offer = self.has_transferor = False

    def _land(self, write: wr.Write) -> bool:  # noqa: C901  one case a write
        if self.is_taken:
            return False
        match write:
            case wr.CreateTicket():
                self.has_ticket = True
            case wr.MarkQueued() | wr.TakeCallback():
                assert self.has_ticket
            case wr.MarkConnected():
                assert self.has_ticket
                assert self.has_offer
            case wr.MarkHold():
                assert self.has_offer
            case wr.PassOn():
                assert self.has_offer
            case wr.HandBack() | wr.FreeTransferor():
                # One that was never reserved, or freed with the other.
                if self.has_transferor:
                    self.freed.append(write)
                self.has_transferor = False
            case wr.GiveBack() | wr.MoveToQueue():
                assert self.has_ticket
                assert self.has_offer
                assert not self.has_transferor
                self.has_offer = False
                self.freed.append(write)
            case wr.FreeAgent():
                self._free(write)
            case wr.Close():
                assert self.has_ticket
                self._free(write)
                self.has_ticket = False
                self.closed.append(write)
            case _:
                assert_never(write)
        return True

    def take_away(self) -> None:
        """Let another edge close this call's records, or have the call all along."""
        self.is_taken = True
        self.has_ticket = self.has_offer = self.has_transferor = False

    # -- the media relay

    def relay(self, *, works: bool = True) -> None:
        """Let the relay answer the first thing asked of it."""
        asked = self.media.popleft()
        event = self._relayed(asked) if works else _failed(asked)
        if asked == ef.Play(prompt=ef.Prompt.GREETING):
            self.is_greeting = True
        if asked == ef.CloseMedia():
            self.is_media_closed = True
        if event is not None:
            self.deliver(event)

    def _relayed(self, asked: MediaStep) -> ev.Event | None:
        if asked == ef.AskLastHeard():
            self.told_ms = dict(self.last_heard_ms)
            return ev.LastHeard(until_ms=self.told_ms)
        return _relayed(asked)

    def heard(self, side: Side, *, ago_s: float) -> None:
        """Let the relay have heard somebody last so long ago."""
        self.last_heard_ms[side] = self.now.wall_ms - round(ago_s * 1000)

    def was_unheard(self, side: Side) -> bool:
        """Tell whether the relay has said that somebody was unheard as the call ended."""
        verdict = self.call.verdict
        until_ms = self.told_ms.get(side)
        if verdict is None or until_ms is None:
            return False
        # A caller who was never told that they are joined may have left before.
        least_ms = UNHEARD_MS if side is Side.AGENT else UNMET_MS
        return verdict.at.wall_ms - until_ms >= least_ms

    def greeting_ends(self) -> None:
        """Let the greeting be over."""
        self.is_greeting = False
        self.deliver(ev.GreetingOver())

    # -- people

    def caller_ends(self, by: By) -> None:
        """Let the caller's leg end."""
        self.caller = Leg.OVER
        self.offer_open = None
        self.deliver(ev.CallerEnded(by=by, cause="session_expired" if by is By.FAULT else ""))

    def agent_answers(self, attempt: Attempt) -> None:
        """Let the agent pick up; it may cross our CANCEL."""
        self.agents[attempt] = Leg.UP
        self.deliver(ev.AgentAnswered(attempt=attempt, sdp=SDP))

    def agent_rejects(self, attempt: Attempt, status: int, reason: str = "") -> None:
        """Let the INVITE to the agent fail."""
        self.agents[attempt] = Leg.OVER
        self.deliver(ev.AgentRejected(attempt=attempt, status=status, reason=reason))

    def agent_ends(self, attempt: Attempt, by: By) -> None:
        """Let the agent's leg end, and the offer that is open on it, if one is."""
        self._offers_no_more(attempt)
        self.agents[attempt] = Leg.OVER
        self.reinvited.discard(attempt)
        self.deliver(ev.AgentEnded(attempt=attempt, by=by))

    def caller_accepts(self) -> None:
        """Let the caller answer our re-INVITE."""
        self.offer_open = None
        self.deliver(ev.CallerReinvited(sdp=SDP))

    def offers(self, side: Side, sdp: bytes | None = SDP, *, holds: bool = False) -> None:
        """Let somebody hold, resume or move."""
        if side is Side.CALLER:
            self.offer_open = self.offer_open or Side.CALLER
        else:
            self.offering = self.call.attempt
        self.deliver(ev.OfferMade(side=side, sdp=sdp, holds=holds))

    def passes_on(self) -> None:
        """Let the agent pass the caller on to another."""
        self.deliver(ev.PassedToAgent(target=AgentId("tom")))

    def comes_back(self, attempt: Attempt) -> None:
        """Let the transferor's telephone answer our re-INVITE."""
        self.reinvited.discard(attempt)
        self.deliver(ev.AgentReinvited(attempt=attempt, sdp=SDP))

    def time_out(self, timer: ef.Timer) -> None:
        """Let a timer run out."""
        self.timers.remove(timer)
        fires = ev.RingTimeout() if timer is ef.Timer.RING else ev.ReleaseTimeout()
        self.deliver(fires)

    # -- a usual call

    def later(self, seconds: float) -> None:
        """Let time pass."""
        ms = round(seconds * 1000)
        self.now = Now(mono_s=self.now.mono_s + seconds, wall_ms=self.now.wall_ms + ms)

    def bring_to(self, state: State) -> Stage:
        """Let the call go the usual way, one step at a time, until it is in `state`."""
        for _ in range(50):
            if self.call.state is state:
                return self
            self.usual_step()
        raise AssertionError(f"{self.call.state} does not lead to {state}")

    def usual_step(self) -> None:
        """Let the next thing happen that usually does; a connected caller hangs up."""
        ringing = [a for a, leg in self.agents.items() if leg is Leg.RINGING]
        if self.line:
            self.write()
        elif self.media:
            self.relay()
        elif self.call.awaits_ack:
            self.deliver(ev.Confirmed(side=Side.CALLER, sdp=SDP))
        elif self.is_greeting:
            self.greeting_ends()
        elif self.call.is_waiting:
            self.want_agent()
        elif ringing:
            self.agent_answers(ringing[0])
        elif self.offer_open is Side.AGENT:
            self.caller_accepts()
        elif self.reinvited:
            self.comes_back(min(self.reinvited))
        elif self.call.state is State.CONNECTED:
            self.caller_ends(By.THEM)
        else:
            self._settle_one()

    # -- to the end

    def settle(self) -> None:
        """Let everything that is under way come to its normal end, without anything new."""
        for _ in range(200):
            if not self._settle_one():
                return
        raise AssertionError("it never settles")

    def _settle_one(self) -> bool:
        cancelled = [a for a, leg in self.agents.items() if leg in {Leg.CANCELLED, Leg.BYE_SENT}]
        if self.line:
            self.write()
        elif self.media:
            self.relay()
        elif self.caller is Leg.BYE_SENT:
            self.caller_ends(By.US)
        elif cancelled:
            self.agent_ends(cancelled[0], By.US)
        elif self.offer_open is Side.AGENT:
            self.caller_accepts()
        elif self.reinvited:
            self.comes_back(min(self.reinvited))
        else:
            return False
        return True

    def end(self) -> None:
        """Let the caller hang up if they have not, and everything come to its end."""
        self.settle()
        if self.caller in {Leg.RINGING, Leg.UP}:
            self.caller_ends(By.THEM)
        self.settle()

    def check_ended(self) -> None:
        """Check that nothing of the call is left anywhere."""
        assert self.call.state is State.ENDED
        assert self.caller is Leg.OVER
        assert all(leg is Leg.OVER for leg in self.agents.values())
        assert not self.timers
        assert not self.line
        assert self.is_media_closed
        assert self.call.farewell is None
        assert not self.has_ticket
        assert not self.has_offer
        assert not self.has_transferor
        (finished,) = self.finished
        if self.is_taken and not self.closed:
            assert finished.outcome is None
        else:
            (close,) = self.closed
            assert (finished.outcome, finished.cause) == (close.outcome, close.cause)

    def ended(self) -> tuple[Outcome | None, str]:
        """Let everything come to its end, see that nothing is left, and return how it ended."""
        self.settle()
        self.check_ended()
        return self.outcome

    @property
    def outcome(self) -> tuple[Outcome | None, str]:
        """How it ended."""
        (finished,) = self.finished
        return finished.outcome, finished.cause


def _relayed(asked: MediaStep) -> ev.Event | None:
    match asked:
        case ef.OpenMedia():
            return ev.MediaOpened(sdp=SDP)
        case ef.PrepareAgent(attempt=attempt):
            return ev.AgentMediaReady(attempt=attempt, sdp=SDP)
        case ef.JoinMedia(attempt=attempt):
            return ev.MediaJoined(attempt=attempt, sdp=SDP)
        case ef.RequeueMedia():
            return ev.MediaRequeued(sdp=SDP)
        case ef.Renegotiate(side=side, sdp=sdp):
            return ev.Renegotiated(side=side, sdp=SDP, is_offer=sdp is None)
        case ef.Play() | ef.SettleMedia() | ef.AskLastHeard() | ef.CloseMedia():
            return None
        case _:
            assert_never(asked)


def _failed(asked: MediaStep) -> ev.Event | None:
    match asked:
        case ef.OpenMedia():
            return ev.MediaFailed(status=488, cause="no_common_codec")
        case ef.JoinMedia(attempt=attempt):
            return ev.AgentMediaRefused(attempt=attempt)
        case ef.Renegotiate(side=side):
            return ev.RenegotiationFailed(side=side)
        case ef.PrepareAgent() | ef.RequeueMedia():
            return ev.MediaLost()
        case ef.AskLastHeard():
            return ev.LastHeard()
        case ef.Play() | ef.SettleMedia() | ef.CloseMedia():
            return None
        case _:
            assert_never(asked)
