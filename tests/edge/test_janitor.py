"""What dead edges leave is cleared, once, by a survivor; what the living have is left alone."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace
from structlog.testing import capture_logs

from edge.duties.janitor import GRACE_S, OFTEN, PERIOD_S, WISH_KEPT_S, Janitor
from edge.steering import janitor
from state import keys
from state.codec import encode
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    Offer,
    OfferState,
    Outcome,
    RecordingState,
    RecordingStatus,
    RecordingWish,
)
from state.raw import Change
from tests.acd.worlds import ticket
from tests.edge.lone import A1, CALL, configured
from tests.edge.lone import ticket as waiting_at
from tests.edge.stage import center
from tests.edge.virtual_time import WALL_MS, in_virtual_time, settle, until


@in_virtual_time
async def test_a_dead_edges_calls_are_closed_and_its_agent_is_rung_for_the_next_caller() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, _ = await a1.talking()
        await a1.kill()
        waiting = await a2.waiting()
        record = await made.record(a1, theirs)
        assert (record.outcome, record.cause, record.edge) == (Outcome.LOST, "edge_died", "a1")
        await a2.rung("ann")
        a2.sip.hang_up(waiting)
        await settle()
        for leg in list(a2.sip.open):
            a2.sip.decline(leg)
        await made.nothing_is_left()


@in_virtual_time
async def test_every_survivor_hears_of_a_death_whoever_closes_the_tickets() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        for name in ("b1", "b2"):
            await asyncio.sleep(0.13)  # so that they do not look at the same moments
            await made.edge(name)
        await a1.talking()
        await a1.kill()
        others = [made.edges[name] for name in ("a2", "b1", "b2")]
        await until(lambda: all(each.cleared for each in others), "all have cleared", within_s=15)
        assert all(each.cleared == ["a1"] for each in others)


@in_virtual_time
async def test_a_sister_who_died_while_her_site_was_alone_is_missed_though_none_names_her() -> None:
    """Her media is at this site, and her agents' gates."""
    bench = await configured()
    cleared: list[EdgeId] = []

    async def clear(edge: EdgeId) -> None:
        cleared.append(edge)

    survivor = Janitor(
        store=bench.store,
        clock=bench.clock,
        mirror=bench.mirror,
        edge=A1,
        holds=lambda _: False,
        on_dead=clear,
        is_alone=lambda: bench.store.is_alone,
        copy=lambda: bench.store.snapshot,
    )
    running = asyncio.create_task(survivor.run())
    bench.store.begin()
    hers = Change(
        key=keys.ticket(CALL),
        value=encode(waiting_at(CALL, holder="a2")),
        create_revision=0,
        mod_revision=0,
    )
    bench.store.note([hers], is_ours=False)
    await asyncio.sleep(2 * PERIOD_S)
    assert not cleared
    bench.store.end({})
    await bench.read()
    await asyncio.sleep(GRACE_S + 2 * PERIOD_S)
    assert set(cleared) == {"a2"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_an_edge_that_comes_back_within_its_grace_keeps_its_calls() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, ours = await a1.talking()
        a1.store.is_away = True
        await until(lambda: EdgeId("a1") not in a2.snapshot.edges, "its lease has run out")
        await asyncio.sleep(0.4)
        a1.store.is_away = False
        await asyncio.sleep(10)
        assert a1.state_of(theirs) == "connected"
        assert await made.records() == {}
        a1.sip.hang_up(theirs)
        await settle()
        a1.sip.hang_up(ours)
        await made.nothing_is_left()


@in_virtual_time
async def test_an_edge_that_comes_back_later_lets_go_and_writes_nothing() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.store.is_away = True
        await asyncio.sleep(15)
        assert (await made.record(a1, theirs)).cause == "edge_died"
        a1.store.is_away = False
        await until(lambda: bool(a1.sip.open[theirs].reasons), "let go")
        for leg in (theirs, ours):
            a1.sip.hang_up(leg)
        await made.nothing_is_left()
        assert len(await made.records()) == 1


@in_virtual_time
async def test_an_edge_clears_what_its_own_former_life_left() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        await a1.kill()
        again = await made.edge("a1")
        record = await made.record(a1, theirs)
        assert record.outcome is Outcome.LOST
        await again.waiting()
        await again.rung("ann")


@in_virtual_time
async def test_an_offer_without_a_ticket_is_freed_whoever_left_it() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        for agent, edge in (("ann", "a1"), ("bob", "dead")):
            await made.put(
                keys.offer(AgentId(agent)),
                Offer(
                    agent=AgentId(agent),
                    call=CallId("0" * 24),
                    edge=EdgeId(edge),
                    state=OfferState.RINGING,
                    since_ms=WALL_MS,
                ),
            )
        await until(lambda: not a1.snapshot.offers and bool(a1.snapshot.works), "freed")
        assert set(a1.snapshot.works) == {"ann", "bob"}


@in_virtual_time
async def test_nothing_of_the_living_is_touched() -> None:
    async with center("ann", "bob", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs = await a1.waiting()
        first, _ = await a1.one_rung("ann", "bob")
        ours = await a1.joined(theirs, first)
        waiting = await a2.waiting()
        before = {each.call: each for each in await made.tickets()}
        await asyncio.sleep(60)
        assert {each.call for each in await made.tickets()} == set(before)
        assert a1.state_of(theirs) == "connected"
        assert await made.records() == {}
        assert a1.cleared == a2.cleared == []
        for edge, legs in ((a1, (theirs, ours)), (a2, (waiting,))):
            for leg in legs:
                edge.sip.hang_up(leg)
        await settle()


@in_virtual_time
async def test_a_call_that_ends_in_order_is_not_closed_for_its_edge_too(
    capsys: object,
) -> None:
    del capsys
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.store.watch_latency_s = 0.7  # the mirror shows the ticket for longer than it stands
        for _ in range(6):
            leg = await a1.waiting()
            await asyncio.sleep(2.0)
            a1.sip.hang_up(leg)
            for each in list(a1.sip.open):
                a1.sip.decline(each)
            await asyncio.sleep(1.1)
        assert {each.outcome for each in (await made.records()).values()} == {Outcome.ABANDONED}


@in_virtual_time
async def test_two_survivors_close_a_ticket_once() -> None:
    async with center(edges=("a1", "b1")) as made:
        place = replace(ticket(1), holder=EdgeId("c9"))
        await made.put(keys.ticket(place.call), place)
        a1 = made.edges["a1"]
        await until(lambda: place.call in a1.snapshot.tickets, "seen")
        await until(lambda: place.call not in a1.snapshot.tickets, "closed")
        await asyncio.sleep(3)
        assert len(await made.records()) == 1


@in_virtual_time
async def test_where_the_survivor_whose_turn_it_is_serves_alone_another_closes_a_ticket() -> None:
    async with center(edges=("a1", "b1")) as made:
        name = janitor(made.edges["a1"].snapshot, EdgeId("c9"))
        assert name is not None
        chosen = made.edges[name]
        chosen.is_alone = True
        place = replace(ticket(1), holder=EdgeId("c9"))
        await made.put(keys.ticket(place.call), place)
        await until(lambda: place.call in chosen.snapshot.tickets, "seen")
        await until(lambda: place.call not in chosen.snapshot.tickets, "closed", within_s=5)
        assert len(await made.records()) == 1


@in_virtual_time
async def test_what_was_asked_of_a_recording_is_deleted_once_its_call_is_over() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        (call,) = a1.snapshot.tickets
        wish = RecordingWish(call=call, pause=True)
        status = RecordingStatus(call=call, edge=EdgeId("a1"), state=RecordingState.PAUSED, wish=1)
        await made.put(keys.recording_wish(call), wish)
        await made.put(keys.recording(call), status)
        await asyncio.sleep(2 * WISH_KEPT_S)
        assert call in a1.snapshot.recording_wishes
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await until(
            lambda: not a1.snapshot.recording_wishes and not a1.snapshot.recordings,
            "both are gone",
            within_s=15,
        )


@in_virtual_time
async def test_a_survivor_who_has_missed_something_says_that_it_could_not_close_a_call() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, _ = await a1.talking()
        (offer,) = await made.offers()
        await a1.kill()
        await until(lambda: EdgeId("a1") not in a2.snapshot.edges, "its lease has run out")
        with capture_logs() as lines:
            a2.store.loses_events_of = "offer/ann"
            await made.put(keys.offer(offer.agent), replace(offer, hold_since_ms=WALL_MS))
            call = a1.call_of(theirs)
            said = {"event": "not_cleared_away", "log_level": "warning", "call": call, "edge": "a1"}
            await until(lambda: said in lines, "it says so", within_s=GRACE_S + OFTEN)
            # Its mirror finds out what it has missed.
            assert (await made.record(a1, theirs)).cause == "edge_died"
        assert lines.count(said) == 1


@in_virtual_time
async def test_an_offer_that_cannot_be_read_keeps_no_call_of_a_dead_edge_open() -> None:
    """It keeps its agent busy until somebody deletes it, and harms nobody but them."""
    async with center("ann", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, _ = await a1.talking()
        await a1.kill()
        await made.put(keys.offer(AgentId("ann")), b"rubbish")
        record = await made.record(a1, theirs)
        assert (record.outcome, record.cause) == (Outcome.LOST, "edge_died")
        assert await made.tickets() == []
        assert keys.offer(AgentId("ann")) in a2.snapshot.bad
