"""What an edge's next life makes of what the former had decided, and could not write any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.relaxation import waited_s
from edge.sip.events import LegId
from state.model import AgentId, Outcome, PresenceState, TicketState, WorkEnd
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.one_edge import GREETED, Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

ANN, BOB = AgentId("ann"), AgentId("bob")
TO_BOB = "sip:bob@everline"


async def _talk(made: Center, edge: Edge) -> tuple[LegId, LegId]:
    """Let ann talk; bob is there, and has nothing to do."""
    await made.presence("bob", PresenceState.PAUSED)
    await settle()
    legs = await edge.talking("ann")
    await made.presence("bob", PresenceState.READY)
    await settle()
    return legs


async def _passing(made: Center, edge: Edge) -> tuple[LegId, LegId, LegId]:
    """Let ann pass the caller on, until bob is being rung."""
    theirs, ours = await _talk(made, edge)
    edge.sip.refer(ours, TO_BOB)
    await edge.answer_ours(theirs, "the caller hears music")
    return theirs, ours, await edge.rung("bob")


async def _goes_on(made: Center, before: Edge, run_dir: Path) -> Edge:
    await settle()
    after = await made.next_life(before, run_dir)
    await after.takeover().run()
    await settle()
    return after


async def _over(made: Center, edge: Edge) -> None:
    await made.presence("ann", PresenceState.PAUSED)
    for _ in range(3):
        for leg in list(edge.sip.open):
            edge.sip.hang_up(leg)
            edge.sip.decline(leg, 487)
        await settle()
    await made.nothing_is_left()


@pytest.mark.parametrize("has_joined", [False, True], ids=["rings", "talks"])
@in_virtual_time
async def test_an_agent_who_was_out_of_the_call_is_free_and_rests(
    tmp_path: Path, *, has_joined: bool
) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, first, second = await _passing(made, a1)
        a1.store.is_away = True
        if has_joined:
            a1.sip.pick_up(second)
            await a1.answer_ours(theirs, "bob has them")
            assert a1.state_of(theirs) == "connected"
        a1.sip.hang_up(first)
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: ANN not in after.snapshot.offers, "ann is free")
        assert after.snapshot.works[ANN].value.end is WorkEnd.TALKED
        assert after.switchboard.held(), "and the call goes on"
        await _over(made, after)


@in_virtual_time
async def test_a_target_who_had_declined_is_free_and_does_not_rest_for_another(
    tmp_path: Path,
) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, first, second = await _passing(made, a1)
        a1.store.is_away = True
        a1.sip.decline(second)
        await until(lambda: a1.state_of(theirs) == "returning", "ann is asked back")
        await made.presence("ann", PresenceState.PAUSED)
        await made.presence("bob", PresenceState.PAUSED)
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: not after.snapshot.offers, "both are free")
        ends = {agent: after.snapshot.works[agent].value.end for agent in (ANN, BOB)}
        assert ends[ANN] is WorkEnd.TALKED
        assert ends[BOB] is not WorkEnd.TALKED
        after.sip.hang_up(first)
        await _over(made, after)


@in_virtual_time
async def test_a_caller_who_was_brought_back_is_in_talk_with_whom_they_came_back_to(
    tmp_path: Path,
) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, first, second = await _passing(made, a1)
        a1.store.is_away = True
        a1.sip.decline(second)
        await a1.answer_ours(first, "ann is asked back")
        await a1.answer_ours(theirs, "they are with ann")
        assert a1.state_of(theirs) == "connected"
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: set(after.snapshot.offers) == {ANN}, "bob is free")
        assert after.snapshot.works[BOB].value.end is not WorkEnd.TALKED
        await _over(made, after)
        record = await made.record(after, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, ANN)
        assert after.snapshot.works[ANN].value.end is WorkEnd.TALKED


@in_virtual_time
async def test_who_was_consulted_and_given_up_is_free(tmp_path: Path) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        await _talk(made, a1)
        asking = a1.sip.arrive("bob", caller="ann", headers={"x-everline-agent": "ann"})
        rung = await a1.rung("bob")
        a1.store.is_away = True
        a1.sip.hang_up(asking)
        a1.sip.decline(rung, 487)
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: set(after.snapshot.offers) == {ANN}, "bob is free")
        await _over(made, after)


@in_virtual_time
async def test_an_agent_who_was_lost_in_talk_rests_and_is_named_in_the_record(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking("ann")
        await settle()
        await made.presence("ann", PresenceState.PAUSED)
        a1.store.is_away = True
        a1.sip.vanish(ours)
        await until(lambda: a1.state_of(theirs) == "queued", "the caller waits again")
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: not after.snapshot.offers, "ann is free")
        assert after.snapshot.works[ANN].value.end is WorkEnd.TALKED
        await _over(made, after)
        record = await made.record(after, theirs)
        assert (record.agent, [talk.agent for talk in record.talks]) == (ANN, [ANN])


# ---- a ticket that was behind --------------------------------------------------------------------


@in_virtual_time
async def test_a_caller_whose_greeting_was_over_is_served_and_has_waited_since(
    tmp_path: Path,
) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = await a1.waiting(GREETED)
        await until(lambda: bool(a1.snapshot.tickets), "the place is written")
        a1.store.is_away = True
        await until(lambda: a1.state_of(leg) == "queued", "the caller waits")
        await asyncio.sleep(4.0)
        after = await _goes_on(made, a1, tmp_path)
        (waiting,) = after.snapshot.tickets.values()
        assert waiting.value.state is TicketState.QUEUED
        assert waited_s(waiting, LoopClock().now()) == pytest.approx(4.0, abs=0.5)
        await made.agent("ann")
        await after.rung("ann")
        await _over(made, after)


@pytest.mark.parametrize("holds", [False, True])
@in_virtual_time
async def test_two_who_were_brought_together_are_seen_to_talk(
    tmp_path: Path, *, holds: bool
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs = await a1.waiting()
        await a1.rung("ann")
        a1.store.is_away = True
        ours = await a1.joined(theirs)
        if holds:
            a1.sip.offer(ours, None)
            await settle()
            a1.sip.answer_asked(ours, CALLER_SDP.replace(b"sendrecv", b"sendonly"))
        after = await _goes_on(made, a1, tmp_path)
        assert [each.state for each in await made.tickets()] == [TicketState.CONNECTED]
        seen = agent_states(after.snapshot, LoopClock().now())[ANN]
        assert seen is (AgentState.HOLD if holds else AgentState.TALKING)
        await _over(made, after)


@pytest.mark.parametrize("caller", ["stays", "leaves first", "leaves too"])
@in_virtual_time
async def test_a_transferor_who_hangs_up_before_the_call_goes_on_is_not_waited_for(
    tmp_path: Path, caller: str
) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours, _ = await _passing(made, a1)
        await settle()
        after = await made.next_life(a1, tmp_path)
        takeover = after.takeover()
        leave = {"stays": (ours,), "leaves first": (theirs, ours), "leaves too": (ours, theirs)}
        for leg in leave[caller]:
            after.sip.hang_up(leg)
        await takeover.run()
        await until(lambda: ANN not in after.snapshot.offers, "ann is free")
        assert after.state_of(theirs) == ("queued" if caller == "stays" else "gone")
        await _over(made, after)


@in_virtual_time
async def test_a_talk_that_ended_in_a_transfer_is_in_the_record(tmp_path: Path) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await _talk(made, a1)
        a1.store.is_away = True
        a1.sip.refer(ours, TO_BOB)
        after = await _goes_on(made, a1, tmp_path)
        await _comes_back(after, theirs, ours)
        after.sip.hang_up(theirs)
        await _over(made, after)
        record = await made.record(after, theirs)
        assert [talk.agent for talk in record.talks] == [ANN, ANN]


@in_virtual_time
async def test_a_target_who_was_reserved_unheard_is_free_and_the_caller_comes_back(
    tmp_path: Path,
) -> None:
    """The store had given them; its answer met nobody."""
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await _talk(made, a1)
        a1.store.latency_s = 0.5
        a1.sip.refer(ours, TO_BOB)
        await a1.answer_ours(theirs, "the caller hears music")
        await until(lambda: BOB in a1.snapshot.offers, "the store has given bob")
        assert a1.state_of(theirs) == "transferring"
        after = await _goes_on(made, a1, tmp_path)
        await until(lambda: set(after.snapshot.offers) == {ANN}, "bob is free")
        await _comes_back(after, theirs, ours)
        await settle()
        assert after.state_of(theirs) == "connected"
        after.sip.hang_up(theirs)
        await _over(made, after)
        record = await made.record(after, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, ANN)


async def _comes_back(edge: Edge, theirs: LegId, ours: LegId) -> None:
    """Let ann take back the caller whom she had passed on."""
    await edge.answer_ours(ours, "ann is asked back")
    await edge.answer_ours(theirs, "they are with ann")


# ---- what goes on meanwhile ----------------------------------------------------------------------


@in_virtual_time
async def test_an_agent_whom_a_call_gets_while_others_are_taken_up_stays_with_it(
    tmp_path: Path,
) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        first, second = await a1.waiting(), await a1.waiting(GREETED)
        await until(lambda: len(a1.snapshot.tickets) == 2, "the places are written")
        a1.store.is_away = True
        await until(lambda: a1.state_of(second) == "queued", "both wait")
        after = await made.next_life(a1, tmp_path)
        after.store.loses_requests = 1
        taking_over = asyncio.create_task(after.takeover().run())
        await made.agent("ann")
        ours = await after.rung("ann")
        assert not taking_over.done()
        await taking_over
        await settle()
        after.sip.pick_up(ours)
        await after.answer_ours(first)
        await settle()
        assert (after.state_of(first), set(after.snapshot.offers)) == ("connected", {ANN})
        await _over(made, after)
