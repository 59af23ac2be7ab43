"""A record that the store has not taken when an edge is killed: the next life writes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.calls.journal import Journal
from state.model import AgentId, Outcome, PresenceState, WorkEnd
from tests.edge.one_edge import WRAP_UP_S
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, settle, until


@in_virtual_time
@pytest.mark.parametrize("written", [True, False], ids=["place written", "place not written"])
async def test_a_caller_who_left_while_the_store_was_away_has_a_record_after_a_kill(
    tmp_path: Path, *, written: bool
) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        a1.store.is_away = not written
        leg = await a1.waiting()
        await settle()
        a1.store.is_away = True
        await asyncio.sleep(3.0)
        a1.sip.hang_up(leg)
        await settle()
        again = await made.next_life(a1, tmp_path)
        record = await made.record(a1, leg)
        assert (record.outcome, record.cause) == (Outcome.ABANDONED, "caller_hung_up")
        assert record.queued_ms is not None
        assert record.ended_ms - record.queued_ms == pytest.approx(3000, abs=200)
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        assert not await made.tickets()
        assert not Journal(tmp_path / "journal-a1").load().owed


@in_virtual_time
async def test_a_talk_that_ended_while_the_store_was_away_counts_as_answered_and_frees_the_agent(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking()
        await a1.sees_them_talk()
        await asyncio.sleep(5.0)
        a1.store.is_away = True
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await settle()
        again = await made.next_life(a1, tmp_path)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        assert not await made.offers()
        assert again.snapshot.works[AgentId("ann")].value.rest_s == WRAP_UP_S


@in_virtual_time
async def test_a_talk_of_which_the_store_was_never_told_counts_as_answered(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = await a1.waiting()
        ours = await a1.rung("ann")
        a1.store.is_away = True
        a1.sip.pick_up(ours)
        await a1.answer_ours(leg)
        await asyncio.sleep(2.0)
        a1.sip.hang_up(leg)
        a1.sip.hang_up(ours)
        await settle()
        await made.next_life(a1, tmp_path)
        record = await made.record(a1, leg)
        assert (record.outcome, record.agent) == (Outcome.ANSWERED, "ann")
        assert record.connected_ms is not None
        assert record.ended_ms - record.connected_ms == pytest.approx(2000, abs=200)


@in_virtual_time
async def test_an_agent_who_was_lost_before_the_end_has_talked_and_rests(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        theirs, ours = await a1.talking()
        await a1.sees_them_talk()
        await made.presence("ann", PresenceState.PAUSED)
        a1.store.is_away = True
        a1.sip.vanish(ours)
        await until(lambda: a1.state_of(theirs) == "queued", "the caller waits again")
        a1.sip.hang_up(theirs)
        await settle()
        again = await made.next_life(a1, tmp_path)
        record = await made.record(a1, theirs)
        assert (record.outcome, record.cause) == (Outcome.LOST, "agent_lost")
        assert (record.agent, [talk.agent for talk in record.talks]) == ("ann", ["ann"])
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        work = again.snapshot.works[AgentId("ann")].value
        assert (work.end, work.rest_s) == (WorkEnd.TALKED, WRAP_UP_S)


@in_virtual_time
async def test_a_record_that_stands_already_is_left_as_it_is(tmp_path: Path) -> None:
    async with center(edges=("a2",)) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = await a1.waiting()
        await settle()
        a1.store.is_away = True
        a1.sip.hang_up(leg)
        await settle()
        await a1.kill()
        guess = await made.record(a1, leg)  # a survivor closes it
        assert guess.cause == "edge_died"
        again = await made.next_life(a1, tmp_path)
        await until(lambda: not again.debts.owed, "nothing is owed any more")
        assert (await made.record(a1, leg)).cause == "edge_died"


@in_virtual_time
async def test_what_the_store_has_taken_is_owed_no_more(tmp_path: Path) -> None:
    async with center(edges=()) as made:
        a1 = await made.edge("a1", tmp_path)
        leg = await a1.waiting()
        await settle()
        a1.sip.hang_up(leg)
        await made.record(a1, leg)
        await made.nothing_is_left()
        left = Journal(tmp_path / "journal-a1").load()
        assert (left.calls, left.owed) == ({}, {})
