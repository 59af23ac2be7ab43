"""Callers of a site of which nothing is heard any more: dead, or cut off and serving them yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from edge.acd.in_doubt import IN_DOUBT_S
from state import keys
from state.model import AgentId, EdgeId, EdgeLife, EdgeState, Move, SiteId
from state.store import Delete
from tests.edge.calling_back import NUMBER, RULES, calling, dialled, rung_back
from tests.edge.one_edge import Edge
from tests.edge.stage import Center
from tests.edge.virtual_time import WALL_MS, in_virtual_time, settle, until

ANN, A1 = AgentId("ann"), EdgeId("a1")


def back(made_of: Edge) -> EdgeLife:
    """Return what an edge of site a says that is back, and draws no calls back to itself."""
    life = made_of.snapshot.edges[EdgeId("b1")].value
    return replace(life, edge=A1, site=SiteId("a"), state=EdgeState.DRAINING)


@asynccontextmanager
async def unheard() -> AsyncIterator[tuple[Center, Edge]]:
    """Run a center of whose site a, with a caller and an agent, nothing is heard any more."""
    async with calling(edges=("a1", "b1"), longest_wait_s=None) as made:
        a1, b1 = made.edges["a1"], made.edges["b1"]
        await a1.waiting(caller=NUMBER)
        await settle()
        await made.agent("ann")
        await a1.kill()
        await until(lambda: bool(b1.snapshot.places), "the place is kept", within_s=15.0)
        await made.agent("bea", site="b")
        yield made, b1


async def nobody_is_dialled(made: Center, for_s: float) -> None:
    """Wait, and see to it."""
    for _ in range(int(for_s)):
        await asyncio.sleep(1.0)
        assert not dialled(made)


@in_virtual_time
async def test_callers_of_a_site_that_may_serve_them_are_called_back_when_its_telephones_go() -> (
    None
):
    async with unheard() as (made, b1):
        await nobody_is_dialled(made, RULES.after_lost_s or 0.0)
        await nobody_is_dialled(made, 60.0)
        gone = Move(agent=ANN, site=SiteId("b"), home=SiteId("a"), since_ms=WALL_MS)
        await made.put(keys.move(ANN), gone)
        edge, theirs = await rung_back(made, within_s=5.0)
        assert edge is b1
        edge.sip.decline(theirs)


@in_virtual_time
async def test_they_are_called_back_at_last_if_nothing_is_heard_of_site_or_telephones() -> None:
    async with unheard() as (made, _):
        await nobody_is_dialled(made, IN_DOUBT_S - 5.0)
        edge, theirs = await rung_back(made, within_s=15.0)
        edge.sip.decline(theirs)


@in_virtual_time
async def test_whom_a_site_has_served_while_it_was_cut_off_is_not_called_back() -> None:
    async with unheard() as (made, b1):
        life = back(b1)
        await nobody_is_dialled(made, 30.0)
        await made.put(keys.edge(A1), replace(life, alone=(A1,)))
        await nobody_is_dialled(made, 30.0)
        (place,) = b1.snapshot.places
        # As its merge does, of somebody who was served.
        await made.store.txn((), (Delete(key=keys.place(place)),))
        await made.put(keys.edge(A1), life)
        await nobody_is_dialled(made, 60.0)


@in_virtual_time
async def test_whom_it_has_lost_indeed_is_called_back_once_it_has_merged() -> None:
    async with unheard() as (made, b1):
        life = back(b1)
        await made.put(keys.edge(A1), replace(life, alone=(A1,)))
        await nobody_is_dialled(made, 60.0)
        await made.put(keys.edge(A1), life)
        edge, theirs = await rung_back(made, within_s=5.0)
        edge.sip.decline(theirs)
