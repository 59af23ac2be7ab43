"""Callers who were cut off and do not dial again: what is counted of their being called back."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from drills.calling_back import calling_back
from drills.demo import phones
from drills.demo.history import TicketSeen
from drills.demo.reports import End
from drills.demo.scenario import PlannedCall
from drills.demo.waiting import Free, Wait, Waiting
from drills.drill.called import called, hear, is_anybody_left, reports
from drills.same_agent import same_agent
from drills.seen import CalledBack, CallingBack, Seen
from state.model import (
    AgentId,
    CallBack,
    CallId,
    CallRecord,
    DidNumber,
    EdgeId,
    Outcome,
    Place,
    QueueId,
    SiteId,
    TicketState,
    TrunkId,
)
from tests.demo import invented
from tests.demo.invented import AGENTS, ANSWERED, CALLERS, KILL_MS, RECORDS
from tests.drills.good_run import seen, ticket_at

FIRST, SECOND, TALKED = ANSWERED[2:5]
QUEUE = QueueId("orders")


def cut_off(*, with_third: bool = True) -> Seen:
    """Let two callers have been cut off as they waited, and a third as they talked."""
    callers, records, agents = CALLERS, RECORDS, AGENTS
    for call in (FIRST, SECOND, *((TALKED,) if with_third else ())):
        has_talked = call is TALKED
        joined_ms = callers[call.index].joined_ms if has_talked else None
        callers = invented.swap(callers, call.index, end=End.UNHEARD, joined_ms=joined_ms)
        lost: dict[str, object] = {"outcome": Outcome.LOST, "cause": "edge_died"}
        if not has_talked:
            lost |= {"connected_ms": None, "agent": None}
            agents = tuple(each for each in agents if each.call != invented.call_id(call.index))
        records = invented.swap(records, call.index, **lost)
    return seen(callers=callers, agents=agents, records=records)


def came(call: PlannedCall, at_ms: int, *, joined: bool = True) -> CalledBack:
    return CalledBack(
        number=call.number,
        sip_call_id=f"{call.index}-{at_ms}@everline",
        came_ms=at_ms,
        answered_ms=at_ms + 500,
        joined_ms=at_ms + 900 if joined else None,
        ended_ms=at_ms + 5000,
    )


def ticket(call: PlannedCall, at_ms: int, place: int, **what: object) -> TicketSeen:
    name = CallId(f"back-{call.index}")
    of_callback: dict[str, object] = {
        "queue": QUEUE,
        "caller": call.number,
        "sip_call_id": f"{name}@everline",
        "place": place,
        "callback_of": invented.call_id(call.index),
    }
    return ticket_at(at_ms, name, 900, **(of_callback | what))


def over(call: PlannedCall, at_ms: int) -> TicketSeen:
    name = CallId(f"back-{call.index}")
    return TicketSeen(at_ms=at_ms, call=name, create_revision=0, ticket=None)


def given(call: PlannedCall, at_ms: int, place: int, agent: str = "ann") -> TicketSeen:
    return ticket(call, at_ms, place, agent=AgentId(agent), state=TicketState.OFFERED)


def found(
    whole: Seen, *calls: CalledBack, tickets: tuple[TicketSeen, ...] = ()
) -> dict[str, float | None]:
    back = CallingBack(calls=calls)
    whole = replace(whole, calling_back=back, tickets=tickets)
    return calling_back(whole) | same_agent(whole)


def test_a_drill_that_calls_nobody_back_tells_nothing_of_it() -> None:
    assert calling_back(cut_off()) | same_agent(cut_off()) == {}


def test_those_who_were_cut_off_waiting_and_got_an_agent_are_counted() -> None:
    whole = cut_off()
    none = found(whole)
    assert (none["called_back"], none["called_back_share"]) == (0, 0.0)
    one = found(whole, came(FIRST, 0), came(SECOND, 0, joined=False), came(TALKED, 0))
    assert (one["called_back"], one["called_back_share"]) == (1, 0.5)
    assert one["talks_called_back"] == 1
    both = found(whole, came(FIRST, 0), came(SECOND, 0))
    assert (both["called_back"], both["called_back_share"], both["talks_called_back"]) == (2, 1, 0)
    assert found(seen())["called_back_share"] is None, "nobody was cut off"


def test_who_had_hung_up_as_far_as_one_knows_is_not_missed() -> None:
    whole = cut_off(with_third=False)
    rows = tuple(
        replace(row, records=(replace(row.records[0], cause="goodbye_unheard"),))
        if row.planned is FIRST
        else row
        for row in whole.ledger.rows
    )
    whole = replace(whole, ledger=replace(whole.ledger, rows=rows))
    assert found(whole, came(SECOND, 0))["called_back_share"] == 1.0


def record_of_call_back(call: PlannedCall, name: str, outcome: Outcome) -> CallRecord:
    return replace(
        RECORDS[call.index],
        call=CallId(name),
        outcome=outcome,
        callback_of=invented.call_id(call.index),
    )


def test_nobody_is_called_twice_at_once_nor_again_when_they_have_been_served() -> None:
    whole = cut_off()

    def twice(*calls: CalledBack) -> float | None:
        return found(whole, *calls)["called_back_twice"]

    assert twice(came(FIRST, 0), came(SECOND, 0)) == 0
    # Not reached, and tried again when that was over.
    assert twice(came(FIRST, 0, joined=False), came(FIRST, 6000)) == 0
    assert twice(came(FIRST, 0, joined=False), came(FIRST, 4000)) == 1
    assert twice(came(FIRST, 0), came(FIRST, 6000)) == 1
    assert twice(came(FIRST, 6000), came(FIRST, 0)) == 1, "in whatever order they are told"
    endless = replace(came(FIRST, 0, joined=False), ended_ms=None)
    assert twice(endless, came(FIRST, 60_000)) == 1


def test_two_records_of_one_lost_call_that_was_answered_are_one_too_many() -> None:
    whole = cut_off()

    def twice(*outcomes: Outcome) -> float | None:
        records = tuple(
            record_of_call_back(FIRST, str(number), outcome)
            for number, outcome in enumerate(outcomes)
        )
        back = CallingBack(records=records)
        return calling_back(replace(whole, calling_back=back))["called_back_twice"]

    assert twice(Outcome.CALLBACK, Outcome.ANSWERED) == 0
    assert twice(Outcome.ANSWERED, Outcome.ANSWERED) == 1


def order(*tickets: TicketSeen) -> float | None:
    return found(cut_off(), tickets=tickets)["called_back_in_order"]


def test_who_has_the_better_place_is_given_an_agent_first() -> None:
    waiting = ticket(FIRST, 0, 10), ticket(SECOND, 100, 20)
    assert order(*waiting, given(FIRST, 5000, 10), given(SECOND, 9000, 20)) == 1.0
    assert order(*waiting, given(SECOND, 5000, 20), given(FIRST, 9000, 10)) == 0.0
    assert order(*waiting, given(SECOND, 5000, 20)) == 0.0, "and the first never"
    third = ticket(TALKED, 200, 30)
    turns = given(FIRST, 5000, 10), given(TALKED, 6000, 30), given(SECOND, 9000, 20)
    assert order(*waiting, third, *turns) == pytest.approx(2 / 3)


def test_agents_who_are_free_together_are_given_in_any_order() -> None:
    waiting = ticket(FIRST, 0, 10), ticket(SECOND, 100, 20)
    assert order(*waiting, given(SECOND, 5000, 20), given(FIRST, 5400, 10)) == 1.0
    assert order(*waiting, given(SECOND, 5000, 20), given(FIRST, 5600, 10)) == 0.0


def test_only_those_who_waited_together_for_the_same_agents_are_compared() -> None:
    late = ticket(FIRST, 7000, 10)
    early = ticket(SECOND, 0, 20), given(SECOND, 5000, 20)
    assert order(*early, late, given(FIRST, 9000, 10)) is None
    just_come = ticket(FIRST, 4800, 10)
    assert order(*early, just_come, given(FIRST, 9000, 10)) is None
    assert order(*early, just_come, given(FIRST, 5200, 10)) == 1.0
    elsewhere = ticket(FIRST, 0, 10, queue=QueueId("billing"))
    assert order(elsewhere, *early) is None
    # Who is to have one agent waits for that one.
    assert order(ticket(FIRST, 0, 10, prefers=AgentId("ann")), *early) is None
    # Who was served, or called by themselves, before the other came is no pair.
    assert order(ticket(FIRST, 0, 10), over(FIRST, 1000), *early) is None
    served = ticket(FIRST, 0, 10), given(FIRST, 1000, 10)
    assert order(*served, ticket(SECOND, 2000, 20), given(SECOND, 5000, 20)) is None


def same(agent: str, *free: Free) -> float | None:
    whole = replace(cut_off(), waiting=Waiting(free=free))
    tickets = ticket(TALKED, KILL_MS, 10), given(TALKED, KILL_MS + 9000, 10, agent)
    return found(whole, tickets=tickets)["same_agent_share"]


def free(agent: AgentId, from_ms: int, to_ms: float) -> Free:
    return Free(agent=agent, site=SiteId("a"), from_ms=KILL_MS + from_ms, to_ms=KILL_MS + to_ms)


def test_who_was_cut_off_in_talk_gets_the_same_agent_first_if_that_one_can_be_had() -> None:
    theirs = invented.agent_for(TALKED).id
    assert same(theirs) == 1.0
    assert same("another", free(theirs, 2000, math.inf)) == 0.0
    # Gone, or free for a moment only, or before they waited.
    assert same("another") is None
    assert same("another", free(theirs, 8900, math.inf)) is None
    assert same("another", free(theirs, -9000, -10)) is None


@pytest.mark.parametrize(("place", "share"), [(9, None), (11, 0.0)], ids=["before", "behind"])
def test_the_same_agent_may_be_given_to_who_stands_before_them_and_to_nobody_behind(
    place: int, share: float | None
) -> None:
    theirs, other = invented.agent_for(TALKED).id, CallId("x")
    whole = cut_off()
    offer = replace(whole.offers[0], agent=theirs, call=other, at_ms=KILL_MS + 4000)
    wait = Wait(
        call=other,
        queue=QUEUE,
        holder=EdgeId("a1"),
        order=(0, place),
        from_ms=KILL_MS,
        to_ms=KILL_MS + 4000,
    )
    whole = replace(whole, offers=(offer,), waiting=Waiting(waits=(wait,)))
    tickets = ticket(TALKED, KILL_MS, 10), given(TALKED, KILL_MS + 9000, 10, "another")
    assert found(whole, tickets=tickets)["same_agent_share"] == share


def test_only_the_first_agent_counts() -> None:
    theirs = invented.agent_for(TALKED).id
    whole = replace(cut_off(), waiting=Waiting(free=(free(theirs, 0, math.inf),)))
    tickets = (
        ticket(TALKED, KILL_MS, 10),
        given(TALKED, KILL_MS + 3000, 10, "another"),
        ticket(TALKED, KILL_MS + 6000, 10),
        given(TALKED, KILL_MS + 9000, 10, theirs),
    )
    assert found(whole, tickets=tickets)["same_agent_share"] == 0.0


# ---- what telephones and the shared state tell ---------------------------------------------------


def line(text: str) -> list[phones.Line]:
    lines: list[phones.Line] = []
    hear(lines, text.encode())
    return lines


def test_what_came_to_a_telephone_is_told_with_its_end_and_without() -> None:
    began = '{"event":"invite","wall_ms":5,"phone":"1","role":"agent","sip_call_id":"x"}'
    ended = (
        '{"event":"call","wall_ms":99,"phone":"1","role":"agent","sip_call_id":"x","invite_ms":5,'
        '"answered_ms":10,"joined_ms":20,"ended_ms":90,"how":"far_end"}'
    )
    (open_,) = called(line(began))
    assert (open_.number, open_.came_ms, open_.answered_ms, open_.ended_ms) == ("1", 5, None, None)
    (whole,) = called([*line(began), *line(ended)])
    assert (whole.came_ms, whole.answered_ms, whole.joined_ms, whole.ended_ms) == (5, 10, 20, 90)
    assert called([*line('{"event":"ready"}'), *line("no JSON")]) == ()


def test_who_lifts_is_the_caller_of_that_call_in_the_books() -> None:
    told = (
        '{"event":"call","wall_ms":99,"phone":"1","role":"agent","sip_call_id":"x@everline",'
        '"invite_ms":5,"answered_ms":10,"joined_ms":20,"ended_ms":90,"how":"far_end",'
        '"sent_chord":"c","heard":{"a":9}}'
    )
    (report,) = reports(line(told))
    assert (report.number, report.call, report.end) == ("1", "x", End.FAR_END)
    assert (report.ok_ms, report.sent, report.heard) == (10, "c", frozenset({"a"}))


def test_it_is_over_when_nobody_is_to_be_called_or_is_being_called() -> None:
    rules = CallBack(trunk=TrunkId("carrier"))
    place = Place(
        call=CallId("x"), did=DidNumber("1"), caller="1", place=3, call_back=rules, due_s=6.0
    )
    stands = ticket(FIRST, 0, 10).ticket
    assert stands is not None
    assert is_anybody_left([place], [])
    assert not is_anybody_left([replace(place, due_s=None)], [])
    assert is_anybody_left([], [stands])
    assert not is_anybody_left([], [replace(stands, callback_of=None)])
