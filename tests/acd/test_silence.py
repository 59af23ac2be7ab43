"""Which edges are taken to be silent: from when on, and until when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.acd.match import PASSED_OVER, match
from edge.acd.silence import BREAK_S, LOOK_EVERY_S, MOST_S, SILENT_S, SOON_S, Silence
from state import keys
from state.model import AgentId, CallId, EdgeId, PresenceState, TicketState
from tests.acd.worlds import NOW, World, at, call_id, ticket

THEIRS, OURS = call_id(1), call_id(2)
STEP_S = 0.5


class Ear:
    """An edge a1 that looks every half a second, as it matches."""

    def __init__(self) -> None:
        self.world = World()
        self.world.agent("ann", sales=1)
        self.world.ticket(1, holder="b1", sales=1)
        self.world.ticket(2, sales=1)
        self.silence = Silence(EdgeId("a1"))
        self.now_s = 0.0
        self.is_alone = False
        self.proof_age_s = 0.0
        self.look()

    def look(self) -> dict[CallId, AgentId]:
        """Match once, on what there is; return who is passed over."""
        self.silence.hears(self.world.deltas)
        self.world.deltas.clear()
        now, snapshot = at(self.now_s), self.world.snapshot
        proved_s = None if self.is_alone else now.mono_s - self.proof_age_s
        asked = self.silence.look(snapshot, now, proved_s)
        offers = match(snapshot, now, asked=asked)
        self.silence.note(snapshot, [each.call for each in offers], now)
        return asked

    def waits(self, seconds: float) -> dict[CallId, AgentId]:
        """Let time pass, and look as often as that takes."""
        ends_s = self.now_s + seconds
        asked = {}
        while self.now_s < ends_s:
            self.now_s = min(ends_s, self.now_s + STEP_S)
            asked = self.look()
        return asked


def test_an_edge_whose_caller_gets_somebody_for_two_seconds_and_does_nothing_is_silent() -> None:
    ear = Ear()
    assert ear.waits(SILENT_S - 0.01) == {}
    assert ear.silence.edges == frozenset()
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER}
    assert ear.silence.edges == {"b1"}
    given = match(ear.world.snapshot, at(ear.now_s), asked={THEIRS: PASSED_OVER})
    assert [(each.call, each.agent) for each in given] == [(OURS, "ann")]


def test_all_callers_of_a_silent_edge_are_passed_over_at_once() -> None:
    ear = Ear()
    ear.world.ticket(3, holder="b1", sales=1)
    ear.look()
    asked = ear.waits(SILENT_S)
    ear.world.agent("bob", sales=2)
    ear.world.ticket(4, sales=1)
    given = match(ear.world.snapshot, at(ear.now_s), asked=asked)
    assert [(each.call, each.agent) for each in given] == [(OURS, "ann"), (call_id(4), "bob")]


def test_a_second_edge_of_the_same_site_takes_as_long_and_one_of_another_site_twice() -> None:
    """Others, who have not found it out yet, give nobody to their own callers behind its."""
    for edge, takes_s in (("b2", SILENT_S), ("c1", 2.0 * SILENT_S)):
        ear = Ear()
        ear.world.edge("b2", sip="198.18.2.10:5082")
        assert ear.waits(SILENT_S + STEP_S) == {THEIRS: PASSED_OVER}
        ear.world.ticket(2, holder=edge, sales=1)
        ear.look()
        assert ear.waits(takes_s - 0.01) == {THEIRS: PASSED_OVER}
        assert ear.waits(0.01) == {THEIRS: PASSED_OVER, OURS: PASSED_OVER}


def test_two_who_fall_silent_at_the_same_moment_are_so_at_the_same_moment() -> None:
    ear = Ear()
    ear.world.drop(keys.ticket(OURS))
    ear.world.agent("bob", sales=1)
    ear.world.ticket(3, holder="c1", sales=1)
    ear.look()
    assert ear.waits(SILENT_S) == {THEIRS: PASSED_OVER, call_id(3): PASSED_OVER}


CHANGES = [
    lambda world: world.set_ticket(ticket(1, holder="b1", sales=1)),
    lambda world: world.ticket(5, holder="b1", sales=1, state=TicketState.CONNECTED),
    lambda world: world.drop(keys.ticket(THEIRS)),
    lambda world: world.offer("eve", 7, edge="b1"),
    lambda world: world.edge("b1", sip="198.18.2.10:5081"),
    lambda world: world.probe("b1"),
]
IDS = ["its ticket", "another's", "a ticket gone", "an offer", "its life", "its probe"]


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_any_sign_of_life_begins_it_anew_and_ends_it(change: Callable[[World], object]) -> None:
    ear = Ear()
    ear.waits(SILENT_S - 0.01)
    change(ear.world)
    assert ear.waits(SILENT_S - 0.01) == {}
    ear = Ear()
    assert ear.waits(SILENT_S)
    change(ear.world)
    ear.silence.hears(ear.world.deltas)
    assert ear.silence.edges == frozenset()
    assert ear.waits(SILENT_S - 0.01) == {}


def test_what_others_do_is_no_sign_of_it() -> None:
    ear = Ear()
    ear.waits(SILENT_S - 0.01)
    ear.world.ticket(3, holder="c1", sales=9)
    ear.world.offer("eve", 7, edge="c1")
    ear.world.edge("c1", sip="198.18.3.10:5081")
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER}


def test_as_soon_as_nobody_is_given_to_its_callers_it_begins_anew() -> None:
    ear = Ear()
    ear.waits(SILENT_S - 0.01)
    ear.world.presence("ann", state=PresenceState.PAUSED)
    ear.look()
    ear.world.presence("ann")
    assert ear.waits(SILENT_S) == {}
    assert ear.waits(STEP_S) == {THEIRS: PASSED_OVER}


def test_another_agent_is_as_good() -> None:
    ear = Ear()
    ear.waits(SILENT_S - 0.01)
    ear.world.presence("ann", state=PresenceState.PAUSED)
    ear.world.agent("bob", sales=2)
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER}


def test_who_has_kept_its_lease_since_lives_and_is_counted_anew() -> None:
    ear = Ear()
    assert ear.waits(MOST_S - 0.01) == {THEIRS: PASSED_OVER}
    assert ear.waits(0.01) == {}
    assert ear.waits(SILENT_S - 0.01) == {}
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER}


def test_a_break_of_its_own_is_no_silence_of_others() -> None:
    for seconds in (SILENT_S - 0.1, SILENT_S):
        ear = Ear()
        ear.waits(seconds)
        ear.now_s += BREAK_S + 0.1
        assert ear.look() == {}
        assert ear.waits(SILENT_S - 0.01) == {}
        assert ear.waits(0.01) == {THEIRS: PASSED_OVER}


def test_while_the_store_proves_nothing_nobody_is_silent() -> None:
    ear = Ear()
    ear.waits(1.5)
    for _ in range(20):
        ear.proof_age_s += STEP_S
        assert ear.waits(STEP_S) == {}
    ear.proof_age_s = 0.0
    assert ear.waits(SILENT_S) == {}
    assert ear.waits(STEP_S) == {THEIRS: PASSED_OVER}


def test_it_counts_until_the_last_proof_and_not_until_now() -> None:
    ear = Ear()
    ear.proof_age_s = 1.0
    ear.now_s += 1.0
    ear.look()
    assert ear.waits(1.0) == {}
    assert ear.waits(0.9) == {}
    assert ear.waits(0.1) == {THEIRS: PASSED_OVER}


def test_a_gap_between_two_proofs_is_seen_though_the_last_one_is_young() -> None:
    ear = Ear()
    ear.waits(0.5)
    ear.proof_age_s = 1.0
    ear.waits(1.0)
    ear.proof_age_s = 0.0
    ear.now_s += 1.0
    assert ear.look() == {}
    assert ear.waits(SILENT_S - 0.01) == {}


def test_a_site_that_serves_alone_begins_anew_and_goes_by_what_there_is() -> None:
    ear = Ear()
    ear.waits(SILENT_S)
    ear.is_alone, ear.proof_age_s = True, 60.0
    assert ear.look() == {}
    assert ear.waits(SILENT_S) == {THEIRS: PASSED_OVER}
    ear.is_alone, ear.proof_age_s = False, 0.0
    assert ear.look() == {}


def test_own_callers_are_never_passed_over() -> None:
    ear = Ear()
    ear.world.drop(keys.ticket(THEIRS))
    assert ear.waits(3 * SILENT_S) == {}
    assert ear.silence.next_due_s() is None


def test_it_is_looked_at_in_time_though_nothing_is_heard() -> None:
    ear = Ear()
    assert ear.silence.next_due_s() == NOW.mono_s + LOOK_EVERY_S
    ear.waits(SILENT_S - 0.1)
    assert ear.silence.next_due_s() == NOW.mono_s + SILENT_S
    ear.waits(0.1)
    assert ear.silence.next_due_s() == NOW.mono_s + SILENT_S + LOOK_EVERY_S
    ear.silence.forget()
    assert ear.silence.next_due_s() is None


def test_who_would_be_silent_by_the_next_proof_is_looked_at_again_at_once() -> None:
    """The store proves once a second that nothing has happened, and tells nobody."""
    ear = Ear()
    ear.proof_age_s = 0.9
    assert ear.waits(SILENT_S) == {}
    assert ear.silence.next_due_s() == pytest.approx(NOW.mono_s + SILENT_S + SOON_S)
    ear.proof_age_s = 0.0
    ear.now_s += SOON_S
    assert ear.look() == {THEIRS: PASSED_OVER}
    assert ear.silence.next_due_s() == pytest.approx(NOW.mono_s + SILENT_S + SOON_S + LOOK_EVERY_S)


def test_an_edge_of_another_site_than_a_silent_one_is_looked_at_in_time_too() -> None:
    ear = Ear()
    ear.waits(SILENT_S)
    ear.world.ticket(2, holder="c1", sales=1)
    ear.look()
    ear.waits(2 * SILENT_S - 0.1)
    assert ear.silence.next_due_s() == pytest.approx(NOW.mono_s + 3 * SILENT_S)
