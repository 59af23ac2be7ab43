"""What agents are doing, and how queues and sites stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.live import lately, look, places
from control_plane.live.look import AgentFacts, AloneFacts
from control_plane.permissions import Role
from state import keys
from state.codec import encode
from state.model import EdgeId, Probe, QueueId, Site, SiteId
from state.store import Delete, Put
from tests.control_plane.center import Person
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import away
from tests.control_plane.live.stage import Scene, call_id, eventually, queue

__all__ = ["database_url"]


async def states(person: Person, query: str = "") -> dict[str, str]:
    items = (await person.get(f"/v1/live/agents{query}")).json["items"]
    return {each["id"]: each["state"] for each in items}


async def test_agents_are_told_by_what_they_do(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    assert await states(manager) == {"ann": "ready", "ben": "ready", "out": "ready"}
    await scene.connect(1, "ann")
    await scene.ring(2, "ben")
    assert await states(manager) == {"ann": "talking", "ben": "offered", "out": "ready"}
    await scene.end(1, "ann", rest_s=30)
    scene.clock.advance(10)
    ann = (await manager.get("/v1/agents/ann/live")).json
    assert (ann["state"], ann["rest_left_s"], ann["call"], ann["calls"]) == ("wrap_up", 20, None, 1)
    assert (await manager.get("/v1/agents/ben/live")).json["call"] == call_id(2)
    assert await states(manager, "?state=ready") == {"out": "ready"}
    assert await states(manager, "?team=north&site=a") == {"ann": "wrap_up"}


async def test_agents_come_in_pages(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    first = (await manager.get("/v1/live/agents?limit=2")).json
    second = (await manager.get(f"/v1/live/agents?limit=2&cursor={first['next']}")).json
    found = [each["id"] for page in (first, second) for each in page["items"]]
    assert (found, second["next"]) == (["ann", "ben", "out"], None)
    assert (await manager.get("/v1/live/agents?sort=-id")).status == 422


async def test_a_page_of_agents_looks_at_no_more_than_it_shows_and_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    all_, seen = look.agents, list[str]()

    def counted(*about: Any) -> Iterator[AgentFacts]:  # noqa: ANN401 - as it is there
        for each in all_(*about):
            seen.append(each.id)
            yield each

    monkeypatch.setattr(look, "agents", counted)
    first = (await manager.get("/v1/live/agents?limit=1")).json
    assert seen == ["ann", "ben"]
    await manager.get(f"/v1/live/agents?limit=1&cursor={first['next']}")
    assert seen == ["ann", "ben", "ben", "out"]


async def test_who_sees_which_agent(scene: Scene) -> None:
    supervisor = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    assert await states(supervisor) == {"ann": "ready"}
    assert (await supervisor.get("/v1/agents/ben/live")).status == 404
    own = await scene.center.person(Role.OUTSOURCED_AGENT, agent="out", employer="x")
    assert await states(own) == {"out": "ready"}
    assert (await own.get("/v1/agents/ann/live")).status == 404
    theirs = await scene.center.person(Role.MANAGER, tenant="t2")
    assert await states(theirs) == {"t2.zoe": "ready"}
    assert (await theirs.get("/v1/agents/ann/live")).status == 404


async def test_a_queue_tells_who_waits_and_how_callers_were_served(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.end(1, "ann", rest_s=0)
    await scene.end(2)
    scene.clock.advance(60)
    await scene.arrive(3)
    scene.clock.advance(5)
    await scene.connect(4, "ben")

    async def has_three() -> Any:  # noqa: ANN401
        told = (await manager.get("/v1/queues/sales/live?target_s=12")).json
        return told if told["service"]["calls"] == 3 else None

    told = await eventually(has_three, "both carried over, and one is talked with")
    assert (told["waiting"], told["longest_s"], told["talking"]) == (1, 5.0, 1)
    assert told["free"] == 2, "ann and out; zoe is another tenant's"
    assert (told["service"]["answered"], told["service"]["abandoned"]) == (2, 1)
    assert told["service"]["service_level"]["answered_in_time_of_all"] == 2 / 3
    listed = (await manager.get("/v1/live/queues")).json
    assert [each["id"] for each in listed["items"]] == ["sales"]
    assert listed["is_current"] is True
    assert (await manager.get("/v1/queues/t2.sales/live")).status == 404


async def test_figures_say_over_how_long_they_are_where_more_calls_came_than_are_looked_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.put((keys.queue(QueueId("help")), queue("help")))
    for number in (1, 2):
        await scene.end(number)
        scene.clock.advance(60)

    async def service(path: str) -> Any:  # noqa: ANN401
        return (await manager.get(path)).json["service"]

    async def has_two() -> bool:
        return bool((await service("/v1/queues/sales/live"))["calls"] == 2)

    await eventually(has_two, "both carried over")
    whole = await service("/v1/queues/sales/live")
    monkeypatch.setattr(lately, "MOST_RECORDS", 1)
    part = await service("/v1/queues/sales/live")
    assert (whole["calls"], whole["interval_s"]) == (2, 3600)
    assert part["calls"] == 1
    assert 60 <= part["interval_s"] < 120
    assert (await service("/v1/queues/help/live"))["interval_s"] == 3600, "of it all is known"
    for each in (await manager.get("/v1/live/queues")).json["items"]:
        assert each["service"]["interval_s"] == part["interval_s"]


async def test_an_outsourcers_agent_sees_the_outsourcers_queues_and_no_other(scene: Scene) -> None:
    out = await scene.center.person(Role.OUTSOURCED_AGENT, agent="out", employer="x")
    for name, employer in (("theirs", "x"), ("others", "y")):
        await scene.put((keys.queue(QueueId(name)), queue(name, employer=employer)))
    listed = (await out.get("/v1/live/queues")).json["items"]
    assert [(each["id"], each["employer"]) for each in listed] == [("theirs", "x")]
    assert (await out.get("/v1/queues/theirs/live")).status == 200
    for name in ("others", "sales"):
        assert (await out.get(f"/v1/queues/{name}/live")).status == 404


async def test_queues_are_told_without_the_database_but_for_the_past(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.connect(1, "ann")
    call = (await manager.get(f"/v1/calls/{call_id(1)}")).json
    assert call["caller"]["is_masked"] is False
    monkeypatch.setattr(scene.center.services.database, "read", away)
    scene.clock.advance(3)
    told = (await manager.get("/v1/queues/sales/live")).json
    assert (told["talking"], told["service"]) == (1, None)
    live = (await manager.get("/v1/calls?is_live=true")).json["items"]
    assert [each["id"] for each in live] == [call_id(1)]
    assert live[0]["caller"] is None, "in full is for whoever is known to be allowed still"
    for path in ("/v1/calls", "/v1/calls?is_live=false", f"/v1/calls/{call_id(1)}/explanation"):
        assert (await manager.get(path)).status == 503, path


async def test_sites_tell_who_lives_drains_and_is_out_of_reach(scene: Scene) -> None:
    sre = await scene.center.person(Role.SRE)
    manager = await scene.center.person(Role.MANAGER, tenant="t2")
    await scene.connect(1, "ann")
    draining = Site(id=SiteId("b"), name="B", sip="b:1", draining=True, shares={SiteId("a"): 100})
    probe = Probe(edge=EdgeId("a1"), up=(SiteId("a"),), down=(SiteId("b"),))
    await scene.put((keys.site(SiteId("b")), draining), (keys.probe(EdgeId("a1")), probe))
    a, b = (await sre.get("/v1/live/sites")).json["items"]
    assert (a["calls"], a["has_quorum"], a["is_draining"], a["alone_since"]) == (
        1, True, False, None
    )  # fmt: skip
    assert (b["is_draining"], b["shares"], b["out_of_reach_of"]) == (True, {"a": 100}, ["a1"])
    await scene.write(Delete(key=keys.edge(EdgeId("b1"))))
    assert (await sre.get("/v1/live/sites")).json["items"][1]["has_quorum"] is False
    assert (await manager.get("/v1/live/sites")).json["items"][0]["calls"] == 0, "not its own"


async def test_an_edge_tells_since_when_and_why_it_serves_alone(tmp_path: Path) -> None:
    said = {"ok": True, "serving": {"mode": "alone", "since_ms": 1234}}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline()) == {"cmd": "status"}
        writer.write(json.dumps(said).encode() + b"\n")
        writer.close()

    path = tmp_path / "edge-a1.sock"
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        told = places.alone_facts(await places.ask_edge(path))
        assert told == AloneFacts(since_ms=1234, because="no_quorum")
        said["serving"] = {"mode": "merging", "because": "store_full", "since_ms": 1234}
        told = places.alone_facts(await places.ask_edge(path))
        assert told == AloneFacts(since_ms=1234, because="store_full")
        said["serving"] = {"mode": "quorum", "since_ms": 1234}
        assert places.alone_facts(await places.ask_edge(path)) is None
    assert await places.ask_edge(tmp_path / "edge-a2.sock") is None


async def test_what_cannot_be_read_harms_nobody(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    await scene.write(
        Put(key=keys.ticket(call_id(9)), value=b"rubbish"),
        Put(key=keys.ended(call_id(8)), value=b'{"v": 1}'),
        Put(key=keys.ended(call_id(7)), value=encode(scene.record(7))),
    )
    await eventually(lambda: manager.get(f"/v1/calls/{call_id(7)}"), "the good one is carried")
    assert (await manager.get("/v1/calls")).status == 200
    assert (await manager.get(f"/v1/calls/{call_id(9)}")).status == 404
