"""Any sequence of events, in any order that the world allows, ends with nothing left behind."""
# ruff: noqa: D102, FBT001 - the rules' names are sentences, and their booleans are drawn

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.acd import call_effects as ef
from edge.acd import call_events as ev
from edge.acd import call_writes as wr
from edge.acd.call import Exchange, State
from edge.acd.call_events import Attempt, By, Side
from state.model import Outcome, Queue, QueueId, WorkEnd
from tests.acd.stage import SDP, Leg, Stage

REFUSALS = [
    (486, "busy"),
    (403, "stale token"),
    (503, "gate not loaded"),
    (503, "nobody listens"),
    (480, "not registered"),
]
REFUSALS += [(486, "Busy Here"), (603, "Decline"), (408, "Request Timeout"), (500, "Oops")]


USUAL = [State.ARRIVING, State.GREETING, State.QUEUED, State.RINGING, State.JOINING]
USUAL += [State.CONNECTED]
QUEUE = Queue(id=QueueId("other"), needs=())
AWAY = ev.TurnedAway(outcome=Outcome.CALLBACK, cause="waited_too_long")
CUTS = [ev.Stop(), ev.MediaLost(), ev.CallerReinviteRefused(status=408)]
_UNHEARD = {"agent_unheard": Side.AGENT, "caller_unheard": Side.CALLER}
RARELY = st.integers(1, 12).map(lambda die: die == 1)


class CallMachine(RuleBasedStateMachine):
    """Lets whatever can happen happen."""

    stage: Stage

    @initialize(
        greeting=st.booleans(),
        sdp=st.sampled_from([SDP, None]),
        state=st.sampled_from(USUAL),
        late=st.sampled_from([False, False, True]),
    )
    def arrive(self, greeting: bool, sdp: bytes | None, state: State, late: bool) -> None:
        stage = Stage(greeting=greeting or state is State.GREETING, sdp=sdp, is_late=late)
        self.stage = stage.bring_to(state)

    # -- the store, the relay, time

    @precondition(lambda self: self.stage.line)
    @rule(agent=st.sampled_from(["ann", "bob"]), at_once=st.booleans())
    def the_store_answers(self, agent: str, at_once: bool) -> None:
        self.stage.write(agent, at_once=at_once)

    @precondition(lambda self: self.stage.call.is_waiting)
    @rule()
    def an_agent_is_found(self) -> None:
        self.stage.want_agent()

    @precondition(lambda self: not self.stage.is_taken and not self.stage.closed)
    @rule(told=st.booleans(), now=RARELY)
    def another_edge_takes_over(self, told: bool, now: bool) -> None:
        if not now:
            return
        self.stage.take_away()
        if told:
            self.stage.deliver(ev.TicketLost())

    @precondition(lambda self: not self.stage.is_taken)
    @rule(now=RARELY)
    def another_edge_has_the_callers_ack(self, now: bool) -> None:
        if now:
            self.stage.deliver(ev.Claimed())

    @precondition(lambda self: self.stage.media)
    @rule(works=st.sampled_from([True] * 11 + [False]))
    def the_relay_answers(self, works: bool) -> None:
        self.stage.relay(works=works)

    @rule(side=st.sampled_from(Side), ago_s=st.sampled_from([0.0, 2.9, 3.1, 30.0]))
    def somebody_is_heard(self, side: Side, ago_s: float) -> None:
        self.stage.heard(side, ago_s=ago_s)

    @precondition(lambda self: self.stage.is_greeting)
    @rule()
    def the_greeting_ends(self) -> None:
        self.stage.greeting_ends()

    @precondition(lambda self: self.stage.timers)
    @rule(data=st.data())
    def a_timer_runs_out(self, data: st.DataObject) -> None:
        self.stage.time_out(data.draw(st.sampled_from(sorted(self.stage.timers))))

    @rule(seconds=st.sampled_from([0.1, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.later(seconds)

    # -- the caller

    @precondition(lambda self: self.stage.caller is not Leg.OVER)
    @rule(by=st.sampled_from([By.THEM, By.THEM, By.FAULT]), now=RARELY)
    def the_caller_ends(self, by: By, now: bool) -> None:
        if now:
            self.stage.caller_ends(by)

    @precondition(lambda self: self.stage.caller is Leg.BYE_SENT)
    @rule()
    def the_caller_takes_our_goodbye(self) -> None:
        self.stage.caller_ends(By.US)

    @precondition(lambda self: self.stage.caller is Leg.UP)
    @rule(sdp=st.sampled_from([SDP] * 5 + [None]))
    def the_caller_confirms(self, sdp: bytes | None) -> None:
        self.stage.deliver(ev.Confirmed(side=Side.CALLER, sdp=sdp))

    @precondition(lambda self: self.stage.offer_open is Side.AGENT)
    @rule(accepts=st.sampled_from([True, True, False]))
    def the_caller_answers_our_offer(self, accepts: bool) -> None:
        if accepts:
            self.stage.caller_accepts()
        else:
            self.stage.offer_open = None
            self.stage.deliver(ev.CallerReinviteRefused(status=488))

    @precondition(lambda self: self.stage.caller is Leg.UP)
    @precondition(lambda self: self.stage.offer_open is not Side.CALLER)
    @rule(sdp=st.sampled_from([SDP, None]))
    def the_caller_offers(self, sdp: bytes | None) -> None:
        self.stage.offers(Side.CALLER, sdp)

    @precondition(lambda self: self.stage.call.state is State.JOINING)
    @precondition(lambda self: self.stage.call.is_joined and self.stage.offer_open is Side.AGENT)
    @rule(seconds=st.sampled_from([0.4, 0.5, 31.0]), ends=st.sampled_from([None, *CUTS]))
    def our_reinvite_has_no_answer(self, seconds: float, ends: ev.Event | None) -> None:
        self.stage.later(seconds)
        if isinstance(ends, ev.CallerReinviteRefused):
            self.stage.offer_open = None
        if ends is not None:
            self.stage.deliver(ends)

    # -- a line dies in the talk

    @precondition(lambda self: self.stage.call.state is State.CONNECTED)
    @rule(
        side=st.sampled_from(Side),
        ago_s=st.sampled_from([2.9, 3.1, 3.1]),
        released=st.booleans(),
        by=st.sampled_from([None, By.US, By.FAULT, By.UNHEARD]),
    )
    def somebody_hangs_up_because_they_hear_nobody(
        self, side: Side, ago_s: float, released: bool, by: By | None
    ) -> None:
        stage, attempt = self.stage, self.stage.call.attempt
        stage.heard(side, ago_s=ago_s)
        if side is Side.AGENT:
            stage.caller_ends(By.THEM)
        else:
            stage.agent_ends(attempt, By.THEM)
        if released:
            stage.time_out(ef.Timer.RELEASE)
        if by is not None and side is Side.AGENT:
            stage.agent_ends(attempt, by)
        elif by is not None and stage.caller is Leg.BYE_SENT:
            stage.caller_ends(by)

    @precondition(lambda self: self.stage.caller is Leg.BYE_SENT)
    @rule(by=st.sampled_from([By.FAULT, By.UNHEARD, By.BOTH]))
    def the_caller_does_not_take_our_goodbye(self, by: By) -> None:
        self.stage.caller_ends(by)

    # -- agents

    @precondition(lambda self: self.attempts(Leg.RINGING, Leg.CANCELLED))
    @rule(data=st.data())
    def an_agent_answers(self, data: st.DataObject) -> None:
        self.stage.agent_answers(self.draw(data, Leg.RINGING, Leg.CANCELLED))

    @precondition(lambda self: self.attempts(Leg.RINGING))
    @rule(data=st.data(), refusal=st.sampled_from(REFUSALS))
    def an_agent_refuses(self, data: st.DataObject, refusal: tuple[int, str]) -> None:
        self.stage.agent_rejects(self.draw(data, Leg.RINGING), *refusal)

    @precondition(lambda self: self.attempts(Leg.CANCELLED, Leg.BYE_SENT))
    @rule(data=st.data(), by=st.sampled_from(By))
    def an_agents_leg_is_over(self, data: st.DataObject, by: By) -> None:
        self.stage.agent_ends(self.draw(data, Leg.CANCELLED, Leg.BYE_SENT), by)

    @precondition(lambda self: self.attempts(Leg.UP))
    @rule(data=st.data(), by=st.sampled_from([By.THEM, By.FAULT]))
    def an_agent_ends(self, data: st.DataObject, by: By) -> None:
        self.stage.agent_ends(self.draw(data, Leg.UP), by)

    @precondition(lambda self: self.attempts(Leg.UP))
    @rule(data=st.data(), now=RARELY, is_caller_silent=st.booleans())
    def nothing_is_heard_of_an_agent(
        self, data: st.DataObject, now: bool, is_caller_silent: bool
    ) -> None:
        if now:
            attempt = self.draw(data, Leg.UP)
            self.stage.deliver(ev.AgentSilent(attempt=attempt, is_caller_silent=is_caller_silent))

    @rule(now=RARELY, is_stale=RARELY)
    def nothing_is_heard_of_the_caller(self, now: bool, is_stale: bool) -> None:
        if now:
            attempt = self.stage.call.attempt
            self.stage.deliver(
                ev.CallerSilent(attempt=Attempt(attempt + 7) if is_stale else attempt)
            )

    @precondition(lambda self: self.stage.call.attempt in self.attempts(Leg.UP))
    @precondition(lambda self: not self.stage.agent_offer_open)
    @rule(sdp=st.sampled_from([SDP, None]), holds=st.booleans())
    def the_agent_offers(self, sdp: bytes | None, holds: bool) -> None:
        self.stage.offers(Side.AGENT, sdp, holds=holds)

    # -- transfers

    @precondition(
        lambda self: (
            self.stage.call.state is State.CONNECTED
            and self.stage.call.transferor is None
            and not self.stage.agent_offer_open
        )
    )
    @rule(is_free=st.sampled_from([True, True, False]), consulted=st.booleans())
    def the_agent_passes_the_caller_on(self, is_free: bool, consulted: bool) -> None:
        self.stage.target_is_free = self.stage.consulted_stays = is_free
        if consulted:
            self.stage.target_is_free = True
            self.stage.deliver(ev.PassedToConsulted())
        else:
            self.stage.passes_on()

    @precondition(
        lambda self: self.stage.call.state is State.CONNECTED and not self.stage.agent_offer_open
    )
    @rule()
    def the_agent_puts_the_caller_into_a_queue(self) -> None:
        self.stage.deliver(ev.PassedToQueue(queue=QUEUE))

    @precondition(lambda self: self.stage.reinvited)
    @rule(comes=st.sampled_from([True, True, False]))
    def the_transferor_is_asked_back(self, comes: bool) -> None:
        attempt = min(self.stage.reinvited)
        if comes:
            self.stage.comes_back(attempt)
        else:
            self.stage.reinvited.discard(attempt)
            self.stage.deliver(ev.AgentReinviteRefused(attempt=attempt, status=488))

    # -- faults

    @rule(event=st.sampled_from([ev.MediaLost(), ev.Stop(), AWAY]), now=RARELY)
    def something_breaks(self, event: ev.Event, now: bool) -> None:
        if now:
            self.stage.deliver(event)

    @precondition(lambda self: self.stage.call.state is not State.CONNECTED)
    @rule(steps=st.integers(1, 4))
    def all_goes_on_as_usual(self, steps: int) -> None:
        for _ in range(steps):
            self.stage.usual_step()

    @rule()
    def a_telephone_rings(self) -> None:
        self.stage.deliver(ev.AgentProgress(attempt=self.stage.call.attempt, status=180))

    def attempts(self, *legs: Leg) -> list[Attempt]:
        return sorted(a for a, leg in self.stage.agents.items() if leg in legs)

    def draw(self, data: st.DataObject, *legs: Leg) -> Attempt:
        return data.draw(st.sampled_from(self.attempts(*legs)))

    @invariant()
    def at_most_one_agent_is_in_the_call_beside_one_who_passes_it_on(self) -> None:
        assert len(set(self.stage.ringing_or_up) - set(self.stage.passing)) <= 1

    @invariant()
    def an_agent_is_rung_only_while_reserved(self) -> None:
        stage = self.stage
        ending = stage.call.state in {State.ENDING, State.ENDED}
        if stage.ringing_or_up and not stage.is_taken and not ending:
            assert stage.has_offer

    @invariant()
    def who_had_been_heard_is_never_said_to_have_been_unheard(self) -> None:
        for close in self.stage.closed:
            if close.cause in _UNHEARD:
                assert close.outcome is Outcome.LOST
                assert self.stage.was_unheard(_UNHEARD[close.cause])

    @invariant()
    def a_record_is_asked_for_once_what_it_says_is_known(self) -> None:
        assert not (self.stage.call.is_close_asked and self.stage.call.farewell)

    @invariant()
    def the_agent_is_free_once_the_call_need_wait_no_longer(self) -> None:
        call = self.stage.call
        # A record frees them too, also if what it follows is refused.
        if call.is_released and not call.is_close_asked:
            assert not call.is_agent_held

    @invariant()
    def the_call_knows_whose_offer_is_open(self) -> None:
        open_ = {None: Exchange.NONE, Side.AGENT: Exchange.OURS, Side.CALLER: Exchange.THEIRS}
        if self.stage.call.state not in {State.ENDING, State.ENDED}:
            assert self.stage.call.exchange is open_[self.stage.offer_open]

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        stage = self.stage
        stage.end()
        stage.check_ended()
        if stage.outcome[0] is Outcome.ANSWERED:
            ends = [each.part.end for each in stage.freed]
            leaving = [each.leaving for each in stage.freed if isinstance(each, wr.Close)]
            ends += [each.part.end for each in leaving if each is not None]
            assert WorkEnd.TALKED in ends
        # One offer, one end: an agent is freed as often as given.
        if not stage.is_taken:
            assert stage.given == len(stage.freed)


CallMachine.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCallMachine = CallMachine.TestCase
