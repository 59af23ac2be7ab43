"""What users of other call centers complain about, where no other test has it; see the page.

`docs/complaints.md` names for each complaint the test that keeps it from us.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from edge.acd.agent_state import AgentState, agent_states
from state.model import AgentId, Strategy
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import LoopClock, in_virtual_time, until

ANN = AgentId("ann")


async def _served(made: Center, edge: Edge) -> str:
    """Let a caller come, be answered by whoever is rung, and go; return who it was."""
    theirs = await edge.waiting()
    await until(lambda: any(leg.to for leg in edge.sip.open.values()), "somebody is rung")
    ours = next(leg for leg in edge.sip.open.values() if leg.to)
    edge.sip.pick_up(ours.id)
    await edge.answer_ours(theirs)
    await asyncio.sleep(1.0)
    edge.sip.hang_up(theirs)
    edge.sip.hang_up(ours.id)
    await made.nothing_is_left()
    return ours.to


@pytest.mark.parametrize(
    "strategy",
    [Strategy.WEIGHTED, Strategy.LONGEST_IDLE, Strategy.FEWEST_CALLS, Strategy.ROUND_ROBIN],
)
@in_virtual_time
async def test_calls_are_spread_over_agents_who_are_alike(strategy: Strategy) -> None:
    async with center("ann", "bob", "cyd") as made:
        await made.change_queue(strategy=strategy, wrap_up_s=0.0)
        served = Counter([await _served(made, made.edges["a1"]) for _ in range(9)])
        if strategy is Strategy.WEIGHTED:  # by what they have done in an hour, not in a round
            assert set(served) == {"ann", "bob", "cyd"}
        else:
            assert served == {"ann": 3, "bob": 3, "cyd": 3}


@in_virtual_time
async def test_a_caller_is_offered_to_a_free_agent_at_once_and_at_no_tick_of_a_clock() -> None:
    async with center("ann") as made:
        a1 = made.edges["a1"]
        began_s = asyncio.get_running_loop().time()
        await a1.waiting()
        await a1.rung("ann")
        assert asyncio.get_running_loop().time() - began_s < 0.05


@in_virtual_time
async def test_an_edge_that_starts_frees_nobody_elses_agents_and_abandons_no_call() -> None:
    async with center("ann", "bob", edges=("a1",)) as made:
        a1 = made.edges["a1"]
        theirs, _ = await a1.talking()
        waiting = await a1.waiting()
        await a1.rung("bob")
        before = {key: each.mod_revision for key, each in a1.snapshot.raw.items()}
        b1 = await made.edge("b1")
        await asyncio.sleep(5.0)
        changed = {
            key
            for key, each in b1.snapshot.raw.items()
            if before.get(key) != each.mod_revision and "/edge/" not in key
        }
        assert not [key for key in changed if "ann" in key]
        assert a1.state_of(theirs) == "connected"
        assert a1.state_of(waiting) in {"ringing", "queued"}


@in_virtual_time
async def test_a_rest_is_as_long_as_it_should_be_though_its_edge_is_restarted() -> None:
    async with center("ann", edges=("a1", "a2")) as made:
        await made.change_queue(wrap_up_s=20.0)
        a1, a2 = made.edges["a1"], made.edges["a2"]
        theirs, ours = await a1.talking()
        a1.sip.hang_up(theirs)
        a1.sip.hang_up(ours)
        await until(lambda: not a2.snapshot.offers, "the call is over")
        ended_s = asyncio.get_running_loop().time()
        await a1.kill()
        await made.edge("a1")
        leg = await a2.waiting()
        await a2.rung("ann")
        assert asyncio.get_running_loop().time() - ended_s == pytest.approx(20.0, abs=0.5)
        a2.sip.hang_up(leg)
        assert agent_states(a2.snapshot, LoopClock().now())[ANN] is AgentState.OFFERED
