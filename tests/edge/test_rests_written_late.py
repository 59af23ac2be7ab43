"""A wrap-up begins when the talk ends, however long it takes until that is written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.acd.eligibility import rest_ends_s
from state.model import AgentId
from state.snapshot.rests import RESTS_ON_S
from tests.edge.one_edge import Edge
from tests.edge.stage import center
from tests.edge.virtual_time import in_virtual_time, until

ANN, REST_S, LATE_S = AgentId("ann"), 30.0, 5.0


async def _rest_begins(edge: Edge) -> float:
    """Return since when ann rests, as an edge knows it, once it does."""
    await until(lambda: ANN in edge.snapshot.works and ANN not in edge.snapshot.offers, "it ended")
    return rest_ends_s(edge.snapshot.works[ANN], edge.snapshot.presences[ANN]) - REST_S


@pytest.mark.parametrize("trouble", ["is_away", "loses_answers", "loses_requests"])
@in_virtual_time
async def test_a_rest_has_begun_with_the_end_that_the_store_took_late(trouble: str) -> None:
    async with center("ann", edges=("a1", "b1")) as made:
        await made.change_queue(wrap_up_s=REST_S)
        a1, b1 = made.edges["a1"], made.edges["b1"]
        theirs, ours = await a1.talking()
        await a1.sees_them_talk()
        setattr(a1.store, trouble, 5)
        ended_s = a1.clock.now().mono_s
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await asyncio.sleep(LATE_S)
        a1.store.is_away = False
        assert await _rest_begins(b1) == pytest.approx(ended_s, abs=0.2)
        # It may find the record in a listing.
        assert await _rest_begins(a1) == pytest.approx(ended_s, abs=RESTS_ON_S)
        assert len(await made.records()) == 1


@in_virtual_time
async def test_a_rest_has_begun_with_the_end_that_a_next_life_writes(tmp_path: Path) -> None:
    async with center("ann", edges=()) as made:
        await made.change_queue(wrap_up_s=REST_S)
        a1 = await made.edge("a1", tmp_path)
        b1 = await made.edge("b1")
        theirs, ours = await a1.talking()
        await a1.sees_them_talk()
        a1.store.is_away = True
        ended_s = a1.clock.now().mono_s
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await asyncio.sleep(1.0)
        await a1.kill()
        await asyncio.sleep(3.0)
        await made.edge("a1", tmp_path)
        assert await _rest_begins(b1) == pytest.approx(ended_s, abs=0.2)
