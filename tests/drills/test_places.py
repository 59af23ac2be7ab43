"""Who was cut off as they waited and came again: their old places, by number and by service."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from drills.demo.history import TicketSeen
from drills.places import places
from drills.seen import Redialled, Seen
from state.model import AgentId, CallId, QueueId, TicketState
from tests.drills.good_run import closed_at, seen, ticket_at


def redialled(joined_ms: int | None = None) -> Redialled:
    return Redialled(
        lost_sip_call_id="sip-old", sip_call_id="sip-new", call=CallId("new"), joined_ms=joined_ms
    )


def test_who_dials_again_has_the_place_back_that_the_lost_ticket_had() -> None:
    lost = (ticket_at(0, "old", 70), ticket_at(20, "new", 90), closed_at(30, "old"))
    whole = replace(seen(), redialled=(redialled(),))

    def share(*tickets: TicketSeen, by: Seen = whole) -> float | None:
        return places(replace(by, tickets=tickets))["places_regained"]

    assert share(*lost) == 0.0
    assert share(*lost, ticket_at(40, "new", 90, place=70)) == 1.0
    assert share(*lost, ticket_at(40, "new", 90, place=71)) == 0.0
    # Served before the lost place was free.
    served = replace(whole, redialled=(redialled(joined_ms=25),))
    assert share(*lost, by=served) == 1.0
    # Given an agent before that, and heard them after; not if that agent did not take the call.
    rung = ticket_at(25, "new", 90, agent=AgentId("ann"))
    heard = replace(whole, redialled=(redialled(joined_ms=35),))
    assert share(*lost[:2], rung, lost[2], by=heard) == 1.0
    again = (ticket_at(32, "new", 90), ticket_at(33, "new", 90, agent=AgentId("ben")))
    assert share(*lost[:2], rung, lost[2], *again, by=heard) == 0.0
    assert share(*lost, ticket_at(33, "new", 90, agent=AgentId("ben")), by=heard) == 0.0
    # Who had no ticket had no place.
    assert share(ticket_at(20, "new", 90)) is None


def test_who_was_cut_off_in_talk_is_not_among_those_who_waited_and_dialled_again() -> None:
    caller = replace(redialled(), had_talked=True)
    lost = (ticket_at(0, "old", 70), ticket_at(20, "new", 90), closed_at(30, "old"))
    found = places(replace(seen(), redialled=(caller,), tickets=lost))
    assert (found["redialled"], found["places_regained"]) == (0, None)
    assert found["redial_answered"] == 0


# ---- by the order of service ---------------------------------------------------------------------


OLD_PLACE = 70


def waits(call: str, at_ms: int, place: int, **what: object) -> TicketSeen:
    return ticket_at(at_ms, call, place, **what)


def gets(call: str, at_ms: int, place: int, **what: object) -> TicketSeen:
    told = {"agent": AgentId("ann"), "state": TicketState.OFFERED} | what
    return ticket_at(at_ms, call, place, **told)


def ranks(*tickets: TicketSeen, by: tuple[Redialled, ...] = (redialled(),)) -> float | None:
    """Return it of who waited at 70, was cut off, and stands in the line again at 4000."""
    came = (waits("old", 0, OLD_PLACE), waits("new", 4000, 95))
    whole = replace(seen(), redialled=by, tickets=(*came, *tickets))
    return places(whole)["ranks_lost"]


def test_who_is_served_before_all_who_stood_behind_their_old_place_has_lost_no_rank() -> None:
    behind = waits("x", 100, 80), waits("y", 200, 85)
    served = gets("new", 9000, 95), gets("x", 9900, 80), gets("y", 9950, 85)
    assert ranks(*behind, *served) == 0
    assert ranks(gets("new", 9000, 95)) == 0
    assert ranks() == 0, "nobody was served"
    assert ranks(by=()) is None


def test_each_who_stood_behind_and_was_served_before_them_is_a_rank_lost() -> None:
    behind = waits("x", 100, 80), waits("y", 200, 85), waits("z", 300, 90)
    one = gets("x", 6000, 80), gets("new", 7000, 95), gets("y", 8000, 85), gets("z", 8000, 90)
    assert ranks(*behind, *one) == 1
    two = gets("x", 6000, 80), gets("y", 6500, 85), gets("new", 9000, 95), gets("z", 9900, 90)
    assert ranks(*behind, *two) == 2
    assert ranks(*behind, *two[:2]) == 2, "and they never were"


def test_the_number_in_a_ticket_that_nobody_goes_by_is_no_place() -> None:
    behind = waits("x", 100, 80), waits("y", 200, 85)
    back = ticket_at(4100, "new", 95, place=OLD_PLACE)
    late = gets("x", 6000, 80), gets("y", 7000, 85), gets("new", 9000, 95)
    whole = replace(
        seen(),
        redialled=(redialled(),),
        tickets=(waits("old", 0, OLD_PLACE), waits("new", 4000, 95), *behind, back, *late),
    )
    found = places(whole)
    assert (found["places_regained"], found["ranks_lost"]) == (1.0, 2)


@pytest.mark.parametrize(
    ("other", "at_ms"),
    [
        ({}, 3000),
        ({}, 4300),
        ({}, 8800),
        ({"queue": QueueId("another")}, 6000),
        ({"priority": 3}, 6000),
        ({"prefers": AgentId("ann")}, 6000),
    ],
    ids=["not there yet", "just come", "together", "another queue", "before them", "for one agent"],
)
def test_who_is_served_by_right_before_them_costs_no_rank(
    other: dict[str, object], at_ms: int
) -> None:
    served = waits("x", 100, 80, **other), gets("x", at_ms, 80, **other)
    assert ranks(*served, gets("new", 9000, 95)) == 0


def test_who_stood_before_them_may_be_served_before_them() -> None:
    assert ranks(waits("x", 100, 60), gets("x", 6000, 60), gets("new", 9000, 95)) == 0


def test_two_who_came_again_are_judged_by_both_old_places() -> None:
    second = replace(redialled(), lost_sip_call_id="sip-old2", call=CallId("new2"))
    second = replace(second, sip_call_id="sip-new2")
    both = waits("old2", 50, 75), waits("new2", 4100, 92)
    served = gets("new2", 6000, 92), gets("new", 9000, 95)
    assert ranks(*both, *served, by=(redialled(), second)) == 1
    turned = gets("new", 6000, 95), gets("new2", 9000, 92)
    assert ranks(*both, *turned, by=(redialled(), second)) == 0


def test_who_had_talked_has_no_place_in_the_line() -> None:
    assert ranks(by=(replace(redialled(), had_talked=True),)) is None


# ---- who they are --------------------------------------------------------------------------------


def test_those_are_told_apart_whom_their_carrier_sent_in_again() -> None:
    whole = replace(seen(), tickets=(waits("old", 0, OLD_PLACE),))
    by_carrier = replace(redialled(joined_ms=9000), by_carrier=True)
    found = places(replace(whole, redialled=(redialled(), by_carrier)))
    assert (found["redialled"], found["sent_again"], found["redial_answered"]) == (2, 1, 1)


def test_all_who_came_again_are_to_be_answered_also_who_had_talked() -> None:
    def share(*who: Redialled) -> float | None:
        return places(replace(seen(), redialled=who))["redial_answered_share"]

    talked = replace(redialled(), had_talked=True)
    assert share(redialled(joined_ms=9000), talked) == 0.5
    assert share(redialled(joined_ms=9000)) == 1.0
    assert share() is None
