"""An agent passes the caller on: to another agent, or into a queue. Nobody is lost over it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.media.sdp import Direction, audio
from edge.sip.events import LegId
from state import keys
from state.model import (
    Agent,
    AgentId,
    CallRecord,
    Limit,
    Outcome,
    PresenceState,
    Queue,
    QueueId,
    RecordingRules,
    SiteId,
    SkillNeed,
    TenantId,
    TicketState,
)
from tests.edge.fake_telephony import AGENT_SDP, S
from tests.edge.one_edge import RING_S, TALKING, Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

ANN, BOB = AgentId("ann"), AgentId("bob")
TO_BOB = "sip:bob@everline"


def _state(edge: Edge, agent: AgentId) -> AgentState:
    return agent_states(edge.snapshot, LoopClock().now())[agent]


async def _passing(made: Center, edge: Edge) -> tuple[LegId, LegId, LegId]:
    """Go on until bob is being rung; the caller has been told where the music is."""
    await made.presence("bob", PresenceState.PAUSED)
    await settle()
    theirs, ours = await edge.talking("ann")
    await made.presence("bob", PresenceState.READY)
    await settle()
    edge.sip.refer(ours, TO_BOB)
    await edge.answer_ours(theirs, "the caller hears music")
    return theirs, ours, await edge.rung("bob")


async def _over(made: Center, edge: Edge, theirs: LegId) -> CallRecord:
    """Let everybody hang up, and see that nothing is left."""
    for _ in range(3):
        for leg in list(edge.sip.open):
            edge.sip.hang_up(leg)
            edge.sip.decline(leg, 487)
        await asyncio.sleep(0.2)
    record = await made.record(edge, theirs)
    await until(lambda: not edge.snapshot.offers and not edge.snapshot.tickets, "nothing is left")
    assert not edge.sip.open
    assert not await edge.media.calls()
    return record


@in_virtual_time
async def test_a_caller_is_passed_on_to_another_agent_and_the_first_is_out() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, second = await _passing(made, a1)
        assert a1.state_of(theirs) == "ringing"
        assert (_state(a1, ANN), _state(a1, BOB)) == (AgentState.TALKING, AgentState.OFFERED)
        a1.sip.ring(second)
        a1.sip.pick_up(second)
        await a1.answer_ours(theirs, "the caller is brought to bob")
        assert a1.state_of(theirs) == "connected"
        assert a1.sip.notified == [(first, 180, False), (first, 200, True)]
        assert a1.sip.open[first].state is S.ENDING
        await until(lambda: _state(a1, ANN) is AgentState.WRAP_UP, "ann is out")
        assert _state(a1, BOB) is AgentState.TALKING
        await asyncio.sleep(4)
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)
        assert [(talk.agent, talk.site) for talk in record.talks] == [
            (ANN, SiteId("a")),
            (BOB, SiteId("a")),
        ]
        assert record.talks[0].until_ms <= record.talks[1].since_ms
        assert record.talks[1].until_ms - record.talks[1].since_ms == pytest.approx(4000, abs=500)
        assert record.decision is not None
        assert record.decision.passed_on_by == ANN


@pytest.mark.parametrize("how", ["declines", "busy", "lets it ring", "is gone"])
@in_virtual_time
async def test_a_target_who_does_not_answer_brings_the_caller_back(how: str) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, second = await _passing(made, a1)
        match how:
            case "declines":
                a1.sip.decline(second)
            case "busy":
                a1.sip.decline(second, 486, "Busy Here")
            case "is gone":
                a1.sip.vanish(second)
            case _:
                await asyncio.sleep(RING_S + 0.1)
                a1.sip.decline(second, 487)
        await a1.answer_ours(first, "ann is asked back")
        await a1.answer_ours(theirs, "the caller is brought back to ann")
        assert a1.state_of(theirs) == "connected"
        status = {"declines": 603, "busy": 486, "lets it ring": 408, "is gone": 408}[how]
        assert a1.sip.notified[-1] == (first, status, True)
        await until(lambda: _state(a1, ANN) is AgentState.TALKING, "ann talks")
        assert BOB not in a1.snapshot.offers
        # She can pass them on again.
        await until(lambda: _state(a1, BOB) is AgentState.READY, "bob is rested")
        a1.sip.refer(first, TO_BOB)
        await a1.answer_ours(theirs, "music again")
        a1.sip.pick_up(await a1.rung("bob"))
        await a1.answer_ours(theirs, "bob has them")
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)
        assert [talk.agent for talk in record.talks] == [ANN, ANN, BOB]


HOLD = AGENT_SDP.replace(b"sendrecv", b"sendonly")
IN_OPUS = AGENT_SDP.replace(
    b"RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", b"RTP/AVP 96\r\na=rtpmap:96 opus/48000/2"
)


@pytest.mark.parametrize("offer", [HOLD, AGENT_SDP, None], ids=["hold", "resume", "asks"])
@pytest.mark.parametrize("phase", ["reserving", "ringing", "joining"])
@in_virtual_time
async def test_a_transferor_may_hold_resume_or_refresh_while_the_target_is_fetched(
    offer: bytes | None, phase: str
) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        if phase == "reserving":
            theirs, ours = await a1.talking("ann")
            a1.store.latency_s = 0.2
            a1.sip.refer(ours, TO_BOB)
            assert a1.state_of(theirs) == "transferring"
        else:
            theirs, ours, second = await _passing(made, a1)
            if phase == "joining":
                a1.media.delay_s = 0.2
                a1.sip.pick_up(second)
                assert a1.state_of(theirs) == "joining"
        held = a1.sip.open[ours]
        a1.sip.offer(ours, offer)
        assert (held.status, held.their_offer) == (0, False)
        assert audio(held.told[-1]).direction is Direction.INACTIVE
        a1.media.delay_s = 0.0
        if phase == "reserving":
            await a1.answer_ours(theirs, "music")
        second = second if phase == "joining" else await a1.rung("bob")
        a1.sip.pick_up(second)
        await a1.answer_ours(theirs, "bob has them")
        assert a1.sip.notified[-1] == (ours, 200, True)
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)


@in_virtual_time
async def test_a_transferor_who_held_while_it_rang_in_vain_has_the_caller_back() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, second = await _passing(made, a1)
        a1.sip.offer(first, HOLD)
        a1.sip.offer(first, AGENT_SDP)
        a1.sip.decline(second)
        await until(lambda: a1.sip.open[first].our_offer is not None, "ann is asked back")
        assert audio(a1.sip.open[first].told[-1]).direction is Direction.SENDRECV
        a1.sip.answer_ours(first, AGENT_SDP)
        await a1.answer_ours(theirs, "the caller is brought back to ann")
        assert a1.state_of(theirs) == "connected"
        await until(lambda: _state(a1, ANN) is AgentState.TALKING, "ann talks")
        await _over(made, a1, theirs)


@in_virtual_time
async def test_a_transferor_who_offers_what_cannot_be_answered_may_do_so_again() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, _ = await _passing(made, a1)
        a1.sip.offer(first, IN_OPUS)
        assert a1.sip.open[first].status == 491
        await _over(made, a1, theirs)


@in_virtual_time
async def test_an_agent_who_hangs_up_right_after_the_refer_has_passed_the_caller_on() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking("ann")
        other = "bob"
        a1.sip.refer(ours, f"sip:{other}@everline")
        a1.sip.hang_up(ours)
        await a1.answer_ours(theirs, "music")
        second = await a1.rung(other)
        await until(lambda: _state(a1, ANN) is AgentState.WRAP_UP, "ann is out")
        a1.sip.pick_up(second)
        await a1.answer_ours(theirs, "bob has them")
        assert a1.state_of(theirs) == "connected"
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)


@in_virtual_time
async def test_without_both_agents_the_caller_waits_at_the_old_place() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, second = await _passing(made, a1)
        later = await a1.waiting()
        a1.sip.hang_up(first)
        await until(lambda: ANN not in a1.snapshot.offers, "ann is out")
        a1.sip.decline(second)
        await until(lambda: a1.state_of(theirs) in {"queued", "ringing"}, "the caller waits")
        again = await a1.rung("ann")
        assert a1.sip.open[again].headers["X-Everline-Call"] == a1.call_of(theirs)
        a1.sip.pick_up(again)
        await a1.answer_ours(theirs, "ann has them again")
        a1.sip.hang_up(later)
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, ANN)


@pytest.mark.parametrize("phase", ["reserving", "ringing", "joining", "returning"])
@in_virtual_time
async def test_a_caller_who_hangs_up_in_a_transfer_leaves_nothing_behind(phase: str) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        if phase == "reserving":
            theirs, ours = await a1.talking("ann")
            a1.store.latency_s = 0.2
            a1.sip.refer(ours, TO_BOB)
            assert a1.state_of(theirs) == "transferring"
        else:
            theirs, ours, second = await _passing(made, a1)
            if phase == "joining":
                a1.sip.pick_up(second)
            if phase == "returning":
                a1.sip.decline(second)
                await until(lambda: a1.state_of(theirs) == "returning", "back to ann")
        a1.sip.hang_up(theirs)
        record = await _over(made, a1, theirs)
        assert (record.outcome, record.cause) == (Outcome.ANSWERED, "left_in_transfer")
        assert record.agent == ANN
        assert _state(a1, ANN) in {AgentState.WRAP_UP, AgentState.READY}
        assert a1.snapshot.works[ANN].value.calls == 1
        assert BOB not in a1.snapshot.works or a1.snapshot.works[BOB].value.calls == 0


@in_virtual_time
async def test_a_target_who_was_taken_meanwhile_is_busy_and_the_caller_comes_back() -> None:
    async with center("ann", "bob", edges=("a1", "a2")) as made:
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, ours = await a1.talking("ann")
        a1.store.watch_latency_s = 1.0
        other = await a2.waiting()
        await a2.rung("bob")
        a1.sip.refer(ours, TO_BOB)
        await until(lambda: bool(a1.sip.notified), "ann hears that it failed")
        assert a1.sip.notified == [(ours, 486, True)]
        await a1.answer_ours(ours, "ann is asked back")
        await a1.answer_ours(theirs, "music")
        await a1.answer_ours(theirs, "the caller is brought back")
        assert a1.state_of(theirs) == "connected"
        a2.sip.hang_up(other)
        await _over(made, a1, theirs)


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("sip:ann@everline", 403),
        ("sip:nobody@everline", 404),
        ("sip:+4930123456@carrier.example", 403),
        ("sip:15559999@everline", 403),
        ("sip:bob@everline?Replaces=c%40h%3Bto-tag%3D1%3Bfrom-tag%3D2", 481),
        ("tel:+4930123456", 416),
        ("rubbish", 404),
        ("sip:@@@", 400),
        ("sip:everline", 404),
        ("sip:far@everline", 404),
        ("sip:cyd@everline", 480),
        ("sip:%63yd;x@everline", 480),
        ("sip:dan@everline", 480),
    ],
)
@in_virtual_time
async def test_what_is_no_target_is_refused_at_once_and_the_talk_goes_on(
    to: str, status: int
) -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        await made.agent("cyd")
        await made.presence("cyd", PresenceState.PAUSED)
        await made.agent("dan")
        await made.presence("dan", PresenceState.SIGNED_OUT)
        far = AgentId("far")
        await made.put(
            keys.agent(far),
            Agent(id=far, name="far", site=SiteId("a"), skills={}, tenant=TenantId("other")),
        )
        theirs, ours = await a1.talking("ann")
        a1.sip.refer(ours, to)
        assert [each[0] for each in a1.sip.refusals] == [status]
        assert a1.sip.refusals[0][1]
        assert not a1.sip.accepted_refers
        assert a1.state_of(theirs) == "connected"
        await _over(made, a1, theirs)


@in_virtual_time
async def test_who_does_not_talk_passes_nobody_on() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        a1.sip.refer(theirs, TO_BOB)
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        a1.sip.refer(ours, TO_BOB)
        assert [each[0] for each in a1.sip.refusals] == [403, 403]
        await a1.answer_ours(theirs, "joined")
        a1.sip.refer(ours, TO_BOB)
        a1.sip.refer(ours, TO_BOB)
        assert [each[0] for each in a1.sip.refusals] == [403, 403, 491]
        await _over(made, a1, theirs)


@in_virtual_time
async def test_a_caller_is_put_into_another_queue_and_keeps_what_they_have_waited() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        support = QueueId("support")
        rules = RecordingRules(share=0.0)
        await made.put(
            keys.queue(support),
            Queue(
                id=support,
                needs=(SkillNeed(skill=TALKING, level=1),),
                music="other",
                priority=7,
                wrap_up_s=2.0,
                recording=rules,
                longest_wait_s=Limit(most=0.001),
            ),
        )
        await made.presence("bob", PresenceState.PAUSED)
        theirs, ours = await a1.talking("ann")
        entry = next(iter(a1.snapshot.tickets.values()))
        await asyncio.sleep(30)
        a1.sip.refer(ours, "sip:support@everline")
        assert a1.sip.notified == [(ours, 200, True)]
        assert a1.sip.open[ours].state is S.ENDING
        a1.sip.hang_up(ours)
        await a1.answer_ours(theirs, "music")
        await settle()
        waiting = next(iter(a1.snapshot.tickets.values())).value
        assert (waiting.queue, waiting.priority) == (support, 7)
        assert waiting.state in {TicketState.QUEUED, TicketState.OFFERED}
        assert waiting.waited_s == pytest.approx(entry.value.waited_s, abs=1)
        assert [talk.agent for talk in waiting.talks] == [ANN]
        await made.presence("bob", PresenceState.READY)
        a1.sip.pick_up(await a1.rung("bob"))
        await a1.answer_ours(theirs, "bob has them")
        record = await _over(made, a1, theirs)
        assert (record.queue, record.agent) == (support, BOB)
        assert record.unrecorded == "queue"
        assert [talk.agent for talk in record.talks] == [ANN, BOB]


@pytest.mark.parametrize("state", ["transferring", "ringing", "returning", "connected"])
@in_virtual_time
async def test_an_edge_that_is_killed_in_a_transfer_goes_on_with_it(
    state: str, tmp_path: Path
) -> None:
    async with center("ann", "bob", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        if state == "transferring":
            theirs, first = await a1.talking("ann")
            a1.store.loses_answers = 1
            a1.sip.refer(first, TO_BOB)
        else:
            theirs, first, second = await _passing(made, a1)
            if state == "connected":
                a1.sip.pick_up(second)
                await a1.answer_ours(theirs, "bob has them")
            elif state == "returning":
                a1.sip.decline(second)
        await until(lambda: a1.state_of(theirs) == state, state)
        await settle()
        record = await _next_life(made, a1, theirs, first, tmp_path)
        assert record.outcome is Outcome.ANSWERED
        assert record.agent == (BOB if state == "connected" else ANN)


@pytest.mark.parametrize("offer", [HOLD, AGENT_SDP, None], ids=["hold", "resume", "asks"])
@in_virtual_time
async def test_a_transferor_may_hold_or_refresh_while_a_next_life_takes_the_call_up(
    offer: bytes | None, tmp_path: Path
) -> None:
    async with center("ann", "bob", edges=()) as made:
        before = await made.edge("a1", tmp_path)
        theirs, first, _ = await _passing(made, before)
        await settle()
        a1 = await made.next_life(before, tmp_path)
        takeover = a1.takeover()
        held = a1.sip.open[first]
        a1.sip.offer(first, offer)
        assert (held.status, held.their_offer) == (0, False)
        assert audio(held.told[-1]).direction is Direction.INACTIVE
        a1.sip.refer(first, TO_BOB)
        assert [each[0] for each in a1.sip.refusals] == [491]
        await takeover.run()
        await a1.answer_ours(first, "ann is asked back")
        await a1.answer_ours(theirs, "the caller is brought back to ann")
        assert (await _over(made, a1, theirs)).agent == ANN


@in_virtual_time
async def test_an_agent_who_holds_while_a_next_life_takes_the_call_up_is_answered_by_it(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        before = await made.edge("a1", tmp_path)
        theirs, ours = await before.talking("ann")
        await before.sees_them_talk()
        a1 = await made.next_life(before, tmp_path)
        takeover = a1.takeover()
        held = a1.sip.open[ours]
        a1.sip.offer(ours, HOLD)
        assert held.status == 0
        await takeover.run()
        await until(lambda: not held.their_offer, "the hold is answered")
        assert (held.status, audio(held.told[-1]).direction) == (0, Direction.RECVONLY)
        assert a1.state_of(theirs) == "connected"
        assert (await _over(made, a1, theirs)).holds == 1


async def _next_life(
    made: Center, before: Edge, theirs: LegId, first: LegId, path: Path
) -> CallRecord:
    """Kill the edge, let its next life take the call up, and let its people go on."""
    state = before.state_of(theirs)
    a1 = await made.next_life(before, path)
    await a1.takeover().run()
    if state != "connected":
        if state != "returning":
            await a1.answer_ours(first, "ann is asked back")
            await a1.answer_ours(theirs, "the caller is brought back to ann")
        else:
            await until(lambda: a1.state_of(theirs) == "queued", "the caller waits again")
            await made.presence("bob", PresenceState.PAUSED)
            a1.sip.pick_up(await a1.rung("ann"))
            await a1.answer_ours(theirs, "the caller is with ann")
        assert a1.state_of(theirs) == "connected"
    return await _over(made, a1, theirs)


@in_virtual_time
async def test_a_wish_passes_the_caller_on_and_hears_how_it_gets_on() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first = await a1.talking("ann")
        call = a1.switchboard.call(a1.call_of(theirs))
        assert call is not None
        told: list[tuple[int, str]] = []

        def tell(status: int, reason: str) -> None:
            told.append((status, reason))

        call.obey(BOB, "ann", tell)
        assert told.pop()[0] == 403, "who does not talk with the caller does not pass them on"
        call.obey(ANN, "15559999", tell)
        assert told.pop() == (403, "No transfers outside")
        call.obey(ANN, "bob", tell)
        call.obey(ANN, "bob", tell)
        assert [status for status, _ in told] == [100, 491]
        await a1.answer_ours(theirs, "music")
        a1.sip.pick_up(await a1.rung("bob"))
        await a1.answer_ours(theirs, "bob has them")
        assert told[-1] == (200, "")
        assert a1.sip.notified == [], "her telephone has asked for nothing"
        assert a1.sip.open[first].state is S.ENDING
        assert (await _over(made, a1, theirs)).agent == BOB


@in_virtual_time
async def test_a_caller_who_comes_back_to_an_agent_who_still_holds_is_heard_when_they_resume() -> (
    None
):
    """Her resuming is answered here: the caller is told of it by nobody, and would not send."""
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first, bob = await _passing(made, a1)
        a1.sip.decline(bob)
        await a1.answer_ours(first, "ann is asked back", sdp=HOLD)
        await a1.reinvited(theirs, "the caller is brought back to ann")
        offer = a1.sip.open[theirs].told[-1]
        assert audio(offer).direction is Direction.SENDRECV
        a1.sip.answer_ours(theirs)
        await until(lambda: _state(a1, ANN) is AgentState.HOLD, "it is seen that ann holds")
        await _over(made, a1, theirs)


@in_virtual_time
async def test_an_agent_who_passed_on_from_hold_and_has_the_caller_back_is_seen_talking() -> None:
    async with center("ann", "bob") as made:
        a1 = made.edges["a1"]
        theirs, first = await a1.talking("ann")
        a1.sip.offer(first, AGENT_SDP.replace(b"sendrecv", b"sendonly"))
        await until(lambda: _state(a1, ANN) is AgentState.HOLD, "ann holds, as telephones do")
        await asyncio.sleep(2)
        a1.sip.refer(first, TO_BOB)
        await a1.answer_ours(theirs, "music")
        a1.sip.decline(await a1.rung("bob"))
        await a1.answer_ours(first, "ann is asked back", sdp=AGENT_SDP)
        await a1.answer_ours(theirs, "the caller is brought back to ann")
        await settle()
        assert _state(a1, ANN) is AgentState.TALKING
        await asyncio.sleep(1)
        record = await _over(made, a1, theirs)
        assert [talk.holds for talk in record.talks] == [1, 0]
        assert record.talks[0].held_s == pytest.approx(2.0, abs=0.3)
        assert record.holds == 1
