"""Nobody is called back of whom nobody could look whether they said no to that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.metrics import Metrics
from control_plane.customers import store as customers
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.live.clearances import AGAIN_S, LONGEST_S, LOOK_S, Clearances
from control_plane.permissions import Role
from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import CallBack, Clearance, DidNumber, Place, QueueId, TrunkId
from state.store import Put
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually

__all__ = ["database_url"]
OTHER, NOBODYS = "+493098766", "+493011111"


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
        queue=QueueId("sales"),
        call_back=CallBack(trunk=TrunkId("t")),
        due_s=due_s,
    )
    return keys.place(place.call), place


def said(scene: Scene, number: int) -> Clearance | None:
    found = scene.mirror.snapshot.clearances.get(call_id(number))
    return None if found is None else found.value


async def is_said(scene: Scene, *numbers: int) -> None:
    async def all_are() -> bool:
        return all(said(scene, each) is not None for each in numbers)

    await eventually(all_are, "it is written")


def waiting(scene: Scene) -> str:
    text = scene.center.services.metrics.render().decode()
    return next(
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("everline_callbacks_not_cleared ")
    )


async def test_a_customer_who_said_no_may_not_be_called_back_and_others_may(scene: Scene) -> None:
    await customer(scene, ANNA_CALLS, consents=False)
    await customer(scene, OTHER, consents=True)
    await scene.put(lost(1, OTHER), lost(2, NOBODYS), lost(3, ANNA_CALLS, None))
    await scene.put(lost(4, ANNA_CALLS))
    await is_said(scene, 1, 2, 4)
    told = {each: said(scene, each) for each in (1, 2, 4)}
    assert {each: (it.may_call, it.customers) for each, it in told.items() if it} == {
        1: (True, 1),
        2: (True, 0),
        4: (False, 1),
    }
    assert said(scene, 3) is None, "nobody is to be called back there"
    place = scene.mirror.snapshot.places[call_id(1)]
    assert told[1] is not None
    assert told[1].place == place.mod_revision
    assert place.value.due_s == 30.0, "the place is its edge's"


async def test_of_a_number_of_many_customers_nobody_is_overlooked_who_said_no(
    scene: Scene,
) -> None:
    for _ in range(11):
        await customer(scene, ANNA_CALLS, consents=None)
    await customer(scene, ANNA_CALLS, consents=False)
    await scene.put(lost(1, ANNA_CALLS))
    await is_said(scene, 1)
    clearance = said(scene, 1)
    assert clearance is not None
    assert (clearance.may_call, clearance.customers) == (False, 12)


async def test_whoever_is_to_be_called_once_more_is_looked_up_once_more(scene: Scene) -> None:
    await scene.put(lost(1, ANNA_CALLS))
    await is_said(scene, 1)
    await customer(scene, ANNA_CALLS, consents=False)
    await scene.put(lost(1, ANNA_CALLS, due_s=60.0))

    async def is_refused() -> bool:
        clearance = said(scene, 1)
        return clearance is not None and not clearance.may_call

    await eventually(is_refused, "the newer version is looked up")


async def test_who_says_no_before_they_are_called_is_not_called(scene: Scene) -> None:
    await scene.put(lost(1, ANNA_CALLS), lost(2, OTHER))
    await is_said(scene, 1, 2)
    first = scene.mirror.snapshot.clearances[call_id(2)].mod_revision
    await customer(scene, ANNA_CALLS, consents=False)
    await scene.advance(AGAIN_S)

    async def is_refused() -> bool:
        clearance = said(scene, 1)
        return clearance is not None and not clearance.may_call

    await eventually(is_refused, "they are looked up again")
    assert scene.mirror.snapshot.clearances[call_id(2)].mod_revision == first, "nothing is new"


async def test_what_another_site_has_said_meanwhile_is_not_said_once_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, asked = call_id(1), customers.consents

    async def slowly(
        connection: AsyncConnection, tenant: str, number: str, name: str
    ) -> tuple[bool | None, ...]:
        found = await asked(connection, tenant, number, name)
        if said(scene, 1) is None:
            place = scene.mirror.snapshot.places[call].mod_revision
            theirs = Clearance(call=call, place=place, may_call=True, customers=7, looked_ms=1)
            await scene.put((keys.clearance(call), theirs))
        return found

    monkeypatch.setattr(customers, "consents", slowly)
    await scene.put(lost(1, OTHER))
    await is_said(scene, 1)
    await scene.put(lost(2, NOBODYS))
    await is_said(scene, 2)
    told = said(scene, 1)
    assert told is not None
    assert told.customers == 7, "theirs stands"


async def test_while_the_database_is_away_they_wait_and_are_counted_and_then_looked_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await customer(scene, ANNA_CALLS, consents=False)
    manager = await scene.center.person(Role.MANAGER)
    assert (await manager.get("/v1/queues/sales/live")).json["callbacks"] == 0
    monkeypatch.setattr(scene.center.services.database, "read", away)
    await scene.put(lost(1, ANNA_CALLS), lost(2, OTHER))

    async def are_counted() -> bool:
        return waiting(scene) == "2.0"

    await eventually(are_counted, "they are seen to wait")
    queue = (await manager.get("/v1/queues/sales/live")).json
    assert (queue["callbacks"], queue["callbacks_not_cleared"]) == (2, 2)
    assert (said(scene, 1), said(scene, 2)) == (None, None)
    monkeypatch.undo()
    await scene.advance(LONGEST_S)
    await is_said(scene, 1, 2)
    told = [said(scene, each) for each in (1, 2)]
    assert [each.may_call for each in told if each] == [False, True]

    async def nobody_is_left() -> bool:
        return waiting(scene) == "0.0"

    await eventually(nobody_is_left, "nobody waits any more")


async def test_a_number_that_cannot_be_understood_cannot_be_looked_up_until_it_can(
    scene: Scene,
) -> None:
    await scene.put(lost(1, "03098765"), lost(2, OTHER))
    await is_said(scene, 2)
    assert said(scene, 1) is None
    await customer(scene, ANNA_CALLS, consents=False)
    await scene.know_region("DE", "main")
    await is_said(scene, 1)
    clearance = said(scene, 1)
    assert clearance is not None
    assert not clearance.may_call, "it is Anna's, as people write it there"


class Away:
    """A database that is away, and counts who asks."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self.clock = ManualClock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Say that there is none."""
        self.asked_s.append(self.clock.now().mono_s)
        raise DatabaseUnavailableError
        yield  # type: ignore[unreachable]


async def test_a_database_that_is_away_is_asked_once_in_some_seconds_and_for_ever() -> None:
    database = Away()
    clock = database.clock
    store = MemoryStore(clock)
    for number in range(1, 4):
        key, place = lost(number, ANNA_CALLS)
        await store.txn((), (Put(key=key, value=encode(place)),))
    mirror = Mirror(store, clock)
    following = asyncio.create_task(mirror.run())
    try:
        await mirror.wait_until(lambda snapshot: len(snapshot.places) == 3, 10)
        looking = Clearances(mirror, store, cast("Database", database), clock, Metrics())
        for _ in range(7200):
            await looking.look()
            clock.advance(0.5)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    pauses = [later - earlier for earlier, later in pairwise(database.asked_s)]
    assert min(pauses) >= LOOK_S
    assert max(pauses) <= LONGEST_S + 0.5
    assert database.asked_s[-1] > database.asked_s[0] + 3500
