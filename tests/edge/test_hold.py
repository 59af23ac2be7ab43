"""An agent who holds the caller: everybody sees it, and the record says how often and how long."""

from __future__ import annotations

import asyncio

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.media.errors import MediaRefused
from edge.media.sdp import Direction, audio
from state.model import AgentId
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.one_edge import WRAP_UP_S, Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

ANN = AgentId("ann")
HOLDS = [
    AGENT_SDP.replace(b"sendrecv", b"sendonly"),
    AGENT_SDP.replace(b"sendrecv", b"inactive"),
    AGENT_SDP.replace(b"c=IN IP4 192.0.2.2", b"c=IN IP4 0.0.0.0"),
]


def _seen(edge: Edge) -> AgentState:
    return agent_states(edge.snapshot, LoopClock().now())[ANN]


async def _until_seen(made: Center, state: AgentState) -> None:
    edges = made.edges.values()
    await until(lambda: all(_seen(edge) is state for edge in edges), f"all see {state}")


@pytest.mark.parametrize("hold", HOLDS, ids=["sendonly", "inactive", "the old way"])
@in_virtual_time
async def test_an_agent_who_holds_is_seen_holding_at_every_edge_and_it_counts(hold: bytes) -> None:
    async with center("ann", edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await _until_seen(made, AgentState.TALKING)
        for _ in range(2):
            a1.sip.offer(ours, hold)
            await _until_seen(made, AgentState.HOLD)
            await asyncio.sleep(3.0)
            a1.sip.offer(ours, AGENT_SDP)
            await _until_seen(made, AgentState.TALKING)
        assert a1.state_of(theirs) == "connected"
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        record = await made.record(a1, theirs)
        assert record.holds == 2
        assert record.held_s == pytest.approx(6.0, abs=0.5)


@pytest.mark.parametrize("hold", HOLDS[:2], ids=["sendonly", "inactive"])
@in_virtual_time
async def test_who_holds_and_asks_for_an_offer_may_resume(hold: bytes) -> None:
    """As telephones behind some exchanges do: theirs comes in the ACK, and was heard by nobody."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        for leg, own in ((ours, AGENT_SDP), (theirs, CALLER_SDP)):
            a1.sip.offer(leg, own.replace(b"a=sendrecv", hold[-12:-2]))
            await settle()
            assert audio(a1.sip.open[leg].told[-1]).direction is not Direction.SENDRECV
            a1.sip.offer(leg, None)
            await settle()
            assert audio(a1.sip.open[leg].told[-1]).direction is Direction.SENDRECV
            moved = own.replace(b"4000", b"4444")
            a1.sip.answer_asked(leg, moved)
            await settle()
            assert a1.media.offers[-1][1] == moved
            await _until_seen(made, AgentState.TALKING)
        assert a1.state_of(theirs) == "connected"
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, theirs)).holds == 1


@in_virtual_time
async def test_an_agent_who_holds_and_only_refreshes_the_session_holds_on() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(ours, HOLDS[0])
        await _until_seen(made, AgentState.HOLD)
        a1.sip.offer(ours, None)
        await settle()
        a1.sip.answer_asked(ours, HOLDS[0])
        await settle()
        assert _seen(a1) is AgentState.HOLD
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, theirs)).holds == 1


@in_virtual_time
async def test_a_hold_that_lasts_to_the_end_is_counted_to_the_end() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(ours, HOLDS[0])
        await _until_seen(made, AgentState.HOLD)
        await asyncio.sleep(4.0)
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        record = await made.record(a1, theirs)
        assert record.holds == 1
        assert record.held_s == pytest.approx(4.0, abs=0.2)
        await until(lambda: _seen(a1) is AgentState.WRAP_UP, "she rests")


@in_virtual_time
async def test_a_hold_that_is_refused_or_withdrawn_is_none() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.media.delay_s = 0.1
        a1.sip.offer(ours, HOLDS[0])
        await asyncio.sleep(0.05)
        a1.sip.withdraw(ours)
        await asyncio.sleep(1.0)
        assert _seen(a1) is AgentState.TALKING
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, theirs)).holds == 0


@in_virtual_time
async def test_a_caller_who_holds_as_the_agent_is_lost_waits_and_hears_music_when_they_resume() -> (
    None
):
    """The relay plays nothing to who does not listen; that was taken for the end of the media."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(theirs, HOLDS[0])
        await settle()
        a1.media.fails_with["play"] = MediaRefused("nobody listens")
        a1.sip.vanish(ours)
        await settle()
        assert a1.state_of(theirs) == "queued"
        before = len(a1.media.played)
        await a1.answer_ours(theirs, sdp=CALLER_SDP)
        await settle()
        assert a1.media.played[before:] == ["music"]
        await everybody_leaves(made)


@pytest.mark.parametrize("hold", HOLDS[:2], ids=["sendonly", "inactive"])
@in_virtual_time
async def test_an_agent_who_is_rung_for_a_caller_who_holds_may_speak(hold: bytes) -> None:
    """What they are offered stands for the whole talk: a resume is told to nobody."""
    async with center() as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        a1.sip.offer(theirs, hold)
        await settle()
        await made.agent("ann")
        ours = await a1.rung("ann")
        assert audio(a1.sip.open[ours].told[-1]).direction is Direction.SENDRECV
        assert theirs in a1.sip.open
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_holds_leaves_the_agent_talking() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(theirs, HOLDS[0])
        await settle()
        assert _seen(a1) is AgentState.TALKING
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert (await made.record(a1, theirs)).holds == 0


@in_virtual_time
async def test_a_record_tells_how_long_its_agent_was_free_and_is_to_wrap_up() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        await asyncio.sleep(40.0)
        theirs, _ = await a1.talking()
        await made.change_queue(wrap_up_s=1.0)
        await asyncio.sleep(5.0)
        a1.sip.hang_up(theirs)
        record = await made.record(a1, theirs)
        assert record.idle_s == pytest.approx(40.0, abs=5.0)
        assert record.wrap_up_s == WRAP_UP_S, "as it was when they came to the queue"
        work = a1.snapshot.works[ANN].value
        assert (work.call, work.rest_s) == (record.call, WRAP_UP_S)
