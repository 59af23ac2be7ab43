"""Which edges are taken to be silent: from when on, and until when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acd.match import PASSED_OVER, match, silent
from edge.acd.silence import BREAK_S, LOOK_EVERY_S, MOST_S, SILENT_S, SOON_S, Silence
from state import keys
from state.model import AgentId, CallId, EdgeId, PresenceState, SiteId, TicketState
from tests.acd.worlds import NOW, PATIENT, World, at, call_id, ticket

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
        self.unreachable = frozenset[SiteId]()
        self.look()

    def look(self) -> dict[CallId, AgentId]:
        """Match once, on what there is; return who is passed over."""
        self.silence.hears(self.world.deltas)
        self.world.deltas.clear()
        now, snapshot = at(self.now_s), self.world.snapshot
        proved_s = None if self.is_alone else now.mono_s - self.proof_age_s
        asked = self.silence.look(snapshot, now, proved_s, self.unreachable)
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


# -- a sister, to whose callers the match gives nobody

HERS = call_id(9)
B = frozenset({SiteId("b")})


def with_sister(state: TicketState = TicketState.GREETING, *, holder: str = "b2") -> Ear:
    """Let somebody come to the second edge of site b, which is out of reach."""
    ear = Ear()
    ear.world.edge(holder, sip="198.18.2.10:5082")
    ear.world.ticket(9, holder=holder, state=state, sales=9)
    ear.unreachable = B
    ear.look()
    ear.silence.forget()
    ear.look()
    return ear


@pytest.mark.parametrize(
    "state", [TicketState.GREETING, TicketState.QUEUED, TicketState.OFFERED], ids=str
)
def test_a_sister_is_silent_too_when_the_site_is_out_of_reach(state: TicketState) -> None:
    ear = with_sister(state)
    assert ear.waits(SILENT_S - 0.01) == {}
    asked = ear.waits(0.01)
    assert asked == {THEIRS: PASSED_OVER, HERS: PASSED_OVER}
    assert silent(ear.world.snapshot, asked) == ear.silence.edges == {"b1", "b2"}


def test_a_sister_may_be_well_while_the_site_is_in_reach() -> None:
    ear = with_sister()
    ear.unreachable = frozenset({SiteId("c")})
    assert ear.waits(3 * SILENT_S) == {THEIRS: PASSED_OVER}
    ear.unreachable = B
    assert ear.look() == {THEIRS: PASSED_OVER, HERS: PASSED_OVER}
    ear.unreachable = frozenset()
    assert ear.look() == {THEIRS: PASSED_OVER}
    assert ear.silence.edges == {"b1"}


def test_a_site_out_of_reach_is_not_silent_by_that_alone() -> None:
    ear = with_sister()
    ear.world.presence("ann", state=PresenceState.PAUSED)
    assert ear.waits(3 * SILENT_S) == {}
    assert ear.silence.edges == frozenset()


def test_an_edge_of_another_site_is_no_sister() -> None:
    ear = with_sister(holder="c2")
    ear.unreachable = frozenset({SiteId("b"), SiteId("c")})
    assert ear.waits(3 * SILENT_S) == {THEIRS: PASSED_OVER}


def test_a_sister_that_is_heard_while_it_is_counted_is_counted_from_then() -> None:
    ear = with_sister()
    ear.waits(1.0)
    ear.world.probe("b2")
    ear.look()
    assert ear.waits(SILENT_S - 0.01) == {THEIRS: PASSED_OVER}
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER, HERS: PASSED_OVER}


SIGNS = [
    lambda world: world.ticket(9, holder="b2", sales=9),
    lambda world: world.ticket(5, holder="b2", sales=1, state=TicketState.CONNECTED),
    lambda world: world.drop(keys.ticket(HERS)),
    lambda world: world.offer("eve", 7, edge="b2"),
    lambda world: world.edge("b2", sip="198.18.2.10:5082"),
    lambda world: world.probe("b2"),
]


@pytest.mark.parametrize("sign", SIGNS, ids=IDS)
def test_the_first_word_of_a_sister_ends_it_and_leaves_the_other_silent(
    sign: Callable[[World], object],
) -> None:
    ear = with_sister()
    assert HERS in ear.waits(SILENT_S)
    sign(ear.world)
    ear.silence.hears(ear.world.deltas)
    assert ear.silence.edges == {"b1"}
    assert ear.waits(SILENT_S - 0.01) == {THEIRS: PASSED_OVER}


def test_the_first_word_of_the_other_ends_it_too() -> None:
    ear = with_sister()
    assert HERS in ear.waits(SILENT_S)
    ear.world.probe("b1")
    assert ear.look() == {}
    assert ear.waits(SILENT_S - 0.01) == {}
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER, HERS: PASSED_OVER}


def test_a_sister_has_kept_its_lease_after_as_long_and_is_counted_anew() -> None:
    ear = with_sister()
    assert HERS in ear.waits(MOST_S - 0.01)
    assert ear.waits(0.01) == {}
    assert ear.waits(SILENT_S - 0.01) == {}
    assert HERS in ear.waits(0.01)


def test_a_sister_is_not_silent_for_longer_though_another_one_falls_silent_later() -> None:
    ear = with_sister()
    ear.waits(4.0)
    ear.world.probe("b1")
    ear.waits(MOST_S - 4.0 - STEP_S)
    assert HERS in ear.look()
    assert HERS not in ear.waits(STEP_S)
    assert ear.silence.edges == {"b1"}


def test_a_sister_takes_twice_as_long_behind_a_silent_edge_of_another_site() -> None:
    ear = Ear()
    ear.waits(SILENT_S)
    ear.world.edge("c2", sip="198.18.3.10:5082")
    ear.world.ticket(2, holder="c1", sales=1)
    ear.world.ticket(9, holder="c2", state=TicketState.GREETING, sales=9)
    ear.unreachable = frozenset({SiteId("c")})
    ear.look()
    assert ear.waits(2 * SILENT_S - 0.01) == {THEIRS: PASSED_OVER}
    assert ear.waits(0.01) == {THEIRS: PASSED_OVER, OURS: PASSED_OVER, HERS: PASSED_OVER}


def test_a_sister_stays_silent_when_an_edge_of_another_site_becomes_so_at_the_same_moment() -> None:
    ear = with_sister()
    ear.silence.forget()
    ear.world.drop(keys.ticket(OURS))
    ear.world.agent("bob", sales=1)
    ear.world.ticket(3, holder="c1", sales=1)
    ear.look()
    asked = dict.fromkeys((THEIRS, HERS, call_id(3)), PASSED_OVER)
    assert ear.waits(SILENT_S) == asked
    assert ear.waits(STEP_S) == asked


@pytest.mark.parametrize("is_break", [False, True], ids=["nobody is given", "a break"])
def test_a_sister_is_counted_with_the_other_one_each_time(*, is_break: bool) -> None:
    ear = with_sister()
    ear.waits(1.0)
    if is_break:
        ear.now_s += MOST_S - 2.0
    else:
        ear.world.presence("ann", state=PresenceState.PAUSED)
        ear.waits(MOST_S - 2.0)
        ear.world.presence("ann")
    ear.look()
    assert ear.waits(SILENT_S) == {THEIRS: PASSED_OVER, HERS: PASSED_OVER}


def test_what_is_not_known_is_no_silence_of_a_sister() -> None:
    ear = with_sister()
    ear.waits(SILENT_S)
    ear.now_s += BREAK_S + 0.1
    assert ear.look() == {}
    assert HERS not in ear.waits(SILENT_S - 0.01)
    assert HERS in ear.waits(0.01)
    ear = with_sister()
    ear.proof_age_s = 1.0
    ear.now_s += 1.0
    ear.look()
    assert ear.waits(1.9) == {}
    assert HERS in ear.waits(0.1)


def test_a_sister_without_callers_is_nothing_to_pass_over_until_somebody_comes() -> None:
    ear = with_sister(TicketState.CONNECTED)
    assert ear.waits(SILENT_S) == {THEIRS: PASSED_OVER}
    assert ear.silence.edges == {"b1"}


def test_own_callers_are_not_passed_over_as_a_silent_sisters_either() -> None:
    """As an edge would know it whose own site is out of its reach."""
    ear = Ear()
    ear.world.edge("a2", sip="198.18.1.10:5082")
    ear.world.drop(keys.ticket(THEIRS))
    ear.world.drop(keys.ticket(OURS))
    ear.world.ticket(1, holder="a2", sales=1)
    ear.world.ticket(2, sales=1)
    ear.unreachable = frozenset({SiteId("a")})
    ear.look()
    assert ear.waits(2 * SILENT_S) == {THEIRS: PASSED_OVER}


STEPS = st.one_of(
    st.tuples(st.just("word"), st.sampled_from(["b1", "b2", "b3", "c1"])),
    st.tuples(st.just("reach"), st.sampled_from(["", "b", "bc"])),
    st.tuples(st.just("ann"), st.sampled_from(list(PresenceState)[:2])),
    st.tuples(st.just("unproved"), st.sampled_from([0.0, 0.4, 1.2])),
)


@PATIENT
@given(steps=st.lists(st.one_of(STEPS, st.none()), min_size=4, max_size=60))
def test_whoever_is_silent_has_not_been_heard_for_as_long_as_that_takes(
    steps: list[tuple[str, str | float] | None],
) -> None:
    ear = with_sister()
    ear.world.edge("b3", sip="198.18.2.10:5083")
    ear.world.ticket(3, holder="b3", state=TicketState.QUEUED, sales=1)
    heard_s: dict[str, float] = {}
    since_s: dict[str, float] = {}
    for step in steps:
        match step:
            case ("word", str(edge)):
                ear.world.probe(edge)
                heard_s[edge] = ear.now_s
            case ("reach", str(sites)):
                ear.unreachable = frozenset(SiteId(site) for site in sites)
            case ("ann", str(state)):
                ear.world.presence("ann", state=PresenceState(state))
            case ("unproved", float(age_s)):
                ear.proof_age_s = age_s
            case _:
                pass
        asked = ear.waits(STEP_S)
        edges = ear.silence.edges
        assert silent(ear.world.snapshot, asked) == edges
        assert not edges & {"a1"}
        if SiteId("b") not in ear.unreachable:
            assert "b2" not in edges, "the match gives it nobody"
        if "b2" in edges:
            assert edges & {"b1", "b3"}
        since_s = {edge: since_s.get(edge, ear.now_s) for edge in edges}
        for edge, silent_s in since_s.items():
            assert ear.now_s - heard_s.get(edge, 0.0) >= SILENT_S
            assert ear.now_s - silent_s < MOST_S
