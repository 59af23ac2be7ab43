"""An agent whose goodbye was lost with a dead home site: the caller is served, the agent freed."""

from __future__ import annotations

import asyncio

import pytest

from edge.acd.gone import SILENT_S
from edge.media.errors import MediaUnavailable
from edge.sip.events import LegId
from state.model import AgentId, Outcome, SiteId, WorkEnd
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import in_virtual_time, settle, until

B = frozenset({SiteId("b")})
BOTH = B | {SiteId("a")}
HOLD = AGENT_SDP.replace(b"sendrecv", b"inactive")
MUTED = CALLER_SDP.replace(b"sendrecv", b"recvonly")
OFFERS = {
    "the agent holds": HOLD,
    "the agent is muted": AGENT_SDP.replace(b"sendrecv", b"recvonly"),
}


async def _talking_to_b(made: Center, edge: Edge) -> tuple[LegId, LegId]:
    await made.agent("bea", site="b")
    theirs, ours = await edge.talking("bea")
    await edge.sees_them_talk()
    return theirs, ours


@in_virtual_time
async def test_a_caller_left_in_silence_is_first_in_the_queue_and_the_agent_free_in_time() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking_to_b(made, a1)
        await asyncio.sleep(30.0)
        later = await a1.waiting()
        a1.unreachable = B
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=15)
        assert a1.state_of(theirs) == "queued"
        assert "bye" in a1.sip.open[ours].said
        a1.sip.answer_ours(theirs)  # the way back to the music
        # Nobody has come before them but the caller who came later.
        await made.agent("ann")
        ann = await a1.rung("ann")
        assert [e.value.agent for e in a1.snapshot.tickets.values() if e.value.connected_ms] == [
            AgentId("ann")
        ]
        a1.sip.pick_up(ann)
        await a1.answer_ours(theirs)
        assert a1.state_of(theirs) == "connected"
        for leg in (theirs, ann, later):
            a1.sip.hang_up(leg)
        a1.sip.vanish(ours)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        assert a1.snapshot.works[AgentId("bea")].value.end is WorkEnd.TALKED


@in_virtual_time
async def test_two_who_hear_each_other_are_left_alone_though_the_site_is_dead() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, _ = await _talking_to_b(made, a1)
        a1.unreachable = B
        for _ in range(40):
            a1.media.packets += 50
            await asyncio.sleep(1.0)
        assert a1.state_of(theirs) == "connected"
        await until(lambda: a1.state_of(theirs) == "queued", within_s=SILENT_S + 3)


@in_virtual_time
async def test_two_who_have_left_unheard_are_told_goodbye_and_nobody_is_rung_for_them() -> None:
    async with center(edges=("a1", "b1", "c1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking_to_b(made, a1)
        await made.agent("cleo", site="c")
        await asyncio.sleep(30.0)
        a1.unreachable = BOTH
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=SILENT_S + 1.5)
        assert a1.snapshot.works[AgentId("bea")].value.end is WorkEnd.TALKED
        for leg in (theirs, ours):
            assert "bye" in a1.sip.open[leg].said
            assert "both_silent" in a1.sip.open[leg].reasons[-1]
        a1.sip.vanish(theirs)
        a1.sip.vanish(ours)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.cause, record.agent) == (
            Outcome.LOST,
            "both_silent",
            AgentId("bea"),
        )
        assert not a1.sip.rung("cleo")
        assert not a1.snapshot.places, "who has left is not missed"
        assert not await made.left()


@in_virtual_time
async def test_goodbyes_that_come_when_the_dead_site_wakes_up_have_ended_the_call() -> None:
    """They were said seconds before ours: whoever said them is answered 200."""
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking_to_b(made, a1)
        a1.unreachable = BOTH
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=SILENT_S + 3)
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "caller_hung_up")
        assert not await made.left()


@pytest.mark.parametrize("why", ["they speak", "their site lives", "they are muted"])
@in_virtual_time
async def test_a_caller_who_may_be_there_is_served_anew(why: str) -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, _ = await _talking_to_b(made, a1)
        if why == "they are muted":
            a1.sip.offer(theirs, MUTED)
            await settle()
        a1.unreachable = B if why == "their site lives" else BOTH
        for _ in range(int(SILENT_S) + 2):
            if why == "they speak":
                a1.media.callers_packets += 50
            await asyncio.sleep(1.0)
        assert a1.state_of(theirs) == "queued"


@pytest.mark.parametrize(
    "why", ["the site lives", "the agent holds", "the agent is muted", "the relay is away"]
)
@in_virtual_time
async def test_silence_alone_ends_nothing(why: str) -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking_to_b(made, a1)
        if why in OFFERS:
            a1.sip.offer(ours, OFFERS[why])
            await settle()
        if why != "the site lives":
            a1.unreachable = B
        for _ in range(30):
            if why == "the relay is away":
                a1.media.fails_with["packets_from"] = MediaUnavailable("no answer")
            await asyncio.sleep(1.0)
        assert a1.state_of(theirs) == "connected"


@in_virtual_time
async def test_a_caller_cut_off_in_talk_who_calls_again_waits_for_the_same_agent_first() -> None:
    async with center("ann", "bob", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking("ann" if not a1.sip.rung("bob") else "bob")
        agent = a1.sip.open[ours].to
        await a1.sees_them_talk()
        call = a1.switchboard.held()[0].id
        a1.switchboard.media_lost(call)
        for leg in (theirs, ours):
            a1.sip.hang_up(leg)
        await until(lambda: bool(a1.snapshot.places), "a place is kept")
        await asyncio.sleep(0.1)
        again = await a1.waiting()
        leg = await a1.rung(agent)
        assert leg is not None
        assert not a1.sip.rung("bob" if agent == "ann" else "ann")
        a1.sip.hang_up(again)
        a1.sip.decline(leg)


@in_virtual_time
async def test_who_is_reached_by_a_site_that_is_back_is_asked_if_they_are_there() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking_to_b(made, a1)
        a1.switchboard.ask_after(SiteId("b"))
        assert "ask" in a1.sip.open[ours].said
        assert "ask" not in a1.sip.open[theirs].said, "the caller came by a"
        a1.switchboard.ask_after(SiteId("a"))
        assert "ask" in a1.sip.open[theirs].said
        # They had hung up while the site was out of reach: a 481 is as good as a BYE.
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        record = await made.record(a1, theirs)
        assert record.outcome is Outcome.ANSWERED
        await until(lambda: not a1.snapshot.offers, "the agent is free")
