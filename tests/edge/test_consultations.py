"""An agent asks another about a caller, and may hand them over: nobody is rung twice, or lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from edge.acd.agent_state import AgentState, agent_states
from edge.acd.fallen_silent import AGAIN_S, LOOK_S, PATIENCE_BY_RIGHT_S
from edge.sip.events import LegId
from state.model import AgentId, CallRecord, Outcome, PresenceState, WorkEnd
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP, S
from tests.edge.lines import asked, speak
from tests.edge.one_edge import RING_S, Edge
from tests.edge.stage import Center, center
from tests.edge.troubled import UNAVAILABLE
from tests.edge.virtual_time import LoopClock, in_virtual_time, settle, until

ANN, BOB = AgentId("ann"), AgentId("bob")


def _state(edge: Edge, agent: AgentId) -> AgentState:
    return agent_states(edge.snapshot, LoopClock().now())[agent]


@dataclass
class Scene:
    """Ann talks with a caller and calls bob."""

    made: Center
    edge: Edge
    theirs: LegId
    """The caller's."""
    ours: LegId
    """Ann's in the caller's call."""
    asking: LegId
    """Ann's to bob."""

    @property
    def bob(self) -> LegId:
        """Bob's leg, however far it is."""
        return next(leg.id for leg in self.edge.sip.open.values() if leg.to == "bob")

    @property
    def replaces(self) -> str:
        """What ann's telephone says of the consultation when it hands over."""
        held = self.edge.sip.open[self.asking]
        named = quote(f"{held.sip_call_id};to-tag={held.id};from-tag=theirs", safe="")
        return f"sip:bob@everline?Replaces={named}"

    async def rings(self) -> LegId:
        """Wait until bob is being rung."""
        return await self.edge.rung("bob")

    async def talk(self) -> LegId:
        """Let bob answer, and the two talk."""
        bob = await self.rings()
        self.edge.sip.ring(bob)
        self.edge.sip.pick_up(bob)
        await until(lambda: self.edge.sip.open[self.asking].state is S.ANSWERED, "ann is answered")
        self.edge.sip.acknowledge(self.asking)
        await until(lambda: _state(self.edge, BOB) is AgentState.TALKING, "bob is seen to talk")
        return bob

    async def hand_over(self) -> None:
        """Let ann refer the caller to bob, and bob's telephone take them."""
        bob = self.bob
        self.edge.sip.refer(self.ours, self.replaces)
        await self.edge.answer_ours(self.theirs, "the caller hears music")
        await self.edge.answer_ours(bob, "bob is asked in")
        await self.edge.answer_ours(self.theirs, "the caller is brought to bob")

    async def ann_takes_the_goodbyes(self) -> None:
        """Let ann be out, and nothing be left of the consultation."""
        for leg in (self.ours, self.asking):
            self.edge.sip.hang_up(leg)
        await until(lambda: _state(self.edge, ANN) is AgentState.WRAP_UP, "ann is out")

    async def over(self) -> CallRecord:
        """Let everybody hang up, and see that nothing is left."""
        for _ in range(3):
            for leg in list(self.edge.sip.open):
                self.edge.sip.hang_up(leg)
                self.edge.sip.decline(leg, 487)
            await asyncio.sleep(0.2)
        record = await self.made.record(self.edge, self.theirs)
        await self.made.nothing_is_left()
        return record


async def _asks(made: Center, *, agent: str = "bob") -> Scene:
    """Bring a caller to ann, and let her call somebody."""
    edge = made.edges["a1"]
    await made.presence("bob", PresenceState.PAUSED)
    await settle()
    theirs, ours = await edge.talking("ann")
    await made.presence("bob", PresenceState.READY)
    await settle()
    asking = edge.sip.arrive(agent, caller="ann", headers={"x-everline-agent": "ann"})
    return Scene(made, edge, theirs, ours, asking)


@pytest.mark.parametrize("written", ["bob", "b%6Fb"])
@in_virtual_time
async def test_an_agent_calls_another_who_is_reserved_for_the_callers_call_and_rung_once(
    written: str,
) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made, agent=written)
        bob = await scene.rings()
        assert _state(scene.edge, BOB) is AgentState.OFFERED
        assert {offer.call for offer in await made.offers()} == {
            ticket.call for ticket in await made.tickets()
        }
        (ticket,) = await made.tickets()
        assert ticket.agent == ANN
        scene.edge.sip.ring(bob)
        assert scene.edge.sip.open[scene.asking].status == 180
        await scene.talk()
        assert scene.edge.state_of(scene.theirs) == "connected"
        record = await scene.over()
        assert (record.outcome, record.agent, record.talks) == (Outcome.ANSWERED, ANN, ())


@in_virtual_time
async def test_a_caller_is_handed_over_to_who_was_consulted_in_one_record() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        await scene.hand_over()
        assert scene.edge.state_of(scene.theirs) == "connected"
        assert scene.edge.sip.notified == [(scene.ours, 200, True)]
        assert scene.edge.sip.open[scene.ours].state is S.ENDING
        assert scene.edge.sip.open[scene.asking].state is S.ENDING
        assert scene.edge.sip.open[bob].state is S.UP
        await until(lambda: _state(scene.edge, ANN) is AgentState.WRAP_UP, "ann is out")
        assert _state(scene.edge, BOB) is AgentState.TALKING
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)
        assert [talk.agent for talk in record.talks] == [ANN, BOB]
        assert record.decision is not None
        assert record.decision.passed_on_by == ANN
        assert record.agent_sip_call_id == scene.edge.sip.over[bob].sip_call_id
        said = [each for each in scene.edge.recorder.said if each[0] == "record"]
        assert [each[3] for each in said] == [ANN, BOB]


@pytest.mark.parametrize("how", ["declines", "busy", "lets it ring", "is gone"])
@in_virtual_time
async def test_a_colleague_who_does_not_answer_is_free_and_the_talk_goes_on(how: str) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.rings()
        match how:
            case "declines":
                scene.edge.sip.decline(bob)
            case "busy":
                scene.edge.sip.decline(bob, 486, "Busy Here")
            case "is gone":
                scene.edge.sip.vanish(bob)
            case _:
                await asyncio.sleep(RING_S + 0.1)
                assert scene.edge.sip.open[bob].state is S.CANCELLING
                scene.edge.sip.decline(bob, 487)
        refused = scene.edge.sip.over[scene.asking]
        status = {"declines": 603, "busy": 486, "lets it ring": 480, "is gone": 408}[how]
        assert refused.status == status
        await until(lambda: _state(scene.edge, BOB) is AgentState.READY, "bob is free")
        assert scene.edge.state_of(scene.theirs) == "connected"
        await scene.over()


@pytest.mark.parametrize("who", ["asker", "colleague"])
@in_virtual_time
async def test_either_of_the_two_hangs_up_and_the_caller_is_still_anns(who: str) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        first, other = (scene.asking, bob) if who == "asker" else (bob, scene.asking)
        scene.edge.sip.hang_up(first)
        assert scene.edge.sip.open[other].state is S.ENDING
        scene.edge.sip.hang_up(other)
        await until(lambda: _state(scene.edge, BOB) is AgentState.READY, "bob is free")
        assert scene.edge.state_of(scene.theirs) == "connected"
        assert _state(scene.edge, ANN) is AgentState.TALKING
        record = await scene.over()
        assert (record.outcome, record.agent, record.talks) == (Outcome.ANSWERED, ANN, ())


@pytest.mark.parametrize("stage", ["at once", "rings", "talks"])
@pytest.mark.parametrize("who", ["caller", "agent"])
@in_virtual_time
async def test_a_call_that_ends_meanwhile_ends_the_consultation_too(who: str, stage: str) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        if stage == "rings":
            await scene.rings()
        elif stage == "talks":
            await scene.talk()
        scene.edge.sip.hang_up(scene.theirs if who == "caller" else scene.ours)
        if stage == "talks":
            assert scene.edge.sip.open[scene.asking].state is S.ENDING
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, ANN)
        assert not scene.edge.sip.rung("bob")


@pytest.mark.parametrize("stage", ["rings", "talks"])
@pytest.mark.parametrize("who", ["caller", "agent"])
@in_virtual_time
async def test_a_colleague_whose_goodbye_comes_after_the_end_of_the_call_has_no_wrap_up(
    who: str, stage: str
) -> None:
    """They were asked, and have not talked with the caller."""
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await (scene.rings() if stage == "rings" else scene.talk())
        sip = scene.edge.sip
        sip.hang_up(scene.theirs if who == "caller" else scene.ours)
        for leg in (scene.theirs, scene.ours, scene.asking):
            sip.hang_up(leg)
        await until(lambda: not scene.edge.snapshot.tickets, "the call is over")
        sip.vanish(bob)
        await until(lambda: BOB not in scene.edge.snapshot.offers, "bob is let go")
        work = scene.edge.snapshot.works[BOB].value
        assert (work.end, work.calls, work.rest_s) == (WorkEnd.WITHDRAWN, 0, 0.0)
        assert _state(scene.edge, BOB) is AgentState.READY
        assert _state(scene.edge, ANN) is AgentState.WRAP_UP
        await scene.over()


@in_virtual_time
async def test_a_colleague_who_answers_as_the_asker_gives_up_is_hung_up_and_free() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.rings()
        scene.edge.sip.hang_up(scene.asking)
        assert scene.edge.sip.open[bob].state is S.CANCELLING
        scene.edge.sip.pick_up(bob)
        await until(lambda: _state(scene.edge, BOB) is AgentState.READY, "bob is free")
        await scene.over()


@pytest.mark.parametrize("step", ["relay_offer", "relay_answer"])
@in_virtual_time
async def test_a_relay_that_fails_costs_the_consultation_and_not_the_call(step: str) -> None:
    async with center("ann", "bob") as made:
        edge = made.edges["a1"]
        theirs, ours = await edge.talking("ann")
        await settle()
        edge.media.fails_with[step] = UNAVAILABLE
        asking = edge.sip.arrive("bob", caller="ann", headers={"x-everline-agent": "ann"})
        scene = Scene(made, edge, theirs, ours, asking)
        if step == "relay_answer":
            edge.sip.pick_up(await scene.rings())
        await until(lambda: asking in edge.sip.over, "ann is refused")
        assert edge.sip.over[asking].status == 503
        assert edge.state_of(theirs) == "connected"
        await scene.over()


@pytest.mark.parametrize("to", ["bob", "ann", "cem"])
@in_virtual_time
async def test_who_cannot_be_had_is_not_rung_and_the_asker_hears_why(to: str) -> None:
    async with center("ann", "bob") as made:
        await made.agent("cem")
        await made.presence("cem", PresenceState.PAUSED)
        scene = await _asks(made, agent=to)
        if to == "bob":
            await scene.rings()
            again = scene.edge.sip.arrive("bob", caller="ann", headers={"x-everline-agent": "ann"})
            assert scene.edge.sip.over[again].status == 491
        else:
            status = {"ann": 403, "cem": 480}[to]
            assert scene.edge.sip.over[scene.asking].status == status
        await scene.over()


@in_virtual_time
async def test_an_agent_without_a_caller_and_one_who_is_none_call_nobody() -> None:
    async with center("ann", "bob") as made:
        edge = made.edges["a1"]
        for headers in ({"x-everline-agent": "ann"}, {"x-everline-agent": "mallory"}):
            leg = edge.sip.arrive("bob", caller="ann", headers=headers)
            assert edge.sip.over[leg].status == 403
        leg = edge.sip.arrive("bob", caller="ann")
        assert edge.sip.over[leg].status == 404
        assert not await made.offers()
        await made.nothing_is_left()


@in_virtual_time
async def test_a_late_offer_is_refused() -> None:
    async with center("ann", "bob") as made:
        edge = made.edges["a1"]
        theirs, ours = await edge.talking("ann")
        headers = {"x-everline-agent": "ann"}
        asking = edge.sip.arrive("bob", caller="ann", sdp=None, headers=headers)
        assert edge.sip.over[asking].status == 488
        await Scene(made, edge, theirs, ours, asking).over()


@pytest.mark.parametrize("what", ["other", "half", "over"])
@in_virtual_time
async def test_a_refer_that_names_no_consultation_is_refused(what: str) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        replaces = scene.replaces
        if what == "over":
            scene.edge.sip.hang_up(bob)
        elif what == "other":
            replaces = replaces.replace("to-tag%3D", "to-tag%3Dx")
        elif what == "half":
            replaces = replaces.partition("%3Bfrom-tag")[0]
        scene.edge.sip.refer(scene.ours, replaces)
        ((status, _),) = scene.edge.sip.refusals
        assert status == {"other": 481, "half": 400, "over": 481}[what]
        assert scene.edge.state_of(scene.theirs) == "connected"
        await scene.over()


async def _promise(scene: Scene, *, gives_up: bool) -> LegId:
    """Let ann refer the caller to bob, whose telephone rings; perhaps she hangs up on him then."""
    bob = await scene.rings()
    scene.edge.sip.ring(bob)
    scene.edge.sip.refer(scene.ours, scene.replaces)
    assert len(scene.edge.sip.accepted_refers) == 1
    await scene.edge.answer_ours(scene.theirs, "the caller hears music")
    if gives_up:
        scene.edge.sip.hang_up(scene.asking)
    await settle()
    assert scene.edge.sip.rung("bob") == [bob], "he is rung on, and once"
    return bob


@in_virtual_time
async def test_a_colleague_whose_offer_is_at_a_slow_relay_has_the_caller_all_the_same() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        edge = scene.edge
        edge.media.delay_s = 0.3
        edge.sip.offer(bob, AGENT_SDP.replace(b"sendrecv", b"sendonly"))
        await asyncio.sleep(0.01)
        edge.media.delay_s = 0.0
        await scene.hand_over()
        await scene.ann_takes_the_goodbyes()
        edge.sip.offer(bob)
        await asyncio.sleep(1.0)
        assert edge.state_of(scene.theirs) == "connected"
        assert (edge.sip.open[bob].status, edge.sip.open[bob].their_offer) == (0, False)
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)


@pytest.mark.parametrize("gives_up", [False, True])
@in_virtual_time
async def test_a_caller_who_is_handed_over_while_it_rings_gets_who_answers(
    *, gives_up: bool
) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await _promise(scene, gives_up=gives_up)
        scene.edge.sip.pick_up(bob)
        await scene.edge.answer_ours(bob, "bob is asked in")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought to bob")
        assert scene.edge.state_of(scene.theirs) == "connected"
        assert scene.edge.sip.notified == [(scene.ours, 180, False), (scene.ours, 200, True)]
        assert scene.edge.sip.open[scene.ours].state is S.ENDING
        if not gives_up:
            assert scene.edge.sip.over[scene.asking].status == 487
        await until(lambda: _state(scene.edge, ANN) is AgentState.WRAP_UP, "ann is out")
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)
        assert [talk.agent for talk in record.talks] == [ANN, BOB]


@pytest.mark.parametrize("gives_up", [False, True])
@pytest.mark.parametrize("how", ["declines", "lets it ring"])
@in_virtual_time
async def test_a_caller_who_was_handed_over_while_it_rang_in_vain_comes_back(
    how: str, *, gives_up: bool
) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await _promise(scene, gives_up=gives_up)
        if how == "declines":
            scene.edge.sip.decline(bob)
        else:
            await asyncio.sleep(RING_S + 0.1)
            scene.edge.sip.decline(bob, 487)
        await scene.edge.answer_ours(scene.ours, "ann is asked back")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought back to ann")
        assert scene.edge.state_of(scene.theirs) == "connected"
        status = {"declines": 603, "lets it ring": 480}[how]
        assert scene.edge.sip.notified[-1] == (scene.ours, status, True)
        await until(lambda: _state(scene.edge, BOB) is AgentState.READY, "bob is free")
        record = await scene.over()
        assert [talk.agent for talk in record.talks] == [ANN, ANN]


@pytest.mark.parametrize("who", ["caller", "agent"])
@in_virtual_time
async def test_whoever_hangs_up_while_it_rings_for_a_caller_who_is_promised_nothing_is_left(
    who: str,
) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await _promise(scene, gives_up=True)
        scene.edge.sip.hang_up(scene.theirs if who == "caller" else scene.ours)
        if who == "caller":
            assert scene.edge.sip.open[bob].state is S.CANCELLING
            scene.edge.sip.decline(bob, 487)
            record = await scene.over()
            assert (record.outcome, record.cause) == (Outcome.ANSWERED, "left_in_transfer")
            return
        scene.edge.sip.pick_up(bob)
        await scene.edge.answer_ours(bob, "bob is asked in")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought to bob")
        await until(lambda: _state(scene.edge, ANN) is AgentState.WRAP_UP, "ann is out")
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)


@in_virtual_time
async def test_a_colleague_whose_telephone_refuses_the_caller_is_out_and_they_come_back() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        scene.edge.sip.refer(scene.ours, scene.replaces)
        await scene.edge.answer_ours(scene.theirs, "the caller hears music")
        await scene.edge.reinvited(bob, "bob is asked in")
        scene.edge.sip.refuse_ours(bob)
        await scene.edge.answer_ours(scene.ours, "ann is asked back")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought back to ann")
        assert scene.edge.state_of(scene.theirs) == "connected"
        assert scene.edge.sip.notified[-1] == (scene.ours, 480, True)
        assert scene.edge.sip.open[bob].state is S.ENDING
        assert scene.edge.sip.open[scene.asking].state is S.ENDING
        record = await scene.over()
        assert [talk.agent for talk in record.talks] == [ANN, ANN]


@pytest.mark.parametrize("who", ["caller", "agent", "asker", "colleague"])
@pytest.mark.parametrize("when", ["at once", "asked in"])
@in_virtual_time
async def test_whoever_hangs_up_while_the_caller_is_handed_over_nothing_is_left(
    who: str, when: str
) -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        scene.edge.store.latency_s = 0.05
        scene.edge.sip.refer(scene.ours, scene.replaces)
        if when == "asked in":
            await scene.edge.answer_ours(scene.theirs, "the caller hears music")
            await scene.edge.reinvited(bob, "bob is asked in")
        legs = {"caller": scene.theirs, "agent": scene.ours, "asker": scene.asking}
        scene.edge.sip.hang_up(legs.get(who, bob))
        await asyncio.sleep(0.5)
        if who in {"agent", "asker"}:
            for leg in (scene.theirs, bob, scene.theirs):
                scene.edge.sip.answer_ours(leg)
                await asyncio.sleep(0.2)
            assert scene.edge.state_of(scene.theirs) == "connected"
            assert _state(scene.edge, BOB) is AgentState.TALKING
        record = await scene.over()
        assert record.outcome is Outcome.ANSWERED
        assert record.agent == (BOB if who in {"agent", "asker"} else ANN)


@in_virtual_time
async def test_a_store_that_is_away_as_the_caller_is_handed_over_has_them_wait_with_music() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        scene.edge.store.is_away = True
        scene.edge.sip.refer(scene.ours, scene.replaces)
        await scene.edge.answer_ours(scene.theirs, "the caller hears music")
        await asyncio.sleep(0.5)
        assert scene.edge.state_of(scene.theirs) == "transferring"
        scene.edge.store.is_away = False
        await scene.edge.answer_ours(bob, "bob is asked in")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought to bob")
        assert scene.edge.state_of(scene.theirs) == "connected"
        assert (await scene.over()).agent == BOB


@in_virtual_time
async def test_the_two_put_each_other_on_hold_and_the_callers_session_stays_as_it_is() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        before = len(scene.edge.sip.open[scene.theirs].told)
        for leg in (scene.asking, bob):
            told = len(scene.edge.sip.open[leg].told)
            scene.edge.sip.offer(leg, CALLER_SDP.replace(b"sendrecv", b"sendonly"))
            await until(
                lambda leg=leg, told=told: len(scene.edge.sip.open[leg].told) > told,  # type: ignore[misc]
                "answered",
            )
        assert len(scene.edge.sip.open[scene.theirs].told) == before
        await scene.over()


@in_virtual_time
async def test_who_resumes_by_asking_for_an_offer_is_heard_where_they_say() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        moved = CALLER_SDP.replace(b"4000", b"4444")
        for leg in (scene.asking, bob):
            scene.edge.sip.offer(leg, CALLER_SDP.replace(b"sendrecv", b"inactive"))
            await settle()
            scene.edge.sip.offer(leg, None)
            await settle()
            assert b"a=sendrecv" in scene.edge.sip.open[leg].told[-1]
            scene.edge.sip.answer_asked(leg, moved)
            await settle()
            assert scene.edge.media.offers[-1][1] == moved
        await scene.over()


@in_virtual_time
async def test_a_blind_transfer_to_a_third_ends_the_consultation() -> None:
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.talk()
        await made.agent("cem")
        await settle()
        scene.edge.sip.refer(scene.ours, "sip:cem@everline")
        assert scene.edge.sip.open[scene.asking].state is S.ENDING
        assert scene.edge.sip.open[bob].state is S.ENDING
        await scene.edge.rung("cem")
        await scene.over()


@pytest.mark.parametrize("stage", ["rings", "talks", "handed", "over"])
@in_virtual_time
async def test_an_edge_that_dies_meanwhile_goes_on_with_the_caller_and_frees_the_colleague(
    tmp_path: Path, stage: str
) -> None:
    async with center("ann", "bob", edges=()) as made:
        first = await made.edge("a1", tmp_path)
        scene = await _asks(made)
        await (scene.rings() if stage == "rings" else scene.talk())
        if stage in {"handed", "over"}:
            await scene.hand_over()
            await settle()
        if stage == "over":
            await scene.ann_takes_the_goodbyes()
        second = await made.next_life(first, tmp_path)
        await second.takeover().run()
        whose = BOB if stage in {"handed", "over"} else ANN
        await until(lambda: set(second.snapshot.offers) == {whose}, "one agent is held")
        await settle()
        assert set(second.snapshot.offers) == {whose}
        asking = second.sip.open.get(scene.asking)
        # Else there is no leg, or they had been told goodbye already.
        if stage == "talks":
            assert asking is not None
            assert asking.state is S.ENDING
        assert [call.state for call in second.switchboard.held()] == ["connected"]
        scene.edge = second
        record = await scene.over()
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, whose)


@in_virtual_time
async def test_a_record_that_is_owed_of_a_caller_who_was_handed_over_names_who_had_them(
    tmp_path: Path,
) -> None:
    async with center("ann", "bob", edges=()) as made:
        first = await made.edge("a1", tmp_path)
        scene = await _asks(made)
        await scene.talk()
        await scene.hand_over()
        await scene.ann_takes_the_goodbyes()
        first.store.is_away = True
        first.sip.hang_up(scene.theirs)
        await settle()
        await made.next_life(first, tmp_path)
        record = await made.record(first, scene.theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, BOB)
        assert [talk.agent for talk in record.talks] == [ANN, BOB]


@in_virtual_time
async def test_a_record_that_is_owed_frees_the_colleague_without_a_wrap_up(tmp_path: Path) -> None:
    async with center("ann", "bob", edges=()) as made:
        first = await made.edge("a1", tmp_path)
        scene = await _asks(made)
        await scene.talk()
        first.store.is_away = True
        first.sip.hang_up(scene.theirs)
        await settle()
        second = await made.next_life(first, tmp_path)
        record = await made.record(first, scene.theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, ANN)
        await until(lambda: not second.snapshot.offers, "both are free")
        works = {agent: work.value.end for agent, work in second.snapshot.works.items()}
        assert works == {ANN: WorkEnd.TALKED, BOB: WorkEnd.WITHDRAWN}


@pytest.mark.parametrize("declines", ["before the REFER", "after the REFER"])
@pytest.mark.parametrize("seen_late_s", [0.0, 0.5])
@in_virtual_time
async def test_an_asker_who_gives_up_and_passes_the_caller_on_to_the_same_colleague_is_obeyed(
    declines: str, seen_late_s: float
) -> None:
    """RFC 5589 section 7: a telephone whose call still rings cancels it, and refers at once.

    That the colleague is free again a mirror may show long after the store, where a machine has
    much to do. (A REFER that overtakes the CANCEL: `_promise`.)
    """
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.rings()
        await until(lambda: BOB in scene.edge.snapshot.offers, "bob is seen to be held")
        scene.edge.store.watch_latency_s = seen_late_s
        scene.edge.sip.hang_up(scene.asking)
        if declines == "before the REFER":
            scene.edge.sip.decline(bob, 487)
            await settle()
        scene.edge.sip.refer(scene.ours, "sip:bob@everline")
        assert not scene.edge.sip.refusals
        if declines == "after the REFER":
            scene.edge.sip.decline(bob, 487)
        await scene.edge.answer_ours(scene.theirs, "the caller hears music")
        again = await scene.rings()
        assert again != bob
        scene.edge.sip.pick_up(again)
        await scene.edge.answer_ours(scene.theirs, "the caller is brought to bob")
        assert scene.edge.sip.notified[-1] == (scene.ours, 200, True)
        scene.edge.store.watch_latency_s = 0.0
        await scene.over()


@pytest.mark.parametrize("stage", ["rings", "talks"])
@pytest.mark.parametrize("by", ["telephone", "desk"])
@in_virtual_time
async def test_who_passes_the_caller_on_to_the_one_whom_they_consult_hands_them_over(
    by: str, stage: str
) -> None:
    """A telephone may know nothing of Replaces, and a desk has no dialog to name."""
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        bob = await scene.rings()
        if stage == "talks":
            await scene.talk()
        told: list[int] = []
        if by == "telephone":
            scene.edge.sip.refer(scene.ours, "sip:bob@everline")
        else:
            (call,) = scene.edge.switchboard.held()
            call.obey(ANN, "bob", lambda status, _: told.append(status))
        await scene.edge.answer_ours(scene.theirs, "the caller hears music")
        if stage == "rings":
            scene.edge.sip.pick_up(bob)
        await scene.edge.answer_ours(bob, "bob is asked in")
        await scene.edge.answer_ours(scene.theirs, "the caller is brought to bob")
        assert scene.edge.state_of(scene.theirs) == "connected"
        if by == "telephone":
            told = [status for _, status, _ in scene.edge.sip.notified]
        assert told[-1] == 200
        assert (180 in told) is (stage == "rings")
        record = await scene.over()
        assert [talk.agent for talk in record.talks] == [ANN, BOB]


@in_virtual_time
async def test_an_asker_whose_line_dies_leaves_the_caller_to_others_and_the_colleague_free() -> (
    None
):
    async with center("ann", "bob") as made:
        scene = await _asks(made)
        edge = scene.edge
        bob = await scene.talk()
        edge.media.packets = 300
        edge.sip.offer(scene.ours, AGENT_SDP.replace(b"sendrecv", b"sendonly"))
        await settle()
        for times in (1, 2):
            await speak(edge, AGAIN_S + LOOK_S + 1, agent=False)
            assert asked(edge, scene.ours) == times
            assert edge.state_of(scene.theirs) == "connected"
            edge.sip.tell_of(scene.ours, is_there=times == 1)
        await speak(edge, PATIENCE_BY_RIGHT_S + LOOK_S, agent=False)
        assert edge.state_of(scene.theirs) != "connected"
        for leg in (scene.ours, scene.asking, bob):
            assert "bye" in edge.sip.open[leg].said
        for leg in (scene.ours, scene.asking):
            edge.sip.vanish(leg)
        edge.sip.hang_up(bob)
        await edge.answer_ours(scene.theirs, "the caller hears music")
        await edge.joined(scene.theirs, "bob")
        record = await scene.over()
        assert [talk.agent for talk in record.talks] == [ANN, BOB]
