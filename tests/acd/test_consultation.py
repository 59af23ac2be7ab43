"""Whatever happens in a consultation, in any order, it ends once and nobody stays reserved."""
# ruff: noqa: D102 - the rules' names are sentences

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.acd import consultation as cs
from edge.acd.consultation import Leg, Stage

SDP = b"v=0"


class ConsultationMachine(RuleBasedStateMachine):
    """The store, the relay, two telephones and the caller's call, each as its contract allows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = cs.Consultation()
        self.asker, self.colleague = Leg.EARLY, Leg.NONE
        self.is_asked = True
        """The store owes an answer to the reservation."""
        self.is_held = self.is_handed = self.is_handing = False
        self.media: list[type[cs.Effect]] = []
        self.is_closed = False
        self.finished = self.freed = 0

    def deliver(self, event: cs.Event) -> None:
        was = self.now
        self.now, effects = cs.step(was, event)
        assert not (was.stage is Stage.ENDED and effects)
        for effect in effects:
            self.carry_out(effect)

    def carry_out(self, effect: cs.Effect) -> None:  # noqa: C901 - one case an effect
        match effect:
            case cs.Prepare() | cs.Join():
                assert not self.is_closed
                self.media.append(type(effect))
            case cs.Ring():
                assert self.is_held
                assert self.colleague is Leg.NONE
                self.colleague = Leg.EARLY
            case cs.TellItRings():
                assert self.asker is Leg.EARLY
            case cs.Answer():
                assert (self.asker, self.colleague) == (Leg.EARLY, Leg.UP)
                self.asker = Leg.UP
            case cs.Refuse(status=status):
                assert self.asker is Leg.EARLY
                assert status >= 400
                self.asker = Leg.NONE
            case cs.HangUpAsker():
                assert self.asker is Leg.UP
                self.asker = Leg.CLOSING
            case cs.HangUpColleague():
                assert self.colleague is not Leg.NONE
                assert not self.is_handed
                self.colleague = Leg.CLOSING
            case cs.CloseMedia():
                assert not self.is_closed
                self.is_closed = True
            case cs.Free():
                assert self.is_held
                assert not self.is_handed
                assert self.colleague is Leg.NONE or self.now.is_released
                self.is_held = False
                self.freed += 1
            case cs.Finished():
                self.finished += 1

    # -- what can happen

    @precondition(lambda self: self.is_asked)
    @rule(is_free=st.sampled_from([True, True, False]))
    def the_store_answers(self, *, is_free: bool) -> None:
        self.is_asked = False
        self.is_held = is_free
        self.deliver(cs.Reserved() if is_free else cs.NotReserved(status=486))

    @precondition(lambda self: self.media)
    @rule(works=st.sampled_from([True, True, True, False]))
    def the_relay_answers(self, *, works: bool) -> None:
        asked = self.media.pop(0)
        told = cs.Prepared(sdp=SDP) if asked is cs.Prepare else cs.Joined(sdp=SDP)
        self.deliver(told if works else cs.MediaGone())

    @precondition(lambda self: self.colleague is Leg.EARLY and not self.is_handed)
    @rule()
    def it_rings(self) -> None:
        self.deliver(cs.Rings())

    @precondition(lambda self: self.colleague in {Leg.EARLY, Leg.CLOSING} and not self.is_handed)
    @rule()
    def the_colleague_answers(self) -> None:
        if self.colleague is Leg.EARLY:
            self.colleague = Leg.UP
        self.deliver(cs.Answered(sdp=SDP))

    @precondition(lambda self: self.colleague is not Leg.NONE and not self.is_handed)
    @rule()
    def the_colleagues_leg_is_over(self) -> None:
        self.colleague = Leg.NONE
        self.deliver(cs.ColleagueLeft())

    @precondition(lambda self: self.asker is not Leg.NONE)
    @rule()
    def the_askers_leg_is_over(self) -> None:
        self.asker = Leg.NONE
        self.deliver(cs.AskerLeft())

    @precondition(lambda self: not self.is_handing and not self.now.is_over)
    @rule()
    def the_asker_hands_over(self) -> None:
        self.is_handing = True
        self.deliver(cs.HandingOver())

    @precondition(lambda self: self.is_handing and self.now.stage is Stage.HANDING)
    @rule()
    def the_store_gives_the_caller_to_the_colleague(self) -> None:
        self.is_handed, self.is_held, self.colleague = True, False, Leg.NONE
        self.deliver(cs.HandedOver())

    @rule(event=st.sampled_from([cs.RingTimeout(), cs.Cut(why="over")]))
    def something_else_happens(self, event: cs.Event) -> None:
        self.deliver(event)

    @precondition(lambda self: self.now.is_over)
    @rule()
    def the_time_to_end_runs_out(self) -> None:
        self.deliver(cs.ReleaseTimeout())

    # -- the laws

    @invariant()
    def it_knows_its_legs(self) -> None:
        assert self.now.asker is self.asker
        assert self.now.colleague is self.colleague
        assert self.now.is_held is self.is_held

    @invariant()
    def it_ends_once_and_only_when_nothing_is_left(self) -> None:
        assert self.finished == (self.now.stage is Stage.ENDED)
        if self.finished:
            assert not self.is_held
            assert not self.is_asked
            assert {self.asker, self.colleague} == {Leg.NONE}
            assert self.is_closed

    def teardown(self) -> None:
        """Let it end, and see that it does."""
        self.deliver(cs.Cut(why="over"))
        if self.is_asked:
            self.the_store_answers(is_free=True)
        if self.colleague is not Leg.NONE:
            self.the_colleagues_leg_is_over()
        if self.asker is not Leg.NONE:
            self.the_askers_leg_is_over()
        assert self.now.stage is Stage.ENDED
        assert self.freed <= 1


TestConsultation = ConsultationMachine.TestCase
TestConsultation.settings = settings(
    max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
