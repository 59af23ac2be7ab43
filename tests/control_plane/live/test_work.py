"""What agents did in calls: wrap-ups as they really were, handling time and occupancy."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import false, select

from control_plane.calls import store as calls
from control_plane.calls.tables import RestRow
from control_plane.errors import DatabaseUnavailableError
from control_plane.permissions import Role
from state import keys
from state.model import AgentId, Rested, RestTaken, Talk
from tests.control_plane.center import Person
from tests.control_plane.live.stage import Scene, call_id, eventually
from tests.control_plane.live.test_calls import over


async def change(scene: Scene, number: int, who: str, rest_s: float) -> None:
    """Let somebody have wrapped up for so long."""
    now_ms = scene.clock.now().wall_ms
    rest = RestTaken(agent=AgentId(who), since_ms=now_ms, rest_s=rest_s)
    told = Rested(call=call_id(number), rests=(rest,), at_ms=now_ms)
    await scene.put((keys.rested(told.call), told))


async def wrapped_up(person: Person, number: int, rest_s: float) -> Any:  # noqa: ANN401
    """Wait until a call is known to have had this wrap-up."""

    async def find() -> Any:  # noqa: ANN401
        told = (await person.get(f"/v1/calls/{call_id(number)}")).json
        return told if told.get("wrap_up_s") == rest_s else None

    return await eventually(find, f"call {number} was wrapped up for {rest_s} s")


async def test_a_wrap_up_that_was_changed_counts_as_it_was(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1, "ann", wrap_up_s=30.0, idle_s=20.0)
    await over(manager, 1)
    told = (await manager.get(f"/v1/calls/{call_id(1)}")).json
    assert (told["talked_s"], told["wrap_up_s"]) == (10.0, 30.0)
    service = (await manager.get("/v1/queues/sales/live")).json["service"]
    assert (service["aht_s"], service["occupancy"]) == (40.0, 40 / 60)
    await change(scene, 1, "ann", 10.0)
    await wrapped_up(manager, 1, 10.0)
    service = (await manager.get("/v1/queues/sales/live")).json["service"]
    assert (service["aht_s"], service["occupancy"]) == (20.0, 0.5)


async def test_each_agents_work_is_told_by_name_to_those_who_may_see_them(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    north = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    await scene.end(1, "ann", wrap_up_s=30.0, idle_s=60.0)
    await scene.end(2, "ben", wrap_up_s=0.0)
    await scene.end(3)
    for number in (1, 2, 3):
        await over(manager, number)
    found = (await manager.get("/v1/live/work")).json
    assert [each["agent"] for each in found["items"]] == ["ann", "ben"]
    ann, ben = found["items"]
    assert (ann["talk_s"], ann["wrap_up_s"], ann["idle_s"]) == (10.0, 30.0, 60.0)
    assert (ann["aht_s"], ann["occupancy"]) == (40.0, 0.4)
    assert (ben["aht_s"], ben["occupancy"]) == (10.0, None), "nobody knows how long they were free"
    assert found["interval_s"] == 3600
    seen = (await north.get("/v1/live/work")).json["items"]
    assert [each["agent"] for each in seen] == ["ann"]
    assert (await manager.get("/v1/live/work?queue=t2.sales")).json["items"] == []


async def test_of_a_call_that_is_on_a_changed_wrap_up_is_known_once_it_is_over(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    now_ms = scene.clock.now().wall_ms
    await scene.arrive(1)
    await change(scene, 1, "ann", 2.0)
    talks = tuple(
        Talk(
            agent=AgentId(who),
            since_ms=now_ms + since_ms,
            until_ms=now_ms + since_ms + 4000,
            wrap_up_s=9.0,
        )
        for who, since_ms in (("ann", -10_000), ("ben", -5_000))
    )
    await scene.end(1, "ben", talks=talks)
    await wrapped_up(manager, 1, 11.0)


async def test_short_abandons_have_a_threshold_of_their_own(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1, "ann")
    await scene.end(2)
    for number in (1, 2):
        await over(manager, number)
    name = "answered_in_time_short_abandons_out"
    for query, short, level in (("", 1, 1.0), ("&short_s=5", 0, 0.5)):
        asked = f"/v1/queues/sales/live?target_s=20{query}"
        service = (await manager.get(asked)).json["service"]
        assert (service["short_abandoned"], service["service_level"][name]) == (short, level)


async def test_without_a_database_nobody_is_told_anything(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)

    def away() -> Any:  # noqa: ANN401
        raise DatabaseUnavailableError

    monkeypatch.setattr(scene.center.services.database, "read", away)
    assert (await manager.get("/v1/live/work")).status == 503


async def test_what_was_said_of_wrap_ups_goes_with_the_calls(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    for number in (1, 2):
        await scene.end(number, "ann", wrap_up_s=30.0)
        await over(manager, number)
        await change(scene, number, "ann", 3.0)
        await wrapped_up(manager, number, 3.0)
        scene.clock.advance(100.0)
    before_ms = scene.clock.now().wall_ms - 150_000
    async with scene.center.services.database.write() as connection:
        gone = await calls.drop_older(connection, "main", before_ms, 10, spare=false())
        (left,) = await calls.since(connection, "main", 0, 10)
        told = set((await connection.execute(select(RestRow.call))).scalars())
    assert (gone, left.call, left.wrap_up_s) == (1, call_id(2), 3.0)
    assert told == {call_id(2)}


async def test_how_wrong_estimated_waits_were_is_told_of_each_queue(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1, "ann", estimate_s=10.5)
    await scene.end(2, "ann", estimate_s=25.0)
    await scene.end(3, "ann")
    for number in (1, 2, 3):
        await over(manager, number)
    found = (await manager.get("/v1/queues/sales/live")).json["service"]["estimates"]
    assert (found["count"], found["bias_s"], found["within_share"]) == (2, 7.75, 0.5)
    assert (found["mean_error_s"], found["median_error_s"]) == (7.75, 7.75)
    await scene.arrive(4, did="100")
    other = (await manager.get("/v1/live/queues")).json["items"]
    assert [each["service"]["estimates"] is None for each in other] == [False]
