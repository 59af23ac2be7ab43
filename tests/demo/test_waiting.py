"""Who waited and who was free, by a history that is seen late."""

from __future__ import annotations

import math

from drills.demo.history import Seen
from drills.demo.waiting import Free, OutOfReach, Wait, waiting
from state import keys
from state.codec import Record, encode
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    EdgeId,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Probe,
    QueueId,
    SiteId,
    Ticket,
    TicketState,
    Work,
)
from state.raw import Change

A, B = SiteId("a"), SiteId("b")
A1 = EdgeId("a1")
ANN = AgentId("ann")
CALL = CallId("1" * 24)
READY, PAUSED, OUT = PresenceState.READY, PresenceState.PAUSED, PresenceState.SIGNED_OUT


def written(at_ms: int, key: str, value: Record | None, revision: int | None = None) -> Seen:
    change = Change(
        key=key,
        value=None if value is None else encode(value),
        create_revision=0 if value is None else 7,
        mod_revision=at_ms if revision is None else revision,
    )
    return Seen(at_ms=at_ms, change=change)


def ticket(at_ms: int, state: TicketState, queued_ms: int | None = None, priority: int = 0) -> Seen:
    value = Ticket(
        call=CALL,
        did=DidNumber("1"),
        queue=QueueId("q"),
        needs=(),
        priority=priority,
        state=state,
        holder=A1,
        site=A,
        via=A,
        caller="",
        sip_call_id="1",
        arrived_ms=0,
        queued_ms=queued_ms,
    )
    return written(at_ms, keys.ticket(CALL), value)


def wait(from_ms: float, to_ms: float, priority: int = 0) -> Wait:
    return Wait(
        call=CALL,
        queue=QueueId("q"),
        holder=A1,
        order=(-priority, 7),
        from_ms=from_ms,
        to_ms=to_ms,
    )


def test_a_caller_waits_from_when_their_edge_let_them_until_an_agent_is_given() -> None:
    """However late either was written."""
    history = (
        ticket(100, TicketState.GREETING),
        ticket(5000, TicketState.QUEUED, queued_ms=2000),
        ticket(5200, TicketState.OFFERED, queued_ms=2000),
    )
    assert waiting(history).waits == (wait(2000, 5000), wait(5000, 5200))


def test_a_caller_who_is_seen_first_with_an_agent_had_waited_before() -> None:
    history = (ticket(5200, TicketState.OFFERED, queued_ms=2000),)
    assert waiting(history).waits == (wait(2000, 5200),)


def test_who_is_put_back_waits_from_then_on_and_until_the_end_if_nobody_comes() -> None:
    history = (
        ticket(2000, TicketState.OFFERED, queued_ms=2000),
        ticket(4000, TicketState.QUEUED, queued_ms=2000),
        ticket(6000, TicketState.QUEUED, queued_ms=2000, priority=3),
    )
    assert waiting(history).waits == (wait(4000, 6000), wait(6000, math.inf, priority=3))


def test_a_ticket_that_is_gone_ends_the_wait() -> None:
    history = (
        ticket(2000, TicketState.QUEUED, queued_ms=2000),
        written(3000, keys.ticket(CALL), None),
    )
    assert waiting(history).waits == (wait(2000, 3000),)


def presence(at_ms: int, state: PresenceState, site: SiteId = A) -> Seen:
    return written(
        at_ms, keys.presence(ANN), Presence(agent=ANN, site=site, state=state, since_ms=at_ms)
    )


def offer(at_ms: int) -> Seen:
    value = Offer(agent=ANN, call=CALL, edge=A1, state=OfferState.RINGING, since_ms=at_ms)
    return written(at_ms, keys.offer(ANN), value)


def work(at_ms: int, ended_ms: int, rest_s: float, revision: int) -> Seen:
    value = Work(agent=ANN, ended_ms=ended_ms, rest_s=rest_s)
    return written(at_ms, keys.work(ANN), value, revision)


def given_back(at_ms: int, revision: int) -> Seen:
    return written(at_ms, keys.offer(ANN), None, revision)


def free(from_ms: float, to_ms: float, site: SiteId = A) -> Free:
    return Free(agent=ANN, site=site, from_ms=from_ms, to_ms=to_ms)


def test_an_agent_is_free_until_given_and_again_once_rested() -> None:
    """Of one write the two changes come in any order; the rest counts from the talk's end."""
    begun = (presence(0, READY), offer(1000))
    end = (given_back(9000, 50), work(9000, 6000, 1.5, 50))
    for ending in (end, end[::-1]):
        assert waiting((*begun, *ending)).free == (free(0, 1000), free(7500, math.inf))


def test_an_agent_who_still_rests_when_that_is_written_is_not_free() -> None:
    history = (
        presence(0, READY),
        offer(1000),
        given_back(6100, 50),
        work(6100, 6000, 4.0, 50),
        offer(9000),
        given_back(9500, 60),
    )
    assert waiting(history).free == (free(0, 1000), free(9500, math.inf)), "no work, no rest"


def test_who_pauses_or_moves_is_free_where_they_are_and_not_before_they_say_so() -> None:
    history = (
        presence(0, READY),
        presence(100, PAUSED),
        presence(300, READY),
        presence(400, READY, B),
        presence(900, OUT),
    )
    assert waiting(history).free == (free(0, 100), free(300, 400), free(400, 900, B))


def test_what_an_edge_cannot_reach_lasts_until_it_says_otherwise() -> None:
    history = (
        written(100, keys.probe(A1), Probe(edge=A1, up=(A,), down=(B,))),
        written(400, keys.probe(A1), Probe(edge=A1, up=(A, B), down=())),
    )
    away = OutOfReach(edge=A1, sites=frozenset({B}), from_ms=100, to_ms=400)
    assert waiting(history).out_of_reach == (away,)
