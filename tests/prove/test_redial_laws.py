"""Callers who dial again: the old place is theirs, once, and nobody else's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.prove.history import FaultKind, Mode
from drills.prove.laws_redials import check_redials
from drills.prove.violations import Law
from state.keys import Kind
from state.model import AgentId, CallId, EdgeId, Heir, Outcome, Place, TicketState
from tests.prove.comings import CALLER, comes, has_back, inherits, is_lost
from tests.prove.histories import Tale
from tests.prove.tale_center import RELAXED_S, TALK, TECH

LATE_S = 3.5
"""Later than everybody has seen what was written, and a place is given back."""


def laws(tale: Tale) -> list[Law]:
    """Return what this law alone finds."""
    return [each.law for each in check_redials(tale.events)]


def left_behind() -> tuple[Tale, int]:
    """Return a tale with a caller whose edge, b1, was killed, and where they stand."""
    tale = Tale("a01", "a02", edges="a1 b1 c1")
    place = comes(tale, "c1", holder="b1")
    tale.now(LATE_S)
    tale.breaks(FaultKind.KILL_EDGE, "b1")
    return tale, place


def dead() -> tuple[Tale, int]:
    """Return a tale in which that caller's call was closed, and left its place."""
    tale, place = left_behind()
    tale.dies("b1")
    is_lost(tale, "c1", place)
    return tale, place


# -- while the old call still stands


def test_an_heir_has_the_old_place() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place)
    assert tale.laws() == []


@pytest.mark.parametrize("stands", [None, 99], ids=["their own", "another"])
def test_an_heir_with_any_other_place_has_lost_it(stands: int | None) -> None:
    tale, _ = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", stands)
    assert laws(tale) == [Law.PLACE_LOST]


@pytest.mark.parametrize(
    ("waited_s", "is_lost_too"), [(12.5, False), (10.5, False), (2.0, True), (0.0, True)]
)
def test_an_heir_has_waited_there_since(waited_s: float, *, is_lost_too: bool) -> None:
    tale, place = left_behind()
    tale.now(8.0)
    comes(tale, "c2", again_of="c1", again="c1")
    tale.now(1.0)
    inherits(tale, "c2", "c1", place, waited_s=waited_s)
    assert laws(tale) == [Law.PLACE_LOST] * is_lost_too


def test_how_long_is_open_where_the_edge_may_have_seen_the_old_call_late() -> None:
    tale, place = left_behind()
    tale.breaks(FaultKind.LATE_EVENTS, "a1")
    tale.now(8.0)
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place, waited_s=0.0)
    assert laws(tale) == []


def test_a_place_has_one_heir() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    comes(tale, "c3", again_of="c1", again="c2", holder="c1")
    inherits(tale, "c2", "c1", place)
    inherits(tale, "c3", "c1", place, "a02")
    assert laws(tale) == [Law.PLACE_TWICE]


def test_a_place_is_not_had_again_once_the_note_of_it_is_gone() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    comes(tale, "c3", again_of="c1", again="c2", holder="c1")
    inherits(tale, "c2", "c1", place)
    tale.store((Kind.HEIR, "c1", None))
    inherits(tale, "c3", "c1", place, "a02")
    assert laws(tale) == [Law.PLACE_TWICE]


def test_nor_if_a_merge_has_brought_the_call_back() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    comes(tale, "c3", again_of="c1", again="c2", holder="c1")
    inherits(tale, "c2", "c1", place)
    tale.store((Kind.TICKET, "c1", None))
    tale.store(tale.ticket(replace(tale.ticket_of("c1"), place=place)))
    inherits(tale, "c3", "c1", place, "a02")
    assert Law.PLACE_TWICE in laws(tale)


def test_one_who_calls_when_the_heir_has_talked_has_their_own_place() -> None:
    for stands, breaks in ((True, [Law.PLACE_TWICE]), (False, [])):
        tale, place = left_behind()
        comes(tale, "c2", again_of="c1", again="c1")
        inherits(tale, "c2", "c1", place)
        tale.ends("c2", Outcome.ANSWERED)
        comes(tale, "c3", again_of="c1", again="c2", holder="c1")
        if stands:
            inherits(tale, "c3", "c1", place, "a02")
        else:
            tale.gets("c3", "a02")
        assert laws(tale) == breaks


def test_an_heir_leaves_the_place_to_their_own_next_call() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place)
    comes(tale, "c3", again_of="c1 c2", again="c2", holder="c1")
    inherits(tale, "c3", "c2", place, "a02")
    assert laws(tale) == []


def test_only_the_same_caller_inherits() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", caller="+1")
    inherits(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_calls_that_came_by_one_transaction_have_each_their_own_place_again() -> None:
    """A merge writes many at once: both had one number, and a survivor had closed both."""
    tale, place = dead()
    other = replace(tale.arrives("c2", holder="b1"), place=place, caller="+2")
    again = replace(tale.ticket_of("c1"), place=place)
    gone = [(kind, again.call, None) for kind in (Kind.ENDED, Kind.PLACE)]
    tale.note(Mode(at_s=tale.now(), edge=EdgeId("b1"), mode="merging"))
    tale.store(tale.ticket(other), *gone, tale.ticket(again))
    assert laws(tale) == []


def test_who_comes_back_does_not_have_the_place_of_who_came_with_them_and_is_over() -> None:
    """One transaction created both, so both have one number; a merge brings back one alone."""
    tale, place = dead()
    ticket = replace(tale.arrives("c2", holder="b1"), caller="+2")
    kept = Place(call=ticket.call, did=ticket.did, caller=ticket.caller, place=place)
    tale.store((Kind.PLACE, ticket.call, kept))
    tale.note(Mode(at_s=tale.now(), edge=EdgeId("b1"), mode="merging"))
    gone = [(Kind.PLACE, call, None) for call in ("c1", "c2")]
    tale.store(*gone, tale.ticket(replace(ticket, place=place)))
    assert laws(tale) == []


def test_nobody_inherits_of_a_call_of_their_own_edge() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1", holder="b1")
    inherits(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_nobody_inherits_of_one_who_came_later() -> None:
    tale, _ = left_behind()
    comes(tale, "c2", again_of="c3")
    later = comes(tale, "c3", holder="b1")
    inherits(tale, "c2", "c3", later)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_nobody_inherits_of_a_call_that_talks() -> None:
    tale, place = left_behind()
    talks = replace(tale.ticket_of("c1"), state=TicketState.CONNECTED, agent=AgentId("a02"))
    tale.store(tale.ticket(talks))
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_nobody_inherits_of_a_call_that_is_over() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    tale.ends("c1")
    inherits(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_both_calls_of_a_caller_may_have_an_agent_if_their_edge_wakes_up() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place)
    tale.mends(FaultKind.KILL_EDGE, "b1")
    tale.gets("c1", "a02")
    assert tale.laws() == []


def test_who_dials_again_is_known_again() -> None:
    tale, _ = left_behind()
    comes(tale, "c2", again="c1")
    assert laws(tale) == [Law.PLACE_LOST]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (FaultKind.LATE_EVENTS, "a1"),
        (FaultKind.CUT_ONE_WAY, "b>a"),
        (FaultKind.KILL_ETCD, "c"),
    ],
)
def test_whether_they_are_is_open_where_the_edge_may_not_have_seen_it(
    kind: FaultKind, target: str
) -> None:
    tale, _ = left_behind()
    tale.breaks(kind, target)
    comes(tale, "c2", again="c1")
    assert laws(tale) == []


def test_it_is_open_too_if_the_old_call_was_written_a_moment_ago() -> None:
    tale, _ = left_behind()
    tale.store(tale.ticket(tale.ticket_of("c1")))
    comes(tale, "c2", again="c1")
    assert laws(tale) == []


# -- when it was closed


def test_who_comes_again_has_the_place_that_was_left() -> None:
    tale, place = dead()
    comes(tale, "c2", again="c1")
    has_back(tale, "c2", "c1", place)
    assert tale.laws() == []


def test_what_was_waited_before_counts_with_what_is_waited_now() -> None:
    tale = Tale(edges="a1 b1")
    tale.can("a01", {TECH: 2, TALK: 5})
    tale.presence("a01")
    place = comes(tale, "c1", holder="b1", queue="tech")
    tale.dies("b1")
    is_lost(tale, "c1", place)
    comes(tale, "c2", again="c1", queue="tech")
    has_back(tale, "c2", "c1", place, waited_s=RELAXED_S - 0.1)
    tale.now(0.3)
    tale.gets("c2", "a01")
    assert Law.UNSKILLED not in tale.laws()


def test_nobody_waits_beside_their_place_for_long() -> None:
    tale, _ = dead()
    comes(tale, "c2", again="c1")
    tale.now(LATE_S)
    tale.gets("c2", "a01")
    assert laws(tale) == [Law.PLACE_LOST]


def test_it_may_come_after_an_agent_who_is_free_at_once() -> None:
    tale, _ = dead()
    comes(tale, "c2", again="c1")
    tale.gets("c2", "a01")
    assert laws(tale) == []


def test_a_place_that_an_heir_has_had_is_not_given_back() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1", again="c1")
    inherits(tale, "c2", "c1", place)
    comes(tale, "c3", again_of="c1", again="c2", holder="c1")
    is_lost(tale, "c1", place)
    has_back(tale, "c3", "c1", place)
    assert laws(tale) == [Law.PLACE_TWICE]


# -- an heir who was given an agent without a quorum


def _merges(tale: Tale, place: int, *, is_over: bool = False) -> None:
    """Let a1 write who has had the place of c1."""
    own = replace(tale.ticket_of("c2"), state=TicketState.CONNECTED, place=place)
    over = ((Kind.ENDED, "c2", tale.record("c2", Outcome.ANSWERED)), (Kind.TICKET, "c2", None))
    stands = over if is_over else (tale.ticket(own),)
    tale.store(*stands, (Kind.HEIR, "c1", Heir(call=CallId("c1"), heir=CallId("c2"))))


def _says(tale: Tale, mode: str) -> None:
    tale.note(Mode(at_s=tale.now(), edge=EdgeId("a1"), mode=mode))


@pytest.mark.parametrize("is_over", [False, True], ids=["talks", "is over"])
def test_what_was_had_without_a_quorum_is_said_when_it_is_merged(*, is_over: bool) -> None:
    tale, place = dead()
    comes(tale, "c2", again_of="c1")
    _says(tale, "merging")
    _merges(tale, place, is_over=is_over)
    assert laws(tale) == []
    _says(tale, "quorum")
    tale.now(LATE_S)
    comes(tale, "c3", again="c2", holder="c1")
    has_back(tale, "c3", "c1", place)
    assert laws(tale) == [Law.PLACE_TWICE]


def test_who_had_a_quorum_gives_no_place_of_a_call_that_is_closed() -> None:
    tale, place = dead()
    comes(tale, "c2", again_of="c1")
    _merges(tale, place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_nor_does_an_edge_that_has_one_again() -> None:
    tale, place = dead()
    comes(tale, "c2", again_of="c1")
    _says(tale, "merging")
    _says(tale, "quorum")
    inherits(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


def test_what_is_merged_is_said_over_nobody_elses_word() -> None:
    tale, place = left_behind()
    comes(tale, "c2", again_of="c1")
    comes(tale, "c3", again_of="c1", holder="c1")
    inherits(tale, "c3", "c1", place)
    _says(tale, "merging")
    _merges(tale, place)
    assert laws(tale) == [Law.PLACE_TWICE]


def test_a_place_that_was_left_is_its_callers() -> None:
    tale, place = dead()
    comes(tale, "c2", caller="+1")
    has_back(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE]


@pytest.mark.parametrize(("after_s", "is_late"), [(590.0, False), (700.0, True)])
def test_a_place_is_kept_for_ten_minutes(after_s: float, *, is_late: bool) -> None:
    tale, place = dead()
    tale.now(after_s)
    comes(tale, "c2", again="c1")
    has_back(tale, "c2", "c1", place)
    assert laws(tale) == [Law.FALSE_PLACE] * is_late


def test_a_place_that_nobody_left_is_nobodys() -> None:
    tale = Tale("a01")
    comes(tale, "c1")
    tale.store(tale.ticket(replace(tale.ticket_of("c1"), place=1, caller=CALLER)))
    assert laws(tale) == [Law.FALSE_PLACE]


# -- who was cut off in talk, and talks again before that call is closed


def cut_off_in_talk(*, until_ms: int | None = 5) -> tuple[Tale, int]:
    """Return a tale of a caller whose talk at b1 was cut off, and who talks again at a1."""
    tale, place = left_behind()
    talks = replace(tale.ticket_of("c1"), state=TicketState.CONNECTED, agent=AgentId("a02"))
    tale.store(tale.ticket(talks))
    comes(tale, "c2")
    told = replace(
        tale.ticket_of("c2"),
        cut_off_of=CallId("c1"),
        state=TicketState.CONNECTED,
        connected_ms=until_ms,
    )
    tale.store(tale.ticket(told))
    return tale, place


def goes(tale: Tale, *, talked_ms: int | None = 5, of: str | None = "c1") -> None:
    """Let that call end, and say that its caller needs no place `of` another; None: of none."""
    record = replace(tale.record("c2", Outcome.ANSWERED), connected_ms=talked_ms)
    told = [] if of is None else [(Kind.HEIR, of, Heir(call=CallId(of), heir=CallId("c2")))]
    tale.store((Kind.ENDED, "c2", record), (Kind.TICKET, "c2", None), *told)


def test_who_talked_again_and_has_gone_says_that_they_need_no_place_of_the_old_call() -> None:
    tale, place = cut_off_in_talk()
    goes(tale)
    tale.dies("b1")
    is_lost(tale, "c1", place)
    assert laws(tale) == []


def test_else_they_would_be_called_back() -> None:
    tale, place = cut_off_in_talk()
    goes(tale, of=None)
    assert laws(tale) == [Law.PLACE_TWICE]
    tale.dies("b1")
    is_lost(tale, "c1", place)
    comes(tale, "c3")
    has_back(tale, "c3", "c1", place)
    assert laws(tale) == [Law.PLACE_TWICE] * 2


def test_nobody_is_called_back_for_it_though_they_have_said_so() -> None:
    tale, place = cut_off_in_talk()
    goes(tale)
    tale.dies("b1")
    is_lost(tale, "c1", place)
    comes(tale, "c3")
    has_back(tale, "c3", "c1", place)
    assert laws(tale) == [Law.PLACE_TWICE]


def test_who_comes_again_and_has_talked_with_nobody_is_owed_the_place_still() -> None:
    tale, place = cut_off_in_talk(until_ms=None)
    goes(tale, talked_ms=None, of=None)
    tale.dies("b1")
    is_lost(tale, "c1", place)
    comes(tale, "c3")
    has_back(tale, "c3", "c1", place)
    assert laws(tale) == []


def test_nobody_says_that_another_needs_no_place() -> None:
    tale, _ = cut_off_in_talk()
    comes(tale, "c4", caller="+1", holder="c1")
    tale.store((Kind.HEIR, "c1", Heir(call=CallId("c1"), heir=CallId("c2"))))
    goes(tale, of="c4")
    assert Law.FALSE_PLACE in laws(tale)
