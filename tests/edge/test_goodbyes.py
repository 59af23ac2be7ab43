"""Who hangs up is answered when the end of the call is written down; who is not has ended nothing.

So the people's books and the edges' agree, whatever dies in between: both say answered if the
goodbye was, and lost if it was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.calls.journal import Journal
from edge.sip.events import LegId
from state.model import AgentId, Outcome
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, settle, until

Pick = Callable[[LegId, LegId], LegId]


def _caller(theirs: LegId, _ours: LegId) -> LegId:
    return theirs


def _agent(_theirs: LegId, ours: LegId) -> LegId:
    return ours


def _has_answered(edge: Edge, leg: LegId) -> bool:
    return f"bye-{leg}" in edge.sip.answered_goodbyes


@in_virtual_time
@pytest.mark.parametrize("who", [_caller, _agent])
async def test_a_goodbye_is_answered_once_the_record_is_written(who: Pick) -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        first, second = (theirs, ours) if who is _caller else (ours, theirs)
        await settle()
        a1.store.latency_s = 0.1
        a1.sip.hang_up(first)
        a1.sip.hang_up(second)
        await settle()
        assert not _has_answered(a1, first)
        await until(lambda: _has_answered(a1, first), "the goodbye is answered")
        assert len(await made.records()) == 1, "it stands before anybody is told"
        a1.store.latency_s = 0.0


@in_virtual_time
@pytest.mark.parametrize("who", [_caller, _agent])
async def test_nobody_was_told_of_an_end_that_their_edge_could_not_write(who: Pick) -> None:
    """Both hang up, and the edge dies with its site before the store has heard of it."""
    async with center("ann", edges=("a1", "b1")) as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await settle()
        a1.store.latency_s = 0.1
        a1.sip.hang_up(who(theirs, ours))
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await settle()
        await a1.kill()
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "edge_died")
        assert not a1.sip.answered_goodbyes


@in_virtual_time
@pytest.mark.parametrize(
    ("ends_it", "outcome"),
    [
        ("relay", (Outcome.LOST, "media_lost")),
        ("agent", (Outcome.ANSWERED, "agent_hung_up")),
    ],
)
async def test_a_goodbye_that_crosses_ours_changes_nothing_of_how_the_call_ended(
    ends_it: str, outcome: tuple[Outcome, str]
) -> None:
    """Its telephone has met a goodbye, and its people know whether one of them had said it."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await settle()
        if ends_it == "agent":
            a1.sip.hang_up(ours)
        else:
            (call,) = a1.snapshot.tickets
            a1.switchboard.media_lost(call)
        assert a1.sip.open[theirs].said[-1] == "bye"
        a1.sip.hang_up(theirs)
        assert await made.outcome(a1, theirs) == outcome
        await until(lambda: _has_answered(a1, theirs), "the goodbye is answered")


@in_virtual_time
async def test_an_agent_who_hangs_up_before_the_two_talk_is_answered_at_once() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        ours = await a1.rung("ann")
        a1.sip.pick_up(ours)
        await settle()
        a1.sip.hang_up(ours)
        assert _has_answered(a1, ours), "it ends no call"
        a1.sip.hang_up(theirs)
        await until(lambda: _has_answered(a1, theirs), "and this one does")


@in_virtual_time
async def test_a_caller_who_leaves_the_queue_is_answered_once_that_is_written() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        await settle()
        a1.store.is_away = True
        a1.sip.hang_up(theirs)
        await asyncio.sleep(1.0)
        assert not _has_answered(a1, theirs)
        a1.store.is_away = False
        await until(lambda: _has_answered(a1, theirs), "the store is back")
        assert await made.outcome(a1, theirs) == (Outcome.ABANDONED, "caller_hung_up")


@in_virtual_time
async def test_an_agents_goodbye_to_a_caller_who_was_gone_is_a_loss() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.hang_up(ours)
        a1.sip.be_gone(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "caller_unreachable")


@in_virtual_time
async def test_a_callers_goodbye_that_crosses_the_agents_ends_the_call_well() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        a1.sip.hang_up(ours)
        a1.sip.hang_up(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "agent_hung_up")
        await until(lambda: _has_answered(a1, theirs) and _has_answered(a1, ours), "both are told")


@in_virtual_time
@pytest.mark.parametrize("who", [_caller, _agent])
async def test_who_is_gone_without_a_goodbye_that_was_heard_has_ended_nothing(who: Pick) -> None:
    """Their BYE came while the edge was dead, and was given up: nobody has told them anything."""
    async with center("ann") as made:
        a1 = made.edges["a1"]
        theirs, ours = await a1.talking()
        await settle()
        a1.sip.be_gone(who(theirs, ours))
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "goodbye_unheard")
        assert not a1.snapshot.places, "nobody is missed: somebody had hung up"


@in_virtual_time
async def test_a_caller_who_is_gone_from_the_queue_without_a_goodbye_is_lost() -> None:
    async with center() as made:
        a1 = made.edges["a1"]
        theirs = await a1.waiting()
        await settle()
        a1.sip.be_gone(theirs)
        assert await made.outcome(a1, theirs) == (Outcome.LOST, "goodbye_unheard")


@in_virtual_time
@pytest.mark.parametrize("who", [_caller, _agent])
async def test_a_goodbye_that_was_written_and_not_answered_is_answered_by_the_next_life(
    who: Pick, tmp_path: Path
) -> None:
    """Killed between the two: the call is counted once, and nothing of it is left."""
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking()
        await settle()
        leaver, other = (theirs, ours) if who is _caller else (ours, theirs)
        a1.store.latency_s = 0.1
        a1.sip.hang_up(leaver)
        a1.sip.hang_up(other)
        record = await made.record(a1, theirs)
        assert not a1.sip.answered_goodbyes
        again = await made.next_life(a1, tmp_path)
        for leg in (leaver, other):
            assert again.sip.say_goodbye_again(a1.sip.over[leg].sip_call_id) == 200
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        assert await made.records() == {record.call: record}
        assert again.snapshot.works[AgentId("ann")].value.calls == 1
        await made.nothing_is_left()
        theirs, ours = await again.talking()
        again.sip.hang_up(theirs)
        again.sip.hang_up(ours)
        await made.nothing_is_left()
        assert len(await made.records()) == 2
        assert again.snapshot.works[AgentId("ann")].value.calls == 2


@in_virtual_time
async def test_a_caller_who_left_the_queue_is_answered_by_the_next_life(tmp_path: Path) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs = await a1.waiting()
        await settle()
        a1.store.latency_s = 0.1
        a1.sip.hang_up(theirs)
        record = await made.record(a1, theirs)
        assert not _has_answered(a1, theirs)
        again = await made.next_life(a1, tmp_path)
        assert again.sip.say_goodbye_again(a1.sip.over[theirs].sip_call_id) == 200
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        await made.nothing_is_left()
        assert await made.records() == {record.call: record}


@in_virtual_time
async def test_what_is_owed_names_the_legs_whose_goodbyes_the_next_life_answers(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking()
        await settle()
        a1.store.is_away = True
        a1.sip.hang_up(theirs)
        await settle()
        await a1.kill()
        (owed,) = Journal(tmp_path / "journal-a1").load().owed.values()
        legs = {a1.sip.over[theirs].sip_call_id, a1.sip.open[ours].sip_call_id}
        assert owed.sip_call_ids == legs
        await made.edge("a1", tmp_path)
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "caller_hung_up")


@in_virtual_time
async def test_an_agents_goodbye_that_the_caller_had_not_answered_yet_ends_the_call_all_the_same(
    tmp_path: Path,
) -> None:
    """Killed while it told the caller: who answers a dead edge takes the call for ended too."""
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking()
        await settle()
        a1.sip.hang_up(ours)
        again = await made.next_life(a1, tmp_path)
        assert again.sip.say_goodbye_again(a1.sip.over[ours].sip_call_id) == 200
        assert await made.outcome(a1, theirs) == (Outcome.ANSWERED, "agent_hung_up")
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        await made.nothing_is_left()
