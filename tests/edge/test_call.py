"""One call's shell: effects in order, refused commands, faults of ours, and its timers."""

from __future__ import annotations

import asyncio

import pytest

from edge.acd import call_parts
from edge.media.errors import MediaRefused, SdpError
from edge.sip.errors import LocalError
from state.model import Outcome, WorkEnd
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP, S
from tests.edge.one_edge import GREETED, RING_S, Edge
from tests.edge.stage import Center, center
from tests.edge.troubled import UNAVAILABLE
from tests.edge.virtual_time import in_virtual_time, settle, until

OTHER_SDP = CALLER_SDP.replace(b"4000", b"4444")


async def _end(made: Center, edge: Edge) -> None:
    """Let whoever is still there hang up, and look that nothing is left."""
    for leg in list(edge.sip.open):
        edge.sip.hang_up(leg)
        edge.sip.decline(leg, 487)
    await made.nothing_is_left()


@in_virtual_time
async def test_a_greeted_caller_waits_after_the_greeting_and_not_before() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(GREETED)
        await asyncio.sleep(0.9)
        assert a1.state_of(theirs) == "greeting"
        assert not a1.sip.rung("ann")
        await a1.rung("ann")
        await _end(made, a1)


@in_virtual_time
async def test_an_agent_who_lets_it_ring_is_cancelled_and_the_caller_waits_on() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        await asyncio.sleep(RING_S + 0.1)
        assert a1.sip.open[ours].state is S.CANCELLING
        assert a1.state_of(theirs) == "queued"
        a1.sip.decline(ours)
        await until(lambda: bool(a1.sip.rung("ann")), "ann is rung again after her pause")
        a1.sip.hang_up(theirs)
        await _end(made, a1)
        assert (await made.record(a1, theirs)).tried == ("ann",)


@in_virtual_time
async def test_an_answer_that_crosses_our_cancel_is_hung_up_by_the_stack_and_nobody_is_stuck() -> (
    None
):
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        await asyncio.sleep(RING_S + 0.1)
        a1.sip.pick_up(ours)
        a1.sip.hang_up(theirs)
        await made.nothing_is_left()
        assert (await made.record(a1, theirs)).outcome is Outcome.ABANDONED


@in_virtual_time
async def test_an_agent_who_cannot_be_invited_counts_as_having_refused() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        a1.sip.faults["invite"] = LocalError("from_uri is more than one line")
        theirs = await a1.waiting()
        await until(lambda: bool(a1.sip.rung("ann") or a1.sip.rung("bob")), "the other is rung")
        a1.sip.hang_up(theirs)
        await _end(made, a1)


@in_virtual_time
@pytest.mark.parametrize("command", ["answer", "reinvite", "bye", "invite", "cancel"])
async def test_a_fault_of_ours_in_a_command_ends_the_call_and_frees_everything(
    command: str,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.sip.faults[command] = RuntimeError("a bug")
        theirs = a1.sip.arrive("15550001")
        await settle()
        a1.sip.acknowledge(theirs)
        await asyncio.sleep(0.5)
        for leg in a1.sip.rung("ann"):
            if command != "cancel":
                a1.sip.pick_up(leg)
        await asyncio.sleep(0.5)
        a1.sip.answer_ours(theirs)
        a1.sip.hang_up(theirs)
        await asyncio.sleep(3)
        await _end(made, a1)
        assert len(await made.records()) == 1
        # And the next caller is served by the same edge.
        await a1.talking()
        await _end(made, a1)


@in_virtual_time
async def test_a_fault_in_deciding_ends_the_call_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        other = await a1.waiting()

        def broken(*_: object) -> None:
            raise KeyError("+4930123")

        monkeypatch.setattr(call_parts, "end_caller", broken)
        a1.sip.hang_up(ours)
        await asyncio.sleep(5)
        monkeypatch.undo()
        assert a1.sip.open[theirs].state is S.ENDING
        a1.sip.hang_up(theirs)
        await a1.rung("ann")
        assert a1.state_of(other) == "ringing"
        await _end(made, a1)
        assert (await made.record(a1, theirs)).outcome is Outcome.LOST


@in_virtual_time
@pytest.mark.parametrize("step", ["hold_caller", "play", "offer_to_agent", "join", "release"])
@pytest.mark.parametrize("error", [UNAVAILABLE, MediaRefused("no"), SdpError("no"), OSError("x")])
async def test_whatever_the_relay_does_a_call_comes_to_one_end(step: str, error: Exception) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.media.fails_with[step] = error
        theirs = a1.sip.arrive("15550001")
        for _ in range(10):
            await asyncio.sleep(0.2)
            a1.sip.acknowledge(theirs)
            for leg in a1.sip.rung("ann"):
                a1.sip.pick_up(leg)
            a1.sip.answer_ours(theirs)
        a1.sip.hang_up(theirs)
        await asyncio.sleep(3)
        a1.media.fails_with.clear()
        for call in await a1.media.calls():
            await a1.media.release(call)  # what could not be released is the relay's to forget
        await _end(made, a1)
        assert len(await made.records()) == 1


@in_virtual_time
async def test_a_caller_who_will_not_be_re_invited_is_let_go_and_so_is_the_agent() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        await a1.reinvited(theirs)
        a1.sip.refuse_ours(theirs)
        assert {a1.sip.open[leg].state for leg in (theirs, ours)} == {S.ENDING}
        await _end(made, a1)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "reinvite_refused")
        work = a1.snapshot.works.get(next(iter(a1.snapshot.agents)))
        assert work is not None
        assert work.value.end is WorkEnd.WITHDRAWN


@pytest.mark.parametrize(("codec", "is_served"), [(b"0", True), (b"8", False)])
@in_virtual_time
async def test_who_refuses_the_re_invite_talks_if_the_relay_and_the_codecs_let_them(
    codec: bytes, *, is_served: bool
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.media.is_pinned = True
        sdp = CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 8")
        theirs = a1.sip.arrive("15550001", sdp=sdp)
        await until(lambda: a1.state_of(theirs) == "queued", "answered")
        a1.sip.acknowledge(theirs)
        ours = await a1.rung("ann")
        agent = sdp.replace(b"192.0.2.1", b"192.0.2.2").replace(b"RTP/AVP 0 8", b"RTP/AVP " + codec)
        a1.sip.pick_up(ours, agent)
        await a1.reinvited(theirs)
        a1.sip.refuse_ours(theirs)
        assert (a1.state_of(theirs) == "connected") is is_served
        await asyncio.sleep(5)
        if is_served:
            a1.sip.hang_up(theirs)
        await _end(made, a1)
        record = await made.record(a1, theirs)
        expected = (Outcome.ANSWERED, "caller_hung_up")
        lost = (Outcome.LOST, "reinvite_refused")
        assert (record.outcome, record.cause) == (expected if is_served else lost)


@in_virtual_time
async def test_a_hold_that_is_cancelled_puts_the_media_back() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        hold = CALLER_SDP.replace(b"sendrecv", b"sendonly")
        a1.media.delay_s = 0.2
        a1.sip.offer(theirs, hold)
        a1.sip.withdraw(theirs)
        await asyncio.sleep(2)
        assert a1.media.offers[-1][1] == CALLER_SDP
        assert a1.state_of(theirs) == "connected"
        # And the next hold is answered like any other.
        a1.sip.offer(theirs, hold)
        await until(lambda: not a1.sip.open[theirs].their_offer, "answered")
        assert b"a=recvonly" in a1.sip.open[theirs].told[-1]
        await _end(made, a1)


@in_virtual_time
async def test_a_hold_that_is_cancelled_after_the_relay_has_answered_changes_nothing() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.offer(ours, AGENT_SDP)
        await until(lambda: not a1.sip.open[ours].their_offer, "answered")
        a1.sip.withdraw(ours)
        assert a1.state_of(theirs) == "connected"
        await _end(made, a1)


@in_virtual_time
async def test_an_agent_who_stops_being_configured_is_passed_over() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        a1.media.delay_s = 0.2
        theirs = await a1.waiting()
        await until(lambda: a1.state_of(theirs) == "ringing", "reserved")
        await made.put("/everline/state/config/agent/ann", b"not a record")
        await until(lambda: a1.state_of(theirs) == "queued", "passed over")
        a1.sip.hang_up(theirs)
        await made.nothing_is_left()


@in_virtual_time
async def test_no_timer_of_a_call_outlives_it() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(GREETED)
        a1.sip.hang_up(theirs)
        await made.nothing_is_left()
        before = len(await made.records())
        await asyncio.sleep(RING_S + 5)
        assert len(await made.records()) == before == 1


@in_virtual_time
async def test_a_greeting_goes_on_for_whose_telephone_or_carrier_offers_anew_meanwhile() -> None:
    """As many do as soon as they are answered. They heard music, and nothing of a recording."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(GREETED)
        await asyncio.sleep(0.5)
        a1.sip.offer(theirs, OTHER_SDP)
        await asyncio.sleep(0.7)
        assert a1.media.played == ["hello", "hello"]
        assert a1.state_of(theirs) == "greeting"
        await asyncio.sleep(0.5)
        assert a1.state_of(theirs) == "ringing"
        assert a1.media.played == ["hello", "hello", "music"]
        await _end(made, a1)


@in_virtual_time
async def test_music_goes_on_for_who_offers_anew_once_the_greeting_is_over() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting(GREETED)
        await asyncio.sleep(2)
        a1.sip.offer(theirs, OTHER_SDP)
        await asyncio.sleep(2)
        assert a1.media.played == ["hello", "music", "music"]
        assert a1.state_of(theirs) == "queued"
        await _end(made, a1)


@in_virtual_time
async def test_a_late_offer_is_put_to_the_relay_when_the_ack_brings_it() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = a1.sip.arrive("15550001", sdp=None)
        await until(lambda: a1.state_of(theirs) == "queued", "answered")
        await asyncio.sleep(1)
        assert not a1.sip.rung("ann")
        a1.sip.acknowledge(theirs, OTHER_SDP)
        ours = await a1.rung("ann")
        assert a1.sip.open[ours].told == [OTHER_SDP]
        await _end(made, a1)


@in_virtual_time
async def test_an_ack_without_the_answer_that_it_owes_ends_the_call() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = a1.sip.arrive("15550001", sdp=None)
        await until(lambda: a1.state_of(theirs) == "queued", "answered")
        a1.sip.acknowledge(theirs, None)
        await _end(made, a1)
        assert (await made.record(a1, theirs)).cause == "no_session_in_ack"
