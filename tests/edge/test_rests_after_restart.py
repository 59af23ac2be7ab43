"""An edge that is started anew knows who has rested, and who rests yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.acd.agent_state import AgentState, agent_states
from state import keys
from state.model import AgentId, Work, WorkEnd
from state.snapshot.rests import RESTS_ON_S
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import LoopClock, in_virtual_time

ANN, REST_S = AgentId("ann"), 60.0


async def _edge(made: Center, folder: Path, *, ended_s_ago: float) -> Edge:
    """Start an edge that finds what ann has done: it talked with a caller, and she wraps up."""
    ended_ms = LoopClock().now().wall_ms - round(1000 * ended_s_ago)
    work = Work(agent=ANN, calls=1, end=WorkEnd.TALKED, rest_s=REST_S, ended_ms=ended_ms)
    await made.put(keys.work(ANN), work)
    return await made.edge("a1", folder)


def _state(edge: Edge) -> AgentState:
    return agent_states(edge.snapshot, LoopClock().now())[ANN]


@in_virtual_time
async def test_who_has_rested_long_ago_is_given_to_the_first_caller_of_a_new_life(
    tmp_path: Path,
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await _edge(made, tmp_path, ended_s_ago=REST_S + RESTS_ON_S)
        assert _state(a1) is AgentState.READY
        await a1.talking("ann")


@pytest.mark.parametrize(
    ("ended_s_ago", "left_s"),
    [(0.0, REST_S), (-600.0, REST_S), (40.0, REST_S - 40.0 + RESTS_ON_S)],
    ids=["just now", "by a clock that is ahead", "a while ago"],
)
@in_virtual_time
async def test_who_rests_does_so_to_the_end_and_hardly_longer(
    tmp_path: Path, ended_s_ago: float, left_s: float
) -> None:
    async with center("ann", edges=()) as made:
        a1 = await _edge(made, tmp_path, ended_s_ago=ended_s_ago)
        work = a1.snapshot.works[ANN]
        assert work.seen_s + REST_S == pytest.approx(a1.clock.now().mono_s + left_s, abs=1.0)
        assert _state(a1) is AgentState.WRAP_UP
