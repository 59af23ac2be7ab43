"""Whoever is called makes an offer before they answer (RFC 3311), as carriers move early media."""

from __future__ import annotations

from edge.media.sdp import Direction, audio
from edge.sip.events import LegId
from state.model import PresenceState
from tests.edge.calling_back import calling, rung_back, sent_away
from tests.edge.fake_telephony import AGENT_SDP, S
from tests.edge.one_edge import Edge
from tests.edge.stage import center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until

MOVED = AGENT_SDP.replace(b"192.0.2.2", b"192.0.2.77")
IN_OPUS = AGENT_SDP.replace(
    b"RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", b"RTP/AVP 96\r\na=rtpmap:96 opus/48000/2"
)


def _offers(edge: Edge, leg: LegId, sdp: bytes = MOVED) -> None:
    """Let an early offer come, and see that it is answered with what had been offered."""
    held = edge.sip.open[leg]
    before = audio(held.told[-1])
    edge.sip.offer_early(leg, sdp)
    assert (held.status, held.their_offer) == (0, False)
    after = audio(held.told[-1])
    assert (after.host, after.port) == (before.host, before.port)


@in_virtual_time
async def test_an_agent_whose_telephone_moves_as_it_rings_is_joined_where_it_is() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        _offers(a1, ours, MOVED.replace(b"sendrecv", b"sendonly"))
        assert audio(a1.sip.open[ours].told[-1]).direction is Direction.RECVONLY
        _offers(a1, ours)
        a1.sip.pick_up(ours, MOVED)
        await a1.answer_ours(theirs)
        assert a1.state_of(theirs) == "connected"
        assert a1.media.agents[a1.call_of(theirs)] == MOVED
        await everybody_leaves(made)


@in_virtual_time
async def test_an_early_offer_in_no_codec_of_ours_is_refused_and_it_rings_on() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.sip.offer_early(ours, IN_OPUS)
        assert a1.sip.open[ours].status == 488
        assert a1.state_of(theirs) == "ringing"
        await everybody_leaves(made)


@in_virtual_time
async def test_a_carrier_that_moves_before_who_is_called_back_answers_is_answered() -> None:
    async with calling() as made:
        a1 = made.edges["a1"]
        await sent_away(made, a1)
        await made.agent("ann")
        edge, theirs = await rung_back(made)
        _offers(edge, theirs)
        edge.sip.pick_up(theirs, MOVED)
        ours = await edge.joined(theirs, "ann")
        await until(lambda: edge.switchboard.states() == {"connected": 1}, "they talk")
        edge.sip.hang_up(theirs)
        edge.sip.hang_up(ours)
        await made.nothing_is_left()


@in_virtual_time
async def test_a_colleague_whose_telephone_moves_as_it_rings_is_consulted() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        await made.presence("bob", PresenceState.PAUSED)
        await settle()
        await a1.talking("ann")
        await made.presence("bob", PresenceState.READY)
        await settle()
        asking = a1.sip.arrive("bob", caller="ann", headers={"x-everline-agent": "ann"})
        bob = await a1.rung("bob")
        _offers(a1, bob)
        a1.sip.pick_up(bob, MOVED)
        await until(lambda: a1.sip.open[asking].state is S.ANSWERED, "ann is answered")
        assert a1.sip.open[asking].told[-1] == MOVED
        await everybody_leaves(made)
