"""Who hangs up into a dead line was cut off, and is served again; who says goodbye is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd.call_events import Side
from edge.calls.journal import Journal
from edge.media.errors import MediaUnavailable
from edge.media.plan import AGENT, CALLER, Party
from edge.sip.events import LegId
from state.model import AgentId, Outcome
from tests.edge.fake_telephony import AGENT_SDP, CALLER_SDP
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, settle, until

PARTY: dict[Side, Party] = {Side.AGENT: AGENT, Side.CALLER: CALLER}
SIDES = pytest.mark.parametrize("gone", Side)
AS_BEFORE = {
    Side.AGENT: (Outcome.ANSWERED, "caller_hung_up"),
    Side.CALLER: (Outcome.LOST, "caller_unreachable"),
}


async def _talk(edge: Edge, gone: Side, *, unheard_s: int) -> tuple[LegId, LegId]:
    """Bring two together; return the leg of who will be gone, and that of who hangs up."""
    theirs, ours = await edge.talking("ann")
    await asyncio.sleep(60.0)
    edge.media.heard_s[PARTY[gone]] = edge.clock.now().wall_ms // 1000 + 1 - unheard_s
    return (ours, theirs) if gone is Side.AGENT else (theirs, ours)


@in_virtual_time
@SIDES
async def test_who_hangs_up_into_a_dead_line_keeps_the_place_for_the_same_agent(
    gone: Side,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, gone, unheard_s=4)
        a1.sip.hang_up(leaver)
        await until(lambda: not a1.snapshot.offers, "the agent is free", within_s=2.1)
        await asyncio.sleep(3.0)
        assert not await made.records(), "our goodbye may be answered yet"
        a1.sip.be_gone(dead)
        theirs = leaver if gone is Side.AGENT else dead
        assert await made.outcome(a1, theirs) == (Outcome.LOST, f"{gone}_unheard")
        (place,) = a1.snapshot.places.values()
        assert place.value.prefers == AgentId("ann")
        assert a1.media.released.count(str(place.value.call)) == 1


@in_virtual_time
@SIDES
async def test_whose_telephone_knows_of_no_call_and_was_silent_before_was_cut_off(
    gone: Side,
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, gone, unheard_s=4)
        a1.sip.hang_up(leaver)
        a1.sip.be_gone(dead)
        theirs = leaver if gone is Side.AGENT else dead
        assert await made.outcome(a1, theirs) == (Outcome.LOST, f"{gone}_unheard")
        assert a1.snapshot.places


@in_virtual_time
@SIDES
async def test_of_whom_nobody_knows_since_their_site_was_cut_off_lately_the_goodbye_stands(
    gone: Side,
) -> None:
    """They may have said one too, which did not get through: our own proxy knows no more."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, gone, unheard_s=4)
        a1.unsettled = frozenset({a1.settings.site})
        a1.sip.hang_up(leaver)
        a1.sip.be_gone(dead)
        theirs = leaver if gone is Side.AGENT else dead
        assert await made.outcome(a1, theirs) == AS_BEFORE[gone]
        assert not a1.snapshot.places


@in_virtual_time
@SIDES
async def test_who_was_heard_until_the_goodbye_was_told_it_in_peace(gone: Side) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, gone, unheard_s=0)
        a1.sip.hang_up(leaver)
        await asyncio.sleep(5.0)
        a1.sip.vanish(dead)
        theirs = leaver if gone is Side.AGENT else dead
        assert await made.outcome(a1, theirs) == AS_BEFORE[gone]
        assert not a1.snapshot.places


@in_virtual_time
async def test_a_dead_line_after_a_peaceful_goodbye_holds_the_record_up_no_longer_than_before() -> (
    None
):
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, Side.AGENT, unheard_s=0)
        a1.sip.hang_up(leaver)
        await asyncio.sleep(2.2)
        assert [each.cause for each in (await made.records()).values()] == ["caller_hung_up"]
        a1.sip.vanish(dead)


@in_virtual_time
@pytest.mark.parametrize("answers", [True, False])
async def test_whoever_answers_is_not_asked_about_and_the_relay_lets_them_go(
    *, answers: bool
) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, Side.AGENT, unheard_s=30)
        (call,) = a1.snapshot.tickets
        a1.sip.hang_up(leaver)
        assert not a1.media.released
        if answers:
            a1.sip.hang_up(dead)
        else:
            await asyncio.sleep(2.1)
        await until(lambda: call in a1.media.released, "the relay lets them go", within_s=0.2)
        assert a1.media.asked_last == ([] if answers else [call])
        a1.sip.hang_up(dead)
        await made.record(a1, leaver)


@in_virtual_time
@SIDES
async def test_who_may_be_silent_by_their_own_last_word_was_there(gone: Side) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, gone, unheard_s=30)
        said = AGENT_SDP if gone is Side.AGENT else CALLER_SDP
        a1.sip.offer(dead, said.replace(b"sendrecv", b"recvonly"))
        await settle()
        a1.sip.hang_up(leaver)
        a1.sip.be_gone(dead)
        theirs = leaver if gone is Side.AGENT else dead
        assert await made.outcome(a1, theirs) == AS_BEFORE[gone]


@in_virtual_time
async def test_a_relay_that_does_not_answer_changes_nothing_and_still_lets_go() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        dead, leaver = await _talk(a1, Side.AGENT, unheard_s=30)
        (call,) = a1.snapshot.tickets
        a1.media.fails_with["last_heard"] = MediaUnavailable("no answer")
        a1.sip.hang_up(leaver)
        a1.sip.vanish(dead)
        assert await made.outcome(a1, leaver) == AS_BEFORE[Side.AGENT]
        assert call in a1.media.released


@in_virtual_time
async def test_a_next_life_writes_what_was_known_when_the_edge_died(tmp_path: Path) -> None:
    """Killed while it waited for who was unheard: as before, a goodbye was said and answered."""
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        _, theirs = await _talk(a1, Side.AGENT, unheard_s=30)
        a1.sip.hang_up(theirs)
        await asyncio.sleep(3.0)
        assert not await made.records()
        await made.next_life(a1, tmp_path)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "caller_hung_up")


@in_virtual_time
async def test_a_next_life_writes_that_the_talk_was_cut_off_once_that_was_known(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        dead, theirs = await _talk(a1, Side.AGENT, unheard_s=30)
        a1.sip.hang_up(theirs)
        await asyncio.sleep(3.0)
        a1.store.is_away = True
        a1.sip.be_gone(dead)
        await settle()
        (owed,) = Journal(tmp_path / "journal-a1").load().owed.values()
        assert owed.ending.cause == "agent_unheard"
        again = await made.next_life(a1, tmp_path)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "agent_unheard")
        assert again.snapshot.places
        await until(lambda: not again.debts.owed, "nothing is owed any more")
