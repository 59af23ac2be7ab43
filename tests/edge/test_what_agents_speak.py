"""What telephones answer to an offer of several codecs: one of them, Opus alone, or no audio."""

from __future__ import annotations

import asyncio

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.gone import SILENT_S
from edge.media.sdp import audio, talk
from edge.sip.events import LegId
from state.model import AgentId, PresenceState, SiteId
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP, S
from tests.edge.one_edge import SALES, Edge
from tests.edge.stage import center, everybody_leaves
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

ANN = AgentId("ann")
BOTH_CODECS = CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 96 0") + b"a=rtpmap:96 opus/48000/2\r\n"
OPUS = AGENT_SDP.replace(
    b"RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", b"RTP/AVP 96\r\na=rtpmap:96 opus/48000/2"
)
CALLERS_OPUS = OPUS.replace(b"192.0.2.2", b"192.0.2.1")
REFUSED = AGENT_SDP.replace(b"audio 4000", b"audio 0")


async def _talking(edge: Edge, agent: str) -> tuple[LegId, LegId]:
    """Bring a caller who speaks Opus, too, to an agent whose telephone answers with Opus alone."""
    theirs = edge.sip.arrive(SALES, sdp=BOTH_CODECS)
    await until(lambda: edge.sip.open[theirs].state is S.ANSWERED, "answered")
    edge.sip.acknowledge(theirs)
    ours = await edge.rung(agent)
    edge.sip.pick_up(ours, OPUS)
    await until(lambda: edge.sip.open[theirs].our_offer is not None, "they are told")
    edge.sip.answer_ours(theirs, CALLERS_OPUS)
    await until(lambda: edge.state_of(theirs) == "connected", "they talk")
    return theirs, ours


@in_virtual_time
async def test_an_agent_who_speaks_opus_and_is_gone_with_their_site_is_noticed() -> None:
    async with center(edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        await made.agent("bea", site="b")
        theirs, ours = await _talking(a1, "bea")
        await asyncio.sleep(10.0)
        a1.unreachable = frozenset({SiteId("b")})
        await until(lambda: a1.state_of(theirs) == "queued", "served anew", within_s=SILENT_S + 3)
        a1.sip.vanish(ours)
        await everybody_leaves(made)


@pytest.mark.parametrize("to", ["greeted", "bob"])
@in_virtual_time
async def test_a_caller_who_has_answered_with_opus_alone_may_be_passed_on(to: str) -> None:
    """They had offered other codecs, too, and hear the music in one of those."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await _talking(a1, "ann")
        await made.agent("bob")
        await settle()
        a1.sip.refer(ours, f"sip:{to}@everline")
        bob = await a1.rung("bob")
        assert b" 96 0\r\n" in a1.sip.open[bob].told[-1], "and bob may speak any of them"
        assert a1.state_of(theirs) == "ringing"
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_talks_in_opus_may_hold_in_it_alone_and_be_passed_on() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        await made.presence("bob", PresenceState.PAUSED)
        await settle()
        theirs, ours = await _talking(a1, "ann")
        held = a1.sip.open[theirs]
        for direction in (b"sendonly", b"sendrecv"):
            a1.sip.offer(theirs, CALLERS_OPUS.replace(b"sendrecv", direction))
            await until(lambda: not held.their_offer, "they have an answer")
            assert not held.status, "it was not refused"
            assert talk(held.told[-1]).formats == ("96",), "with nothing that was not offered"
        await made.presence("bob", PresenceState.READY)
        await settle()
        a1.sip.refer(ours, "sip:bob@everline")
        await a1.reinvited(theirs, "they are told of the music")
        assert audio(held.told[-1]).formats == ("0",)
        assert b" 96 0\r\n" in a1.sip.open[await a1.rung("bob")].told[-1]
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_changes_over_to_opus_alone_stays_with_what_their_agent_speaks() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking("ann")
        a1.sip.offer(theirs, CALLERS_OPUS)
        await until(lambda: not a1.sip.open[theirs].their_offer, "they have an answer")
        assert a1.sip.open[theirs].status == 488
        assert a1.state_of(theirs) == "connected"
        await everybody_leaves(made)


@in_virtual_time
async def test_an_agent_who_speaks_opus_may_hold() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        _, ours = await _talking(a1, "ann")
        for sdp, state in (
            (OPUS.replace(b"sendrecv", b"sendonly"), AgentState.HOLD),
            (OPUS, AgentState.TALKING),
        ):
            a1.sip.offer(ours, sdp)
            await _until_seen(a1, state)
            assert not a1.sip.open[ours].status, "it was not refused"
        await everybody_leaves(made)


async def _until_seen(edge: Edge, state: AgentState) -> None:
    await until(
        lambda: agent_states(edge.snapshot, LoopClock().now())[ANN] is state, f"seen {state}"
    )


@in_virtual_time
async def test_an_agent_whose_telephone_answers_without_audio_is_passed_over() -> None:
    """The caller was told that there is no audio, and both waited to hear the other."""
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        first, other = await a1.one_rung("ann", "bob")
        a1.sip.pick_up(a1.sip.rung(first)[0], REFUSED)
        assert await a1.rung(other)
        assert a1.state_of(theirs) == "ringing"
        await everybody_leaves(made)


@pytest.mark.parametrize("sdp", [REFUSED, b""], ids=["refused", "nothing"])
@in_virtual_time
async def test_a_colleague_whose_telephone_answers_without_audio_cannot_be_asked(
    sdp: bytes,
) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        await made.presence("bob", PresenceState.PAUSED)
        await settle()
        theirs, _ = await a1.talking("ann")
        await made.presence("bob", PresenceState.READY)
        await settle()
        asking = a1.sip.arrive(
            "bob", caller="ann", sdp=AGENT_SDP, headers={"x-everline-agent": "ann"}
        )
        bob = await a1.rung("bob")
        a1.sip.pick_up(bob, sdp)
        await until(lambda: asking in a1.sip.over, "ann hears of it")
        assert a1.sip.over[asking].status == 503
        assert a1.state_of(theirs) == "connected"
        await everybody_leaves(made)
