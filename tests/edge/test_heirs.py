"""Who comes again while their old edge cannot act, at whole edges: the place, and once."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from edge.acd.heirs import Earlier
from edge.duties.janitor import PLACE_KEPT_S
from edge.sip.events import LegId
from state import keys
from state.model import CallId, DidNumber, Limit, QueueId, SiteId, Ticket, TicketState
from tests.edge.one_edge import GREETED, SALES, Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until

CALLER, OTHER = "4930777", "4930888"
LEASE_S = 8.0


def _state(edge: Edge, call: CallId) -> TicketState | None:
    entry = edge.snapshot.tickets.get(call)
    return None if entry is None else entry.value.state


async def _ticket(made: Center, edge: Edge, leg: LegId) -> Ticket:
    call = edge.call_of(leg)
    (found,) = [each for each in await made.tickets() if each.call == call]
    return found


async def _lost(made: Center, *, is_frozen: bool = False) -> tuple[LegId, int]:
    """Let somebody wait at a1, which dies (or does not reach the store); return their place."""
    a1, b1 = made.edges["a1"], made.edges["b1"]
    old = await a1.waiting(caller=CALLER)
    await until(lambda: a1.call_of(old) in b1.snapshot.tickets, "seen")
    if is_frozen:
        a1.store.is_away = True
    else:
        await a1.kill()
    return old, b1.snapshot.tickets[a1.call_of(old)].create_revision


@in_virtual_time
async def test_they_are_rung_for_at_the_old_place_long_before_the_old_call_is_closed() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        died_s = asyncio.get_running_loop().time()
        old, place = await _lost(made)
        between = await b1.waiting(caller=OTHER)
        again = await b1.waiting(caller=CALLER)
        await made.agent("bea", site="b")
        await b1.rung("bea")
        assert asyncio.get_running_loop().time() - died_s < LEASE_S / 2
        assert (b1.state_of(again), b1.state_of(between)) == ("ringing", "queued")
        written = await _ticket(made, b1, again)
        assert (written.state, written.place) == (TicketState.OFFERED, place)
        assert b1.snapshot.heirs[a1.call_of(old)].value.heir == written.call
        await everybody_leaves(made)


@in_virtual_time
async def test_who_dials_when_the_silence_is_known_has_ticket_place_and_agent_at_once() -> None:
    async with center("ann", edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        a1.unreachable = frozenset({SiteId("a")})  # so that it rings nobody
        _, place = await _lost(made)
        await until(lambda: b1.reserver.silent == {"a1"}, "silent")
        again = await b1.waiting(caller=CALLER)
        await b1.rung("ann")
        (entry,) = [e for e in b1.snapshot.tickets.values() if e.value.call == b1.call_of(again)]
        assert (entry.create_revision, entry.value.place) == (entry.mod_revision, place)
        await everybody_leaves(made)


@in_virtual_time
@pytest.mark.parametrize("is_in_reach", [False, True], ids=["the site dies", "two edges die"])
async def test_who_was_greeted_by_a_sister_of_a_silent_edge_has_their_place_as_soon(
    *, is_in_reach: bool
) -> None:
    """The match gives nobody to the callers of a2: the only one is still in the greeting."""
    async with center(edges=("a1", "a2", "b1")) as made:
        a1, a2, b1 = (made.edges[name] for name in ("a1", "a2", "b1"))
        await a1.waiting(caller="4930999")
        old = await a2.waiting(GREETED, caller=CALLER)
        await until(lambda: a2.call_of(old) in b1.snapshot.tickets, "seen")
        died_s = asyncio.get_running_loop().time()
        await a1.kill()
        await a2.kill()
        assert _state(b1, a2.call_of(old)) is TicketState.GREETING
        between = await b1.waiting(caller=OTHER)
        again = await b1.waiting(GREETED, caller=CALLER)
        b1.unreachable = frozenset[SiteId]() if is_in_reach else frozenset({SiteId("a")})
        await made.agent("bea", site="b")
        await b1.rung("bea")
        assert asyncio.get_running_loop().time() - died_s < LEASE_S / 2
        expected = ("queued", "ringing") if is_in_reach else ("ringing", "queued")
        assert (b1.state_of(again), b1.state_of(between)) == expected
        assert b1.reserver.silent == ({"a1"} if is_in_reach else {"a1", "a2"})
        await everybody_leaves(made)


@in_virtual_time
async def test_who_comes_before_an_heirs_ticket_is_seen_finds_the_line_as_it_is() -> None:
    """The ticket has landed with its agent, and stands on no list until the watch tells it."""
    async with center("ann", edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        a1.unreachable = frozenset({SiteId("a")})
        await _lost(made)
        await until(lambda: b1.reserver.silent == {"a1"}, "silent")
        b1.store.watch_latency_s = 0.5
        again = await b1.waiting(caller=CALLER)
        await until(lambda: b1.reserver.landed == 1, "landed")
        assert b1.call_of(again) not in b1.snapshot.tickets
        after = await b1.waiting(caller=OTHER)
        await made.agent("bea", site="b")
        await b1.rung("bea")
        assert b1.state_of(after) == "ringing"
        await everybody_leaves(made)


@in_virtual_time
async def test_when_the_old_call_is_closed_its_place_is_nobodys_any_more() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        old, _ = await _lost(made)
        again = await b1.waiting(caller=CALLER)
        await made.agent("bea", site="b")
        await b1.rung("bea")
        third = await b1.waiting(caller=CALLER)
        assert (await made.record(a1, old)).cause == "edge_died"
        await until(lambda: not b1.snapshot.places, "forgotten", within_s=2.0)
        assert (await _ticket(made, b1, third)).place is None
        assert b1.state_of(again) in {"ringing", "queued"}
        await everybody_leaves(made)
        fourth = await b1.waiting(caller=CALLER)
        assert (await _ticket(made, b1, fourth)).place is None
        await everybody_leaves(made)
        assert a1.call_of(old) in b1.snapshot.heirs
        await asyncio.sleep(PLACE_KEPT_S)
        assert not b1.snapshot.heirs


@in_virtual_time
async def test_who_still_waits_then_has_it_given_back_as_ever() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        old, place = await _lost(made)
        again = await b1.waiting(caller=CALLER)
        await made.record(a1, old)
        await until(lambda: not b1.snapshot.places, "given back")
        assert (await _ticket(made, b1, again)).place == place
        assert not b1.snapshot.heirs
        await everybody_leaves(made)


@in_virtual_time
async def test_an_edge_that_wakes_up_serves_its_caller_who_is_still_there() -> None:
    """Two calls of one number: each gets an agent of their own, whoever had the place."""
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        old, place = await _lost(made, is_frozen=True)
        again = await b1.waiting(caller=CALLER)
        await made.agent("bea", site="b")
        await b1.rung("bea")
        a1.store.is_away = False
        await made.agent("ann")
        await a1.rung("ann")
        assert (a1.state_of(old), b1.state_of(again)) == ("ringing", "ringing")
        tickets = [await _ticket(made, a1, old), await _ticket(made, b1, again)]
        assert [each.agent for each in tickets] == ["ann", "bea"]
        assert [each.place for each in tickets] == [None, place]
        assert len(await made.offers()) == 2
        await until(lambda: b1.reserver.silent == frozenset(), "heard")
        await everybody_leaves(made)


@in_virtual_time
async def test_before_anybody_is_given_the_waking_edges_caller_has_their_place_again() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        old, _ = await _lost(made, is_frozen=True)
        again = await b1.waiting(caller=CALLER)
        a1.store.is_away = False
        await made.agent("ann")
        await a1.rung("ann")
        assert (a1.state_of(old), b1.state_of(again)) == ("ringing", "queued")
        assert not b1.snapshot.heirs
        assert (await _ticket(made, b1, again)).place is None
        await everybody_leaves(made)


@in_virtual_time
async def test_a_greeting_that_was_heard_before_is_not_played_again() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        old = await a1.waiting(GREETED, caller=CALLER)
        await until(lambda: _state(b1, a1.call_of(old)) is TicketState.QUEUED, "greeted")
        await a1.kill()
        await made.agent("bea", site="b")
        early = await b1.waiting(GREETED, caller=CALLER)
        assert b1.state_of(early) == "greeting"
        b1.sip.hang_up(early)
        await until(lambda: b1.reserver.silent == {"a1"}, "silent")
        again = await b1.waiting(GREETED, caller=CALLER)
        assert b1.state_of(again) in {"queued", "ringing"}
        third = await b1.waiting(GREETED, caller=CALLER)
        assert b1.state_of(third) == "greeting", "there is nothing left for them"
        await everybody_leaves(made)


@in_virtual_time
async def test_a_queue_that_is_full_takes_whoever_had_a_place_in_it() -> None:
    async with center(edges=("a1", "b1")) as made:
        b1 = made.edges["b1"]
        entry = b1.snapshot.queues[QueueId("sales")]
        full = replace(entry.value, longest_queue=Limit(most=1))
        await made.put(keys.queue(full.id), full)
        await _lost(made)
        await made.agent("bea", site="b")
        await until(lambda: b1.reserver.silent == {"a1"}, "silent", within_s=5.0)
        other = b1.sip.arrive(SALES, caller=OTHER)
        await settle()
        assert b1.sip.over[other].status == 486
        again = await b1.waiting(caller=CALLER)
        await b1.rung("bea")
        assert b1.state_of(again) == "ringing"
        await everybody_leaves(made)


@in_virtual_time
@pytest.mark.parametrize("is_full", [False, True], ids=["let in", "turned away"])
async def test_what_there_is_of_a_caller_elsewhere_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    async with center(edges=("a1", "b1")) as made:
        b1 = made.edges["b1"]
        if is_full:
            entry = b1.snapshot.queues[QueueId("greeted")]
            full = replace(entry.value, longest_queue=Limit(most=0))
            await made.put(keys.queue(full.id), full)
            await settle()
        asked: list[str] = []

        def earlier(caller: str, did: DidNumber) -> Earlier:
            asked.append(caller)
            return b1.reserver.earlier(caller, did)

        monkeypatch.setattr(b1, "earlier", earlier)
        leg = b1.sip.arrive(GREETED, caller=CALLER)
        await settle()
        assert (leg in b1.sip.over) == is_full
        assert asked == [CALLER]
        await everybody_leaves(made)
