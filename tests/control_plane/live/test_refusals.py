"""Nobody is called back who is a customer that said no to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from control_plane.live.refusals import Refusals
from control_plane.permissions import Role
from state import keys
from state.model import CallBack, CallId, DidNumber, Place, TrunkId
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually

__all__ = ["database_url"]
OTHER = "+493098766"


class Edge:
    """Takes what it is told to cancel, once it is there."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.is_there = True
        self.deaf_to: frozenset[CallId] = frozenset()
        self.asked: list[CallId] = []

    async def cancel(self, call: CallId) -> bool:
        """Write it down, as an edge does."""
        self.asked.append(call)
        takes_it = self.is_there and call not in self.deaf_to
        if takes_it:
            held = self._scene.mirror.snapshot.places[call].value
            await self._scene.put((keys.place(call), replace(held, due_s=None)))
        return takes_it


@pytest.fixture
async def edge(scene: Scene) -> AsyncIterator[Edge]:
    edge = Edge(scene)
    refusals = Refusals(scene.mirror, scene.center.services.database, edge.cancel)
    task = asyncio.create_task(refusals.run())
    yield edge
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def customer(scene: Scene, number: str, *, consents: bool | None) -> None:
    manager = await scene.center.person(Role.MANAGER)
    consent = {} if consents is None else {"callback": consents}
    sent = {"name": f"N {number[-2:]}", "numbers": [number], "consent": consent}
    assert (await manager.post("/v1/customers", sent)).status == 201


def lost(number: int, caller: str, due_s: float | None = 30.0) -> tuple[str, Place]:
    place = Place(
        call=call_id(number),
        did=DidNumber("100"),
        caller=caller,
        place=number,
        call_back=CallBack(trunk=TrunkId("t")),
        due_s=due_s,
    )
    return keys.place(place.call), place


async def test_a_customer_who_said_no_is_not_called_back_and_others_are(
    scene: Scene, edge: Edge
) -> None:
    await customer(scene, ANNA_CALLS, consents=False)
    await customer(scene, OTHER, consents=True)
    await scene.put(lost(1, OTHER), lost(2, "+493011111"), lost(3, ANNA_CALLS, None))
    await scene.put(lost(4, ANNA_CALLS))

    async def is_cancelled() -> bool:
        return scene.mirror.snapshot.places[call_id(4)].value.due_s is None

    await eventually(is_cancelled, "the callback is cancelled")
    assert edge.asked == [call_id(4)]
    assert scene.mirror.snapshot.places[call_id(1)].value.due_s == 30.0


async def test_it_is_asked_again_until_an_edge_takes_it(scene: Scene, edge: Edge) -> None:
    await customer(scene, ANNA_CALLS, consents=False)
    edge.is_there = False
    await scene.put(lost(1, ANNA_CALLS))

    async def is_asked() -> bool:
        return bool(edge.asked)

    await eventually(is_asked, "an edge is asked")
    edge.is_there = True

    async def is_cancelled() -> bool:
        return scene.mirror.snapshot.places[call_id(1)].value.due_s is None

    await eventually(is_cancelled, "the callback is cancelled")


async def test_one_who_cannot_be_seen_to_holds_nobody_else_up(scene: Scene, edge: Edge) -> None:
    await customer(scene, ANNA_CALLS, consents=False)
    await customer(scene, OTHER, consents=False)
    edge.deaf_to = frozenset({call_id(1)})
    await scene.put(lost(1, ANNA_CALLS), lost(2, OTHER))

    async def is_cancelled() -> bool:
        return scene.mirror.snapshot.places[call_id(2)].value.due_s is None

    await eventually(is_cancelled, "the other's callback is cancelled")
    assert edge.asked[:2] == [call_id(1), call_id(2)]
