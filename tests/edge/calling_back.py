"""Callers who are called back: a center that does so, and who is dialled in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge.sip.events import LegId
from state import keys
from state.codec import decode
from state.model import CallBack, CallRecord, Limit, Outcome, Place, Trunk, TrunkId, TurnAway
from tests.edge.fake_telephony import S
from tests.edge.one_edge import Edge
from tests.edge.stage import Center, center
from tests.edge.virtual_time import until

NUMBER = "+4930123"
RULES = CallBack(trunk=TrunkId("t"), tries=2, pause_s=30.0, ring_s=10.0, after_lost_s=20.0)
TRUNK = Trunk(
    id=TrunkId("t"), addresses=("192.0.2.1",), sip="192.0.2.1:5060", dial_out=("+49", "1555")
)


@asynccontextmanager
async def calling(
    *agents: str,
    rules: CallBack | None = RULES,
    trunk: Trunk = TRUNK,
    edges: tuple[str, ...] = ("a1",),
    longest_wait_s: float | None = 5.0,
) -> AsyncIterator[Center]:
    """Run a center whose queue sends callers away after 5 s, to be called back."""
    async with center(*agents, edges=edges) as made:
        await made.put(keys.trunk(trunk.id), trunk)
        limit = None
        if longest_wait_s is not None:
            limit = Limit(most=longest_wait_s, turn_away=TurnAway.CALLBACK)
        await made.change_queue(call_back=rules, longest_wait_s=limit)
        looks = asyncio.create_task(made.clearing.run())
        try:
            yield made
        finally:
            looks.cancel()


def dialled(made: Center) -> list[tuple[Edge, LegId]]:
    """Return the legs on which a caller is being dialled now."""
    return [
        (edge, leg.id)
        for edge in made.edges.values()
        if not edge.is_deaf
        for leg in edge.sip.open.values()
        if leg.to.removeprefix("+").isdigit() and leg.state is S.CALLING
    ]


async def rung_back(made: Center, *, within_s: float = 60.0) -> tuple[Edge, LegId]:
    """Wait until one caller, and nobody else, is dialled; return on which leg, and by whom."""
    await until(lambda: bool(dialled(made)), "somebody is called back", within_s=within_s)
    (found,) = dialled(made)
    return found


async def sent_away(made: Center, edge: Edge, *, caller: str = NUMBER) -> LegId:
    """Let a caller wait for too long, so that they are to be called back."""
    leg = await edge.waiting(caller=caller)
    await until(lambda: edge.sip.open[leg].state is S.ENDING, "sent away", within_s=8.0)
    edge.sip.hang_up(leg)
    assert (await made.record(edge, leg)).outcome is Outcome.CALLBACK
    return leg


async def joined(edge: Edge, theirs: LegId, agent: str) -> LegId:
    """Let whoever is dialled pick up, and the agent who is kept for them too."""
    edge.sip.pick_up(theirs)
    ours = await edge.joined(theirs, agent)
    await until(lambda: edge.switchboard.states() == {"connected": 1}, "they talk")
    return ours


async def back_records(made: Center) -> list[CallRecord]:
    """Return the records of our calls back, in the order in which they ended."""
    records = (await made.records()).values()
    return sorted(
        (each for each in records if each.callback_of is not None), key=lambda each: each.ended_ms
    )


async def places(made: Center) -> list[Place]:
    """Return the places that are kept for callers who are gone."""
    listed = await made.store.range(f"{keys.STATE}place/", prefix=True)
    return [decode(Place, each.value, each.key) for each in listed.records]
