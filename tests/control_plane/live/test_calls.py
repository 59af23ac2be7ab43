"""Calls over the API: those that run, those that are over, and why they have their agent."""

from __future__ import annotations

from typing import Any

from control_plane.calls import store as calls
from control_plane.live.desk import LIVE
from control_plane.live.loads import CallLoad
from control_plane.permissions import Role
from state import keys
from state.listing import read_all
from state.model import AgentId, Outcome, Talk
from tests.control_plane.center import Person
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually


async def over(person: Person, number: int) -> Any:  # noqa: ANN401
    """Wait until a call has been carried over, and return it as the listing has it."""

    async def find() -> Any:  # noqa: ANN401
        items = (await person.get("/v1/calls?is_live=false&limit=200")).json["items"]
        return next((each for each in items if each["id"] == call_id(number)), None)

    return await eventually(find, f"call {number}")


async def test_a_call_is_shown_from_arrival_to_its_end(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    call = await scene.arrive(1)
    waiting = (await manager.get(f"/v1/calls/{call}")).json
    assert (waiting["state"], waiting["queue"], waiting["position"]) == ("queued", "sales", 1)
    assert waiting["caller"] == {"number": ANNA_CALLS, "is_masked": False}
    await scene.connect(1, "ann")
    assert (await manager.get(f"/v1/calls/{call}")).json["agent"] == "ann"
    await scene.end(1, "ann")
    ended = (await manager.get(f"/v1/calls/{call}")).json
    assert (ended["state"], ended["outcome"], ended["talked_s"]) == ("ended", "answered", 10.0)
    carried = await over(manager, 1)
    assert carried == ended | {"caller": {"number": ANNA_CALLS, "is_masked": False}}


async def test_who_waited_for_a_second_agent_and_left_has_talked_with_the_first_alone(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    began_ms = scene.clock.now().wall_ms
    talk = Talk(agent=AgentId("ann"), since_ms=began_ms, until_ms=began_ms + 4_000)
    ticket = scene.ticket(1, connected_ms=began_ms, talks=(talk,))
    await scene.put((keys.ticket(ticket.call), ticket))
    scene.clock.advance(10)
    assert (await manager.get(f"/v1/calls/{ticket.call}")).json["talked_s"] == 4.0
    await scene.end(1, "ann", talks=(talk,))
    assert (await over(manager, 1))["talked_s"] == 4.0


async def test_pages_go_through_live_and_past_calls_without_gap_or_repetition(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    for number in range(1, 8):
        scene.clock.advance(1)
        await scene.end(number, "ann" if number % 2 else "")
    await over(manager, 7)
    for number in range(10, 14):
        scene.clock.advance(1)
        await scene.arrive(number)
    found, query = [], "/v1/calls?limit=3"
    while query:
        page = (await manager.get(query)).json
        found += [each["id"] for each in page["items"]]
        query = f"/v1/calls?limit=3&cursor={page['next']}" if page["next"] else ""
    assert found == [call_id(n) for n in (13, 12, 11, 10, 7, 6, 5, 4, 3, 2, 1)]


async def test_calls_are_filtered(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1, "ann")
    await scene.end(2)
    await over(manager, 1)
    await over(manager, 2)
    await scene.arrive(3)
    for query, numbers in {
        "is_live=true": {3}, "is_live=false": {1, 2}, "state=queued": {3}, "state=ended": {1, 2},
        "outcome=abandoned": {2}, "agent=ann": {1}, "queue=sales": {1, 2, 3}, "queue=none": set(),
        "until=2020-01-01T00:00:00Z": set(), "site=b": set(), "did=100": {1, 2, 3},
    }.items():  # fmt: skip
        items = (await manager.get(f"/v1/calls?{query}")).json["items"]
        assert {each["id"] for each in items} == {call_id(n) for n in numbers}, query
    for wrong in ("sort=queue", "cursor=AAAA", "state=gone"):
        assert (await manager.get(f"/v1/calls?{wrong}")).status in (400, 422), wrong


async def test_another_tenants_call_looks_like_none(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    live = await scene.arrive(1, did="200")
    await scene.end(2, did="200")
    await over(theirs, 2)
    assert (await manager.get("/v1/calls")).json["items"] == []
    for call in (live, call_id(2)):
        for path in (f"/v1/calls/{call}", f"/v1/calls/{call}/explanation"):
            foreign, none = await manager.get(path), await manager.get(f"/v1/calls/{call_id(99)}")
            assert foreign.status == none.status == 404
            assert foreign.json | {"request_id": ""} == none.json | {"request_id": ""}
    assert len((await theirs.get("/v1/calls")).json["items"]) == 2


async def test_callers_are_masked_by_who_looks(scene: Scene) -> None:
    supervisor = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    sre = await scene.center.person(Role.SRE)
    agent = await scene.center.person(Role.AGENT, agent="ann")
    await scene.connect(1, "ann")
    call = call_id(1)
    masked = {"number": "+49••••65", "is_masked": True}
    assert (await supervisor.get(f"/v1/calls/{call}")).json["caller"] == masked
    assert (await agent.get(f"/v1/calls/{call}")).json["caller"]["is_masked"] is False
    assert (await sre.get(f"/v1/calls/{call}")).status == 403
    await scene.end(1, "ann", rest_s=0)
    await eventually(lambda: supervisor.get(f"/v1/calls/{call}"), "carried")
    assert (await agent.get(f"/v1/calls/{call}")).json["caller"] == masked, "no longer on the call"


async def test_a_supervisor_sees_the_own_teams_calls_only(scene: Scene) -> None:
    supervisor = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    await scene.connect(1, "ann")
    await scene.connect(2, "ben")
    await scene.arrive(3)
    items = (await supervisor.get("/v1/calls")).json["items"]
    assert [each["id"] for each in items] == [call_id(1)]
    assert (await supervisor.get(f"/v1/calls/{call_id(2)}")).status == 404


async def test_a_live_call_is_explained_agent_by_agent(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.connect(1, "ann")
    call = await scene.arrive(2)
    told = (await manager.get(f"/v1/calls/{call}/explanation")).json
    assert (told["source"], told["needs"], told["winner"]) == ("present", {"talk": 1}, "ben")
    by_agent = {each["agent"]: each for each in told["candidates"]}
    assert by_agent["ann"]["excluded"] == "has_offer"
    assert by_agent["ben"]["rank"] == 1
    assert "t2.zoe" not in by_agent, "another tenant's agent is counted, and not named"


async def test_a_past_call_is_explained_by_what_its_record_keeps(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    supervisor = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    await scene.end(1, "ann")
    await over(manager, 1)
    told = (await manager.get(f"/v1/calls/{call_id(1)}/explanation")).json
    assert (told["source"], told["winner"], told["excluded"]) == ("record", "ann", {"paused": 2})
    assert [each["agent"] for each in told["candidates"]] == ["ann", "ben"]
    partly = (await supervisor.get(f"/v1/calls/{call_id(1)}/explanation")).json
    assert [each["agent"] for each in partly["candidates"]] == ["ann"], "ben is of another team"


async def test_a_call_stands_in_the_history_of_who_called_once(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    sent = {"name": "Anna", "numbers": [ANNA_CALLS]}
    where = (await manager.post("/v1/customers", sent)).headers["Location"]
    await scene.arrive(1)
    await scene.end(1, "ann")
    await over(manager, 1)
    await scene.end(1, "ann")  # told twice, as after a watch that began anew
    await scene.end(2)
    await over(manager, 2)
    items = (await manager.get(f"{where}/history")).json["items"]
    told = [each for each in items if each["kind"] == "call"]
    assert [(each["reference"], each["what"]) for each in told] == [(call_id(1), "answered")]


async def test_a_history_tells_how_a_call_ended_when_a_later_record_of_it_comes(
    scene: Scene,
) -> None:
    """As after a site served alone whose calls were taken for lost."""
    manager = await scene.center.person(Role.MANAGER)
    sent = {"name": "Anna", "numbers": [ANNA_CALLS]}
    where = (await manager.post("/v1/customers", sent)).headers["Location"]
    await scene.arrive(1)
    await scene.end(1, outcome=Outcome.LOST, cause="edge_died")
    await over(manager, 1)

    async def told() -> list[tuple[str, str, str]]:
        items = (await manager.get(f"{where}/history")).json["items"]
        return [(e["reference"], e["what"], e["by"]) for e in items if e["kind"] == "call"]

    assert await told() == [(call_id(1), "lost", "")]
    await scene.end(1, "ann")

    async def is_answered() -> bool:
        return bool((await over(manager, 1))["outcome"] == "answered")

    await eventually(is_answered, "the later record")
    assert await told() == [(call_id(1), "answered", "ann")]


async def test_a_number_that_was_erased_is_written_down_no_more_when_all_is_carried_again(
    scene: Scene,
) -> None:
    """As after a database was away for longer than the shared state keeps changes."""
    manager = await scene.center.person(Role.MANAGER)
    for number in (1, 2):
        await scene.arrive(number, caller=ANNA_CALLS if number == 1 else "+493098766")
        await scene.end(number, "ann")
        await over(manager, number)
    database, load = scene.center.services.database, CallLoad(scene.center.app[LIVE])
    async with database.write() as connection:
        await calls.forget_callers(connection, "main", [ANNA_CALLS])
        ledger = await read_all(scene.store, keys.ENDED)
        await load.take(connection, ledger.records)
    callers = {number: (await over(manager, number))["caller"] for number in (1, 2)}
    assert callers == {1: None, 2: {"number": "+493098766", "is_masked": False}}


async def test_a_later_record_of_the_same_call_stands(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1)
    await over(manager, 1)
    await scene.end(1, "ann")

    async def is_answered() -> bool:
        return bool((await over(manager, 1))["outcome"] == "answered")

    await eventually(is_answered, "the later record")
    assert len((await manager.get("/v1/calls?is_live=false")).json["items"]) == 1
