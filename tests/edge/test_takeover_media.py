"""What an edge's next life knows of its calls' media: what the relay had done, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.calls.journal import Journal
from edge.sip.events import LegId
from state.model import AgentId, Outcome, PresenceState, RecordingRules
from tests.edge.fake_telephony import CALLER_SDP
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center, everybody_leaves
from tests.edge.virtual_time import in_virtual_time, settle, until

ANN = AgentId("ann")
HOLD = CALLER_SDP.replace(b"sendrecv", b"sendonly")


async def _offered_to_the_relay(edge: Edge, leg: LegId) -> list[str]:
    """Let a telephone ask for a hold; return by which steps the relay was asked for it."""
    before = len(edge.media.offers)
    edge.sip.offer(leg, HOLD)
    await settle()
    return [step for step, _ in edge.media.offers[before:]]


@in_virtual_time
async def test_two_whom_the_relay_had_joined_are_joined_and_recorded_in_the_next_life(
    tmp_path: Path,
) -> None:
    """The edge died before the caller had answered its re-INVITE."""
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        await a1.reinvited(theirs)
        after = await made.next_life(a1, tmp_path)
        await after.takeover().run()
        assert after.state_of(theirs) == "connected"
        assert [word for word, *_ in after.recorder.said] == ["record"]
        assert await _offered_to_the_relay(after, ours) == ["agent"], "and no music"
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_whom_the_relay_had_not_joined_yet_waits_at_their_place(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        (place,) = a1.snapshot.tickets.values()
        a1.media.delay_s = 1.0
        a1.sip.pick_up(ours)
        await settle()
        assert a1.state_of(theirs) == "joining"
        after = await made.next_life(a1, tmp_path)
        after.media.delay_s = 0.0
        await after.takeover().run()
        after.sip.hang_up(ours)
        await after.answer_ours(theirs, "they hear music")
        await made.agent("bob")
        await after.joined(theirs, "bob")
        assert after.state_of(theirs) == "connected"
        await settle()
        (stands,) = after.snapshot.tickets.values()
        assert stands.create_revision == place.create_revision
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_was_put_back_has_the_music_and_no_agent_in_the_next_life(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking("ann")
        await made.presence("ann", PresenceState.PAUSED)
        a1.sip.vanish(ours)
        await a1.answer_ours(theirs, "they hear music")
        await settle()
        after = await made.next_life(a1, tmp_path)
        await after.takeover().run()
        assert after.state_of(theirs) == "queued"
        assert await _offered_to_the_relay(after, theirs) == ["hold_caller"]
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_whom_the_relay_had_not_put_back_yet_is_put_back(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking("ann")
        await made.presence("ann", PresenceState.PAUSED)
        await settle()
        a1.media.delay_s = 1.0
        a1.sip.vanish(ours)
        await settle()
        after = await made.next_life(a1, tmp_path)
        after.media.delay_s = 0.0
        after.media.played.clear()
        await after.takeover().run()
        await after.answer_ours(theirs, "they hear music")
        assert after.media.played == ["music"]
        await made.agent("bob")
        await after.joined(theirs, "bob")
        assert after.state_of(theirs) == "connected"
        await everybody_leaves(made)


@in_virtual_time
async def test_a_caller_who_has_offered_late_is_served_by_the_next_life(tmp_path: Path) -> None:
    """What they can do came with the ACK, and the relay was told after that."""
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = a1.sip.arrive("15550001", sdp=None)
        await until(lambda: a1.state_of(leg) == "queued", "answered")
        a1.sip.acknowledge(leg, CALLER_SDP)
        await settle()
        after = await made.next_life(a1, tmp_path)
        await after.takeover().run()
        await made.agent("ann")
        await after.joined(leg)
        assert after.state_of(leg) == "connected"
        after.sip.hang_up(leg)
        await everybody_leaves(made)
        assert (await made.record(after, leg)).outcome is Outcome.ANSWERED


# ---- by which rules ------------------------------------------------------------------------------


async def _knowing_nothing(made: Center, before: Edge, run_dir: Path) -> Edge:
    """Let the next life take calls up before it has seen the shared state, as a process does."""
    await before.kill()
    journal = Journal(run_dir / f"journal-{before.name}")
    after = made.edges[before.name] = Edge(before.name, made.store, journal, media=before.media)
    takeover = after.takeover()
    await after.start()
    await takeover.run()
    return after


@pytest.mark.parametrize(
    ("rules", "is_recorded"),
    [
        pytest.param(RecordingRules(), True, id="of every call"),
        pytest.param(RecordingRules(share=0.0), False, id="of none"),
        pytest.param(RecordingRules(consent="may we"), False, id="of who consents"),
    ],
)
@in_virtual_time
async def test_a_call_is_recorded_in_the_next_life_by_its_queues_rules(
    tmp_path: Path, rules: RecordingRules, *, is_recorded: bool
) -> None:
    async with center(edges=()) as made:
        await made.change_queue(recording=rules, music="waltz")
        a1 = await made.edge("a1", tmp_path)
        theirs = await a1.waiting()
        await until(lambda: a1.state_of(theirs) == "queued", "nobody has pressed a key")
        after = await _knowing_nothing(made, a1, tmp_path)
        await made.agent("ann")
        ours = await after.joined(theirs)
        assert any(word == "record" for word, *_ in after.recorder.said) is is_recorded
        await made.presence("ann", PresenceState.PAUSED)
        after.media.played.clear()
        after.sip.vanish(ours)
        await after.answer_ours(theirs, "they wait again")
        assert after.media.played == ["waltz"]
        await everybody_leaves(made)
