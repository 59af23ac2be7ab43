"""A caller who finds an agent free gets place and agent by one transaction; all others as ever."""

from __future__ import annotations

import asyncio

import pytest

from edge.media.errors import MediaUnavailable
from state import keys
from state.keys import Kind
from state.model import (
    AgentId,
    CallId,
    Offer,
    OfferState,
    Outcome,
    PresenceState,
    TicketState,
)
from state.store import Delete
from tests.edge.one_edge import GREETED, SALES
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until


async def _revisions_of_tickets_and_offers(made: Center) -> tuple[int, int]:
    """Return at which revisions the only ticket and the only offer were created."""
    (ticket,) = (await made.store.range(f"{keys.ROOT}{Kind.TICKET.value}/", prefix=True)).records
    (offer,) = (await made.store.range(f"{keys.ROOT}{Kind.OFFER.value}/", prefix=True)).records
    return ticket.create_revision, offer.create_revision


@in_virtual_time
async def test_place_and_agent_are_written_at_one_revision() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await a1.waiting()
        await a1.rung("ann")
        placed, given = await _revisions_of_tickets_and_offers(made)
        assert placed == given
        (ticket,) = await made.tickets()
        assert (ticket.state, ticket.agent) == (TicketState.OFFERED, "ann")
        assert (a1.reserver.landed, a1.reserver.refused) == (1, 0)
        await everybody_leaves(made)


@in_virtual_time
async def test_an_agent_who_was_just_given_away_costs_no_place_and_no_transaction() -> None:
    """The edge has not seen it: the same transaction writes the place alone."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.store.watch_latency_s = 0.05
        other = CallId("f" * 24)
        offer = Offer(
            agent=AgentId("ann"), call=other, edge=a1.name, state=OfferState.TALKING, since_ms=1
        )
        await made.put(keys.offer(AgentId("ann")), offer)
        before = a1.store.txns
        await a1.waiting()
        await until(lambda: a1.reserver.refused == 1, "refused")
        assert a1.store.txns - before == 1
        (ticket,) = await made.tickets()
        assert (ticket.state, ticket.agent) == (TicketState.QUEUED, None)
        assert not a1.sip.rung("ann")
        await made.agent("bob")
        await a1.rung("bob")
        await made.store.txn((), (Delete(key=keys.offer(AgentId("ann"))),))
        await everybody_leaves(made)


@in_virtual_time
async def test_who_has_just_paused_is_not_rung() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.store.watch_latency_s = 0.05
        await made.presence("ann", PresenceState.PAUSED)
        await a1.waiting()
        await until(lambda: a1.reserver.refused == 1, "refused")
        await asyncio.sleep(1)
        assert not a1.sip.rung("ann")
        assert not await made.offers()
        await made.presence("ann", PresenceState.READY)
        await a1.rung("ann")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_newcomer_does_not_pass_who_waits_at_another_edge() -> None:
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        await a1.waiting()
        await until(lambda: len(a2.snapshot.tickets) == 1, "seen")
        a1.store.latency_s = 0.2  # so that the newcomer finds the agent free
        await made.agent("ann")
        await until(lambda: AgentId("ann") in a2.snapshot.presences, "seen")
        await a2.waiting()
        await a1.rung("ann")
        assert not a2.sip.rung("ann")
        assert a2.reserver.refused == 0
        await everybody_leaves(made)


@in_virtual_time
async def test_a_newcomer_does_not_pass_who_has_come_just_before_and_is_not_seen_yet() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        a1.store.latency_s = 0.1
        first = a1.sip.arrive(SALES)
        await settle()
        await made.agent("ann")
        await until(lambda: AgentId("ann") in a1.snapshot.presences, "seen")
        assert not a1.snapshot.tickets
        second = a1.sip.arrive(SALES)
        await until(lambda: bool(a1.sip.rung("ann")), "rung")
        assert (a1.state_of(first), a1.state_of(second)) == ("ringing", "queued")
        await everybody_leaves(made)


@in_virtual_time
async def test_a_newcomer_does_not_pass_whose_greeting_is_just_over() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        greeted = await a1.waiting(GREETED)
        await until(lambda: a1.state_of(greeted) == "greeting", "greeted")
        a1.store.latency_s = 0.2
        await until(lambda: a1.state_of(greeted) == "queued", "greeting over")
        newcomer = a1.sip.arrive(SALES)
        await until(lambda: bool(a1.sip.rung("ann")), "rung")
        assert a1.state_of(greeted) == "ringing"
        assert a1.state_of(newcomer) == "queued"
        await everybody_leaves(made)


@in_virtual_time
async def test_two_who_come_at_once_get_two_agents() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        a1.store.latency_s = 0.05
        for _ in range(2):
            a1.sip.arrive(SALES)
        await a1.rung("ann")
        await a1.rung("bob")
        assert (a1.reserver.landed, a1.reserver.refused) == (2, 0)
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_whom_the_relay_cannot_serve_leaves_the_agent_free() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.media.delay_s = 0.1
        a1.media.fails_with["hold_caller"] = MediaUnavailable("the relay gave no answer")
        leg = a1.sip.arrive(SALES)
        await until(lambda: leg in a1.sip.over, "refused")
        assert not a1.sip.rung("ann")
        assert (await made.record(a1, leg)).outcome is Outcome.REFUSED
        await made.nothing_is_left()


@in_virtual_time
@pytest.mark.parametrize("slow", ["store", "media"])
async def test_a_caller_who_leaves_before_the_answer_leaves_the_agent_free(slow: str) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        (a1.store if slow == "store" else a1.media).__dict__.update(latency_s=0.1, delay_s=0.1)
        leg = a1.sip.arrive(SALES)
        await asyncio.sleep(0.05)
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        assert record.outcome is Outcome.ABANDONED
        assert not a1.sip.rung("ann")
        await made.nothing_is_left()


@in_virtual_time
@pytest.mark.parametrize("trouble", ["rejects", "loses_requests", "loses_answers"])
async def test_whatever_the_store_does_the_caller_gets_one_agent(trouble: str) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        setattr(a1.store, trouble, 1)
        a1.sip.arrive(SALES)
        await a1.rung("ann")
        assert [each.agent for each in await made.offers()] == ["ann"]
        await everybody_leaves(made)


@in_virtual_time
async def test_a_store_that_is_away_gives_the_place_first_when_it_is_back() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.store.is_away = True
        a1.sip.arrive(SALES)
        await asyncio.sleep(1)
        assert not await made.tickets()
        a1.store.is_away = False
        await a1.rung("ann")
        placed, given = await _revisions_of_tickets_and_offers(made)
        assert placed < given
        await everybody_leaves(made)


@in_virtual_time
async def test_the_decision_names_the_snapshot_before_the_ticket() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        before = a1.snapshot
        leg = await a1.waiting()
        ringing = next(each for each in ("ann", "bob") if a1.sip.rung(each))
        a1.sip.hang_up(leg)
        record = await made.record(a1, leg)
        decision = record.decision
        assert decision is not None
        assert (decision.winner, decision.revision) == (ringing, before.revision)
        await everybody_leaves(made)


@in_virtual_time
@pytest.mark.parametrize("seen_late_s", [0.0, 0.2])
async def test_a_caller_who_came_by_way_of_a_sister_too_keeps_the_place_that_she_wrote(
    seen_late_s: float,
) -> None:
    """The proxy gave the call to both; to the one that answers, its ticket stands already."""
    async with center(edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        a2.store.watch_latency_s = seen_late_s
        await a1.waiting(sip_call_id="both@192.0.2.1")
        first = await a2.waiting(sip_call_id="both@192.0.2.1")
        later = await a2.waiting()
        await until(lambda: len(a2.snapshot.tickets) == 2, "seen")
        a1.store.latency_s = 0.2  # the sister is not the quickest to give her caller an agent
        await made.agent("ann")
        await until(lambda: AgentId("ann") in a2.snapshot.presences, "seen")
        assert a2.state_of(first) == "queued", "it is not known yet that the ticket is another's"
        await until(lambda: bool(a1.sip.rung("ann") or a2.sip.rung("ann")), "rung")
        assert not a2.sip.rung("ann"), a2.state_of(later)
        assert (a1.reserver.refused, a2.reserver.refused) == (0, 0)
        await everybody_leaves(made)


@in_virtual_time
async def test_nobody_passes_a_caller_whose_sister_has_just_refused_them() -> None:
    """Between her ticket, which goes, and the one that is being written in its stead."""
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        await made.presence("ann", PresenceState.PAUSED)
        a1.media.delay_s = 0.3
        a1.media.fails_with["hold_caller"] = MediaUnavailable("the relay gave no answer")
        refused = a1.sip.arrive(SALES, sip_call_id="both@192.0.2.1")
        await until(lambda: len(a2.snapshot.tickets) == 1, "seen")
        first = a2.sip.arrive(SALES, sip_call_id="both@192.0.2.1")
        await asyncio.sleep(0.1)
        a2.store.latency_s = 0.2  # from here on: she has the ticket, as the store has said
        await until(lambda: refused in a1.sip.over, "refused")
        await made.presence("ann", PresenceState.READY)
        await until(lambda: not a2.snapshot.tickets, "seen")
        await asyncio.sleep(0.1)  # for the look at her record, after which the ticket is asked for
        later = a2.sip.arrive(SALES)
        assert not a2.snapshot.tickets
        await until(lambda: bool(a2.sip.rung("ann")), "rung")
        assert (a2.state_of(first), a2.state_of(later)) == ("ringing", "queued")
        await everybody_leaves(made)
