"""A whole edge keeps agents from callers who key tones, and nobody for ever, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.calls.journal import Journal
from edge.media.errors import MediaRefused, MediaUnavailable
from edge.media.sdp import audio, keys_apart
from edge.sip.events import LegId
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until

BOB_SDP = AGENT_SDP.replace(b"192.0.2.2", b"192.0.2.3")
ANN, BOB, ELSEWHERE = "192.0.2.2:4000", "192.0.2.3:4000", "192.0.2.9:4000"
AWAY = "127.0.0.1:9"
LONGEST_S = 65.0


class Scene:
    """Ann talks with a caller, who keys tones."""

    def __init__(self, made: Center, edge: Edge, theirs: LegId, ann: LegId) -> None:
        self.made, self.edge, self.theirs, self.ann = made, edge, theirs, ann
        (self.call,) = edge.snapshot.tickets

    @property
    def agent(self) -> str:
        """Where the relay sends the caller's audio."""
        sdp = self.edge.media.agents.get(self.call)
        if sdp is None:
            return "nowhere"
        section = audio(sdp)
        return f"{section.host}:{section.port}"

    async def until(self, agent: str, what: str) -> None:
        """Wait until the relay sends it there."""
        await until(lambda: self.agent == agent, what)

    async def keys(self) -> None:
        """Let the caller key until they are kept from the agent."""
        self.edge.recorder.hears_tones(self.call)
        await self.until(AWAY, "the agent is kept from the caller")

    async def until_answered(self, leg: LegId, offers: int) -> None:
        """Wait until the edge has answered an offer of theirs."""
        await until(lambda: len(self.edge.sip.open[leg].told) > offers, "it is answered")

    async def offer(self, leg: LegId, sdp: bytes) -> None:
        """Let a re-INVITE come, and be answered."""
        told = len(self.edge.sip.open[leg].told)
        self.edge.sip.offer(leg, sdp)
        await self.until_answered(leg, told)


@asynccontextmanager
async def scene(*others: str) -> AsyncIterator[Scene]:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ann = await a1.talking()
        for name in others:
            await made.agent(name)
        await settle()
        yield Scene(made, a1, theirs, ann)
        await everybody_leaves(made)


@in_virtual_time
async def test_an_agent_is_kept_from_who_keys_and_hears_them_again_after_it() -> None:
    async with scene() as now:
        assert now.agent == ANN
        await now.keys()
        now.edge.recorder.hears_tones()
        await now.until(ANN, "the agent hears the caller again")


@in_virtual_time
@pytest.mark.parametrize("of", ["agent", "caller"])
@pytest.mark.parametrize("direction", [b"sendrecv", b"sendonly"])
async def test_a_renegotiation_opens_no_ears_and_the_agents_last_description_is_put_back(
    of: str, direction: bytes
) -> None:
    async with scene() as now:
        await now.keys()
        elsewhere = AGENT_SDP.replace(b"192.0.2.2", b"192.0.2.9").replace(b"sendrecv", direction)
        if of == "agent":
            await now.offer(now.ann, elsewhere)
        else:
            await now.offer(now.theirs, CALLER_SDP.replace(b"sendrecv", direction))
        assert now.agent == AWAY
        now.edge.recorder.hears_tones()
        await now.until(ELSEWHERE if of == "agent" else ANN, "the agent hears the caller")


@in_virtual_time
async def test_a_renegotiation_after_which_the_relay_does_not_part_them_goes_on_and_is_mended() -> (
    None
):
    async with scene() as now:
        await now.keys()
        now.edge.media.fails_with["part"] = MediaUnavailable("no answer")
        await now.offer(now.ann, AGENT_SDP)
        await now.until(AWAY, "they are parted again")
        now.edge.recorder.hears_tones()
        await now.until(ANN, "the agent hears the caller")


@in_virtual_time
@pytest.mark.parametrize("is_done", [True, False])
async def test_a_relay_whose_answer_is_lost_keeps_nobody_apart_for_ever(*, is_done: bool) -> None:
    async with scene() as now:
        if is_done:
            now.edge.media.lost_answers.add("part")
        else:
            now.edge.media.fails_with["part"] = MediaUnavailable("no answer")
        now.edge.recorder.hears_tones(now.call)
        await settle()
        now.edge.recorder.hears_tones()
        await asyncio.sleep(2)
        assert now.agent == ANN


@in_virtual_time
async def test_a_relay_that_does_not_join_them_again_is_asked_until_it_does() -> None:
    async with scene() as now:
        await now.keys()
        now.edge.media.fails_with["part"] = MediaUnavailable("no answer")
        now.edge.recorder.hears_tones()
        await now.until(ANN, "the agent hears the caller again")
        now.edge.media.fails_with["part"] = MediaRefused("not now")
        now.edge.recorder.hears_tones(now.call)
        await now.until(AWAY, "asked again")


@in_virtual_time
@pytest.mark.parametrize("keys_on", [True, False])
async def test_the_next_agent_is_kept_from_who_keys_on_and_hears_who_does_not(
    *, keys_on: bool
) -> None:
    async with scene("bob") as now:
        await now.keys()
        now.edge.sip.refer(now.ann, "sip:bob@everline")
        await now.edge.answer_ours(now.theirs, "music")
        if not keys_on:
            now.edge.recorder.hears_tones()
        now.edge.sip.pick_up(await now.edge.rung("bob"), BOB_SDP)
        await now.edge.answer_ours(now.theirs, "bob is joined")
        if keys_on:
            await now.until(AWAY, "bob is kept from the caller")
            now.edge.recorder.hears_tones()
        await now.until(BOB, "bob hears the caller")


@in_virtual_time
async def test_an_agent_to_whom_the_caller_comes_back_hears_them() -> None:
    async with scene("bob") as now:
        await now.keys()
        now.edge.sip.refer(now.ann, "sip:bob@everline")
        await now.edge.answer_ours(now.theirs, "music")
        now.edge.recorder.hears_tones()
        now.edge.sip.decline(await now.edge.rung("bob"))
        await now.edge.answer_ours(now.ann, "ann is asked", sdp=AGENT_SDP)
        await now.edge.answer_ours(now.theirs, "back")
        await now.until(ANN, "ann hears the caller")


@in_virtual_time
@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_a_call_that_ends_meanwhile_leaves_nothing(who: str) -> None:
    async with scene() as now:
        await now.keys()
        now.edge.sip.hang_up(now.theirs if who == "caller" else now.ann)
        await settle()
        await everybody_leaves(now.made)
        assert not now.edge.media.agents
        await asyncio.sleep(LONGEST_S)  # the recorder may say for longer that somebody keys


@in_virtual_time
async def test_a_recorder_that_goes_away_or_says_it_for_ever_keeps_nobody_apart() -> None:
    async with scene() as now:
        await now.keys()
        now.edge.recorder.go(away=True)
        await now.until(ANN, "the agent hears the caller")
        now.edge.recorder.go(away=False)
        await now.until(AWAY, "it is back")
        await asyncio.sleep(LONGEST_S + 1)
        assert now.agent == ANN
        await now.offer(now.ann, AGENT_SDP)
        await asyncio.sleep(2)
        assert now.agent == ANN
        now.edge.recorder.hears_tones()
        await settle()
        await now.keys()


async def next_life(now: Scene, path: Path, *, recorder_is_away: bool, keys_on: bool) -> None:
    """Kill the edge and let its next life go on."""
    relay = now.edge.media
    await now.edge.kill()
    a1 = Edge("a1", now.made.store, Journal(path / "journal-a1"), media=relay)
    now.edge = now.made.edges["a1"] = a1
    a1.recorder.go(away=recorder_is_away)
    if keys_on:
        a1.recorder.hears_tones(now.call)
    await asyncio.gather(a1.start(), a1.takeover().run())
    assert a1.state_of(now.theirs) == "connected"


@in_virtual_time
@pytest.mark.parametrize("recorder_is_away", [True, False])
@pytest.mark.parametrize("keys_on", [True, False])
@pytest.mark.parametrize("is_killed_between", [True, False])
async def test_the_next_life_of_an_edge_joins_again_whom_the_former_has_kept_apart(
    tmp_path: Path, *, recorder_is_away: bool, keys_on: bool, is_killed_between: bool
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ann = await a1.talking()
        await settle()
        now = Scene(made, a1, theirs, ann)
        if is_killed_between:  # the relay has done it, and its answer has not come yet
            now.edge.media.lost_answers.add("part")
            now.edge.recorder.hears_tones(now.call)
            await until(lambda: now.agent == AWAY, "the relay has parted them")
        else:
            await now.keys()
        await next_life(now, tmp_path, recorder_is_away=recorder_is_away, keys_on=keys_on)
        if keys_on and not recorder_is_away:
            await settle()
            assert now.agent == AWAY
            await asyncio.sleep(LONGEST_S)
        await until(lambda: now.agent == ANN, "ann hears the caller", within_s=2)
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_is_held_back_once_they_are_copied_and_who_is_parted_stays_so() -> None:
    async with scene() as now:
        now.edge.hearing.hold_back(now.call)
        await settle()
        assert (now.edge.media.held_back, now.agent) == ([now.call], ANN)
        await now.keys()
        now.edge.hearing.hold_back(now.call)
        await settle()
        assert (now.edge.media.held_back, now.agent) == ([now.call] * 2, AWAY)
        now.edge.media.fails_with["hold_back"] = MediaUnavailable("the relay gave no answer")
        now.edge.hearing.hold_back(now.call)
        await settle()
        assert now.agent == AWAY
        now.edge.recorder.hears_tones()
        await now.until(ANN, "the agent hears the caller again")


@in_virtual_time
async def test_a_caller_with_telephone_event_is_not_held_back() -> None:
    events = b"a=rtpmap:101 telephone-event/8000\r\n"
    async with scene() as now:
        for leg, sdp in ((now.ann, AGENT_SDP), (now.theirs, CALLER_SDP)):
            await now.offer(leg, sdp.replace(b"RTP/AVP 0", b"RTP/AVP 0 101") + events)
        now.edge.hearing.hold_back(now.call)
        await settle()
        assert now.edge.media.held_back == []


@in_virtual_time
async def test_where_only_the_agent_has_no_telephone_event_the_caller_goes_on_to_key_events() -> (
    None
):
    events = b"a=rtpmap:101 telephone-event/8000\r\n"
    async with scene() as now:
        await now.offer(now.theirs, CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 101") + events)
        await now.offer(now.ann, AGENT_SDP)
        await now.offer(now.theirs, CALLER_SDP.replace(b"RTP/AVP 0", b"RTP/AVP 0 101") + events)
        assert keys_apart(now.edge.sip.open[now.theirs].told[-1])
        assert not now.edge.hearing.hears_keys(now.call)
        now.edge.hearing.hold_back(now.call)
        await settle()
        assert now.edge.media.held_back == []
