from __future__ import annotations

from msgspec.structs import replace

from edge.acd.present import Callers, talked_s, waited_s
from state.model import AgentId, Talk, Ticket, TicketState
from tests.acd.worlds import NOW, WALL_MS, at, ticket


def passed_on(state: TicketState) -> Ticket:
    """Return who came at NOW, waited 5 s, talked 120 s, and is to have somebody else since."""
    talk = Talk(agent=AgentId("ann"), since_ms=WALL_MS + 5_000, until_ms=WALL_MS + 125_000)
    return replace(ticket(1, state=state), connected_ms=WALL_MS + 5_000, talks=(talk,))


def test_the_longest_wait_of_a_queue_counts_no_talk_that_came_before_it() -> None:
    usual = replace(ticket(2), arrived_ms=WALL_MS + 100_000)
    found = Callers.of([passed_on(TicketState.QUEUED), usual], at(135))
    assert (found.waiting, found.longest_s) == (2, 35.0)
    later = Callers.of([passed_on(TicketState.QUEUED)], at(135))
    assert later.longest_s == 15.0, "5 s before the talk, and 10 s since"


def test_the_greeting_counts_and_who_is_rung_for_waits_no_more() -> None:
    greeted, rung = ticket(1, state=TicketState.GREETING), ticket(2, state=TicketState.OFFERED)
    found = Callers.of([greeted, rung], at(4))
    assert (found.waiting, found.longest_s, found.ringing) == (1, 4.0, 1)
    assert Callers.of([rung], at(4)).longest_s is None


def test_who_waits_for_another_agent_after_a_talk_waits_up_to_now() -> None:
    assert waited_s(ticket(1), at(3)) == 3.0
    assert waited_s(passed_on(TicketState.QUEUED), at(135)) == 15.0
    assert waited_s(passed_on(TicketState.CONNECTED), at(135)) == 5.0


def test_music_between_two_talks_is_no_talk() -> None:
    waits = passed_on(TicketState.QUEUED)
    assert talked_s(waits, at(135).wall_ms) == 120.0
    passed = replace(waits, state=TicketState.CONNECTED)
    assert talked_s(passed, at(135).wall_ms) == 120.0, "is passed on"
    again = replace(waits, state=TicketState.CONNECTED, talking_ms=WALL_MS + 135_000)
    assert talked_s(again, at(145).wall_ms) == 130.0


def test_the_only_talk_goes_on_since_the_two_were_connected() -> None:
    assert talked_s(ticket(1), at(3).wall_ms) is None
    one = replace(ticket(1, state=TicketState.CONNECTED), connected_ms=WALL_MS + 5_000)
    assert talked_s(one, at(12).wall_ms) == 7.0


def test_a_clock_that_went_back_makes_nobody_wait_less_than_nothing() -> None:
    assert waited_s(ticket(1), replace(NOW, wall_ms=WALL_MS - 5_000)) == 0.0
