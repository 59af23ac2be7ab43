"""What has been carried over leaves the shared state in the end, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import insert

from control_plane.calls import store as calls
from control_plane.calls.tables import CarriedRow
from control_plane.live import trimmer
from control_plane.live.trimmer import FORGOTTEN_MS, HOUR_MS, trim
from control_plane.permissions import Role
from state import keys
from state.codec import encode
from state.listing import read_all
from state.model import AgentId, Coding, Rested, RestTaken
from state.store import Put
from tests.control_plane.live.stage import Scene, call_id
from tests.control_plane.live.test_calls import over
from tests.control_plane.live.test_codes import shown
from tests.control_plane.live.test_work import wrapped_up

DAY_MS = 24 * HOUR_MS


async def left(scene: Scene) -> set[str]:
    """Return the keys of the ledger, and of codes."""
    found = [*(await read_all(scene.store, keys.ENDED)).records]
    found += (await read_all(scene.store, keys.CODED)).records
    return {each.key for each in found}


async def tidy(scene: Scene) -> int:
    """Trim as of now."""
    now_ms = scene.clock.now().wall_ms
    return await trim(scene.store, scene.center.services.database, DAY_MS, now_ms)


async def carried(scene: Scene, *numbers: int) -> None:
    """Let calls be over that are about something, and wait until all that is carried."""
    manager = await scene.center.person(Role.MANAGER)
    for number in numbers:
        await scene.end(number, "ann")
        now_ms = scene.clock.now().wall_ms
        coding = Coding(call=call_id(number), agent=AgentId("ann"), code="order", at_ms=now_ms)
        await scene.put((keys.coded(call_id(number)), coding))
        await over(manager, number)
        await shown(manager, number, "order")


async def test_what_is_old_and_carried_goes_and_stays_in_the_database(scene: Scene) -> None:
    await carried(scene, 1, 2)
    scene.clock.advance(DAY_MS / 1000 + 1)
    await carried(scene, 3)
    assert await tidy(scene) == 4
    assert await left(scene) == {keys.ended(call_id(3)), keys.coded(call_id(3))}
    manager = await scene.center.person(Role.MANAGER)
    items = (await manager.get("/v1/calls?code=order")).json["items"]
    assert {each["id"] for each in items} == {call_id(n) for n in (1, 2, 3)}
    assert await tidy(scene) == 0


async def test_a_code_that_is_said_after_the_call_has_gone_is_carried_too(scene: Scene) -> None:
    await carried(scene, 1)
    scene.clock.advance(DAY_MS / 1000 + 1)
    manager = await scene.center.person(Role.MANAGER)
    await tidy(scene)
    now_ms = scene.clock.now().wall_ms
    late = Coding(call=call_id(1), agent=AgentId("ann"), code="complaint", at_ms=now_ms)
    await scene.put((keys.coded(call_id(1)), late))
    await shown(manager, 1, "complaint")
    assert await tidy(scene) == 0


async def test_what_one_control_plane_has_not_carried_stays(scene: Scene) -> None:
    await carried(scene, 1, 2)
    scene.clock.advance(DAY_MS / 1000 + 1)
    before = await left(scene)
    database, now_ms = scene.center.services.database, scene.clock.now().wall_ms
    first = (await scene.store.range(keys.ended(call_id(1)))).records[0].mod_revision
    async with database.write() as connection:
        for name in (calls.LEDGER, calls.CODES):
            row = {"name": f"{name}@b", "revision": first - 1, "at_ms": now_ms}
            await connection.execute(insert(CarriedRow).values(row))
    assert await tidy(scene) == 0
    assert await left(scene) == before
    async with database.write() as connection:
        await calls.note(connection, calls.LEDGER, "b", first, now_ms)
    assert await tidy(scene) == 1
    assert await left(scene) == before - {keys.ended(call_id(1))}


async def test_a_control_plane_of_long_ago_is_not_waited_for(scene: Scene) -> None:
    await carried(scene, 1)
    scene.clock.advance(FORGOTTEN_MS / 1000 + 10)
    await carried(scene, 2)
    async with scene.center.services.database.write() as connection:
        row = {"name": f"{calls.LEDGER}@b", "revision": 1, "at_ms": 1}
        await connection.execute(insert(CarriedRow).values(row))
    assert await tidy(scene) == 2


async def test_nothing_goes_that_was_never_carried_or_cannot_be_read(scene: Scene) -> None:
    await carried(scene, 1)
    await scene.write(Put(key=keys.ended(call_id(8)), value=b"not a record"))
    await carried(scene, 2)
    scene.clock.advance(DAY_MS / 1000 + 1)
    async with scene.center.services.database.write() as connection:
        await calls.restart(connection, calls.LEDGER)
        await calls.restart(connection, calls.CODES)
    assert await tidy(scene) == 0
    await carried(scene, 3)
    # Ledger and codes are carried by two, and say by themselves how far they have come.
    gone = 0
    async with asyncio.timeout(10.0):
        while gone < 4:
            gone += await tidy(scene)
            await asyncio.sleep(0.01)
    unread, young = keys.ended(call_id(8)), {keys.ended(call_id(3)), keys.coded(call_id(3))}
    assert await left(scene) == {unread, *young}


async def test_what_is_written_anew_meanwhile_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await carried(scene, 1)
    scene.clock.advance(DAY_MS / 1000 + 1)
    key = keys.ended(call_id(1))
    ask: Callable[..., Awaitable[object]] = scene.store.txn

    async def meanwhile(*words: object) -> object:
        answer = await ask(*words)
        if words[0] == ():
            await ask((), (Put(key=key, value=encode(scene.record(1, "ann", cause="other"))),))
        return answer

    monkeypatch.setattr(scene.store, "txn", meanwhile)
    await trimmer._delete(scene.store, [key], 2**40, scene.clock.now().wall_ms)  # noqa: SLF001
    assert key in await left(scene)


async def test_what_was_said_of_wrap_ups_leaves_with_the_rest(scene: Scene) -> None:
    await carried(scene, 1)
    now_ms = scene.clock.now().wall_ms
    rest = RestTaken(agent=AgentId("ann"), since_ms=now_ms, rest_s=2.0)
    told = Rested(call=call_id(1), rests=(rest,), at_ms=now_ms)
    await scene.put((keys.rested(call_id(1)), told))
    manager = await scene.center.person(Role.MANAGER)
    await wrapped_up(manager, 1, 2.0)
    scene.clock.advance(DAY_MS / 1000 + 1)
    await carried(scene, 2)
    assert await tidy(scene) == 3
    assert not (await read_all(scene.store, keys.RESTED)).records
