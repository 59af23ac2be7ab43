"""Callers who were cut off in talk and come again: whether they get the same agent first."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from drills.demo.history import TicketSeen
from drills.demo.waiting import Free, Wait, Waiting
from drills.same_agent import same_agent
from drills.seen import Redialled, Seen
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    Outcome,
    QueueId,
    SiteId,
    TicketState,
)
from tests.demo import invented
from tests.demo.invented import DEAD, KILL_MS
from tests.drills.good_run import ticket_at
from tests.drills.test_calling_back import FIRST, TALKED, cut_off

THEIRS, OTHER = invented.agent_for(TALKED).id, AgentId("another")
LIVING = next(site for site in invented.SCENARIO.sites if site != DEAD)
OLD_PLACE, NEW_PLACE, BETWEEN = 50, 90, 70
COMES_MS = KILL_MS + 5000
"""When who dials again stands in the line."""


def ticket(call: str, at_ms: int, revision: int, **what: object) -> TicketSeen:
    theirs: dict[str, object] = {
        "did": TALKED.did,
        "queue": QueueId("orders"),
        "caller": TALKED.number,
    }
    return ticket_at(at_ms, call, revision, **(theirs | what))


def lost(**what: object) -> TicketSeen:
    """Return the call in which they talked, as it stood when its site died."""
    told: dict[str, object] = {"state": TicketState.CONNECTED, "agent": THEIRS} | what
    return ticket(invented.call_id(TALKED.index), KILL_MS - 3000, OLD_PLACE, **told)


def again(at_ms: int = COMES_MS, **what: object) -> TicketSeen:
    return ticket("again", at_ms, NEW_PLACE, **what)


def given(at_ms: int, agent: AgentId) -> TicketSeen:
    return again(at_ms, agent=agent, state=TicketState.OFFERED)


def free(agent: AgentId, from_ms: float, to_ms: float = math.inf, site: SiteId = LIVING) -> Free:
    return Free(agent=agent, site=site, from_ms=COMES_MS + from_ms, to_ms=COMES_MS + to_ms)


def share(*tickets: TicketSeen, when: Waiting | None = None, whole: Seen | None = None) -> object:
    whole = replace(whole or cut_off(), tickets=tickets, waiting=when or Waiting())
    return same_agent(whole).get("same_agent_share", "nobody came again")


def served_by(agent: AgentId, *stretches: Free, after_ms: int = 9000) -> object:
    tickets = (lost(), again(), given(COMES_MS + after_ms, agent))
    return share(*tickets, when=Waiting(free=stretches))


def test_who_dials_again_and_is_given_the_same_agent_first_counts_for_it() -> None:
    assert served_by(THEIRS) == 1.0
    assert served_by(OTHER, free(THEIRS, 2000)) == 0.0


def test_it_is_told_where_somebody_came_again_and_nowhere_else() -> None:
    assert share(lost()) == "nobody came again"
    assert share(lost(), again()) is None, "nobody was given to them"
    elsewhere = DidNumber("+4900")
    assert share(lost(), again(did=elsewhere)) == "nobody came again"
    assert share(lost(), again(caller=FIRST.number)) == "nobody came again"
    # Who was waiting when it broke, or was called back, or rang up before, is another story.
    back = again(callback_of=invented.call_id(TALKED.index))
    assert share(lost(), back) == "nobody came again"
    before = ticket("before", KILL_MS - 9000, OLD_PLACE - 1)
    assert share(before, lost()) == "nobody came again"


def test_an_agent_who_could_not_be_had_in_the_time_is_nobodys_fault() -> None:
    assert served_by(OTHER) is None
    assert served_by(OTHER, free(THEIRS, -5000, -100)) is None, "before they came"
    assert served_by(OTHER, free(THEIRS, 20_500)) is None, "when that time was over"
    assert served_by(OTHER, free(THEIRS, 4000, 4300)) is None, "for a moment"


def test_an_agent_who_becomes_free_in_the_time_was_to_be_waited_for() -> None:
    assert served_by(OTHER, free(THEIRS, 8000), after_ms=1000) == 0.0
    assert served_by(OTHER, free(THEIRS, 19_000), after_ms=1000) == 0.0


def test_an_agent_at_the_dead_site_cannot_be_had_and_one_who_went_elsewhere_can() -> None:
    assert served_by(OTHER, free(THEIRS, 2000, site=DEAD)) is None
    assert served_by(OTHER, free(THEIRS, 2000, site=LIVING)) == 0.0


@pytest.mark.parametrize(
    ("place", "expected"), [(OLD_PLACE - 1, None), (BETWEEN, 0.0), (NEW_PLACE + 1, 0.0)]
)
def test_the_same_agent_may_be_given_to_who_stood_before_the_place_that_they_lost(
    place: int, expected: float | None
) -> None:
    other = CallId("x")
    whole = cut_off()
    offer = replace(whole.offers[0], agent=THEIRS, call=other, at_ms=COMES_MS + 4000)
    wait = Wait(
        call=other,
        queue=QueueId("orders"),
        holder=EdgeId("a1"),
        order=(0, place),
        from_ms=KILL_MS,
        to_ms=COMES_MS + 4000,
    )
    tickets = (lost(), again(), given(COMES_MS + 9000, OTHER))
    whole = replace(whole, offers=(offer,))
    assert share(*tickets, when=Waiting(waits=(wait,)), whole=whole) == expected


def test_the_place_that_a_call_had_regained_before_it_was_lost_is_its_place() -> None:
    other = CallId("x")
    whole = cut_off()
    offer = replace(whole.offers[0], agent=THEIRS, call=other, at_ms=COMES_MS + 4000)
    wait = Wait(
        call=other,
        queue=QueueId("orders"),
        holder=EdgeId("a1"),
        order=(0, 30),
        from_ms=KILL_MS,
        to_ms=COMES_MS + 4000,
    )
    tickets = (lost(place=20), again(), given(COMES_MS + 9000, OTHER))
    whole = replace(whole, offers=(offer,))
    assert share(*tickets, when=Waiting(waits=(wait,)), whole=whole) == 0.0


def test_they_wait_from_the_end_of_the_greeting_on() -> None:
    greeted = again(COMES_MS - 3000, state=TicketState.GREETING)
    tickets = (lost(), greeted, again(), given(COMES_MS + 9000, OTHER))
    during = Waiting(free=(free(THEIRS, -2500, 0),))
    assert share(*tickets, when=during) is None


def test_only_the_first_agent_and_only_the_first_call_again_count() -> None:
    when = Waiting(free=(free(THEIRS, 0),))
    first = (lost(), again(), given(COMES_MS + 3000, OTHER))
    second = (again(COMES_MS + 6000), given(COMES_MS + 9000, THEIRS))
    assert share(*first, *second, when=when) == 0.0
    third = ticket("third", COMES_MS + 9000, 95, agent=THEIRS, state=TicketState.OFFERED)
    assert share(*first, third, when=when) == 0.0


@pytest.mark.parametrize("what", ["answered", "a goodbye", "rung"])
def test_who_was_not_cut_off_in_talk_has_no_agent_to_wait_for(what: str) -> None:
    whole = cut_off()
    stories: dict[str, dict[str, object]] = {
        "answered": {"outcome": Outcome.ANSWERED, "cause": "caller_hung_up"},
        "a goodbye": {"cause": "both_silent"},
        "rung": {"connected_ms": None},
    }
    rows = tuple(
        replace(row, records=(replace(row.records[0], **stories[what]),))
        if row.planned is TALKED
        else row
        for row in whole.ledger.rows
    )
    whole = replace(whole, ledger=replace(whole.ledger, rows=rows))
    tickets = (lost(), again(), given(COMES_MS + 9000, THEIRS))
    assert share(*tickets, whole=whole) == "nobody came again"


def test_how_many_who_had_talked_dialled_again_and_heard_an_agent_is_by_their_own_word() -> None:
    def who(joined_ms: int | None, *, had_talked: bool = True) -> Redialled:
        return Redialled(
            lost_sip_call_id=invented.sip_call_id(TALKED.index),
            sip_call_id="again@callers",
            call=CallId("again"),
            joined_ms=joined_ms,
            had_talked=had_talked,
        )

    def told(*redialled: Redialled) -> object:
        whole = replace(cut_off(), redialled=redialled, tickets=(lost(), again()))
        return same_agent(whole)["talks_redialled"]

    assert told(who(COMES_MS + 9400)) == 1
    assert told(who(None), who(COMES_MS, had_talked=False)) == 0
