"""Agents are let be ready, paused, signed out; and their rests are ended and prolonged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from control_plane.audit.tables import AuditRow
from control_plane.live import look
from control_plane.permissions import Role
from control_plane.who import STALE_S
from edge.acd.attendance import attendance, presence_due, rest_asked
from state import keys
from state.codec import encode
from state.model import AgentId, PauseCode, Readiness, Wish
from state.snapshot import Delta, Snapshot
from state.store import Delete, Put
from tests.control_plane.center import Person, Reply
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.outage import away, unheard
from tests.control_plane.live.stage import Scene

__all__ = ["database_url"]


@asynccontextmanager
async def home(scene: Scene) -> AsyncIterator[None]:
    """Do what home edges do: obey wishes, by the edge's own rules."""
    woken = asyncio.Event()

    def wake(_snapshot: Snapshot, _deltas: tuple[Delta, ...]) -> None:
        woken.set()

    async def obey() -> None:
        while True:
            await woken.wait()
            woken.clear()
            snapshot, wall_ms = scene.mirror.snapshot, scene.clock.now().wall_ms
            for agent, entry in snapshot.agents.items():
                held, work = snapshot.presences.get(agent), snapshot.works.get(agent)
                found = attendance(
                    entry.value, registered=True, wish=snapshot.wishes.get(agent), work=work
                )
                rest = rest_asked(held, snapshot.rests.get(agent), work)
                due = presence_due(held, entry.value, found, wall_ms, rest=rest)
                if due is not None:
                    put = Put(key=keys.presence(agent), value=encode(due))
                    await scene.store.txn((), (put,))

    leave = scene.mirror.subscribe(wake)
    obeying = asyncio.create_task(obey())
    try:
        yield
    finally:
        obeying.cancel()
        leave()


async def say(person: Person, agent: str, state: str, reason: str = "") -> Reply:
    body = {"state": state, "reason": reason}
    return await person.ask("PUT", f"/v1/agents/{agent}/state", body)


async def wrap_up(person: Person, agent: str, do: str, by_s: float = 0) -> Reply:
    return await person.post(f"/v1/agents/{agent}/wrap-up", {"do": do, "by_s": by_s})


async def audited(scene: Scene) -> list[tuple[str, str, str]]:
    await scene.center.services.journal.flush()
    async with scene.center.services.database.read() as connection:
        found = await connection.execute(
            select(AuditRow.actor, AuditRow.thing, AuditRow.detail).where(
                AuditRow.kind == "agent", AuditRow.decision == "allowed"
            )
        )
        return [(row.actor, row.thing, row.detail) for row in found]


async def test_an_agent_pauses_and_is_ready_again(scene: Scene) -> None:
    ann = await scene.center.person(Role.AGENT, agent="ann")
    async with home(scene):
        paused = (await say(ann, "ann", "paused", "lunch")).json
        assert (paused["missing"], paused["agent"]["state"]) == ("", "paused")
        assert (paused["agent"]["reason"], paused["agent"]["by"]) == ("lunch", "")
        assert (await say(ann, "ann", "ready")).json["agent"]["state"] == "ready"
        assert (await say(ann, "ann", "signed_out")).json["agent"]["state"] == "signed_out"
    assert [(actor, thing) for actor, thing, _ in await audited(scene)] == [(ann.id, "ann")] * 3


async def test_a_supervisor_forces_a_state_of_the_own_team_and_it_is_told_who_did(
    scene: Scene,
) -> None:
    boss = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    async with home(scene):
        told = (await say(boss, "ann", "paused", "talk")).json["agent"]
        assert (told["state"], told["by"]) == ("paused", boss.id)
        assert (await say(boss, "ben", "paused")).status == 404
    ben = scene.mirror.snapshot.wishes[AgentId("ben")].value
    assert ben == Wish(agent=AgentId("ben"), readiness=Readiness.READY)


async def test_what_was_written_though_nobody_could_say_so_is_in_the_audit_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = await scene.center.person(Role.SUPERVISOR, team="north", site="a")
    monkeypatch.setattr(scene.store, "txn", unheard(scene.store))
    reply = await say(boss, "ann", "paused", "talk")
    assert (reply.status, reply.error_id) == (503, "unavailable")

    def is_paused(snapshot: Snapshot) -> bool:
        return snapshot.wishes[AgentId("ann")].value.readiness is Readiness.PAUSED

    await scene.mirror.wait_until(is_paused, 2.0)  # and so it is obeyed
    ((actor, thing, _),) = await audited(scene)
    assert (actor, thing) == (boss.id, "ann")


async def test_nobody_sets_the_state_of_others(scene: Scene) -> None:
    for role, agent in ((Role.AGENT, "ann"), (Role.OUTSOURCED_AGENT, "out")):
        person = await scene.center.person(role, agent=agent)
        for other in ("ben", "t2.zoe", "nobody"):
            assert (await say(person, other, "paused")).status == 404
            assert (await wrap_up(person, other, "finish")).status == 404
    foreign = await scene.center.person(Role.MANAGER, tenant="t2")
    assert (await say(foreign, "ann", "paused")).status == 404
    auditor = await scene.center.person(Role.AUDITOR)
    assert (await say(auditor, "ann", "paused")).status == 403
    assert await audited(scene) == []


async def test_where_there_are_pause_codes_no_other_reason_is_taken(scene: Scene) -> None:
    code = PauseCode(id="lunch")
    await scene.put((keys.pause_code("lunch"), code))
    ann = await scene.center.person(Role.AGENT, agent="ann")
    async with home(scene):
        refused = await say(ann, "ann", "paused", "tired")
        assert (refused.status, refused.json["faults"][0]["where"]) == (422, "body.reason")
        assert (await say(ann, "ann", "paused", "lunch")).status == 200


async def test_what_keeps_a_wish_from_counting_is_told(scene: Scene) -> None:
    manager = await scene.center.person(Role.MANAGER)
    assert (await say(manager, "ann", "paused")).json["missing"] == "not_taken_yet"
    await scene.write(Delete(key=keys.presence(AgentId("ann"))))
    assert (await say(manager, "ann", "ready")).json["missing"] == "no_telephone"
    await scene.write(*(Delete(key=keys.edge(each)) for each in scene.mirror.snapshot.edges))
    assert (await say(manager, "ann", "ready")).json["missing"] == "home_site_dead"


async def test_a_rest_is_prolonged_and_ended(scene: Scene) -> None:
    ann = await scene.center.person(Role.OUTSOURCED_AGENT, agent="ann", employer="x")
    async with home(scene):
        refused = await wrap_up(ann, "ann", "finish")
        assert (refused.status, refused.error_id) == (409, "not-resting")
        await scene.connect(1, "ann")
        await scene.end(1, "ann", rest_s=30)
        await scene.advance(10)
        reply = await wrap_up(ann, "ann", "extend", 60)
        assert reply.status == 200, reply.body
        longer = reply.json
        assert (longer["missing"], longer["agent"]["rest_left_s"]) == ("", 80)
        ended = (await wrap_up(ann, "ann", "finish")).json
        assert (ended["missing"], ended["agent"]["state"]) == ("", "ready")
        assert (await wrap_up(ann, "ann", "extend", 60)).status == 409


async def test_a_rest_is_as_good_as_over_once_the_agent_is_given_to_the_next_call(
    scene: Scene,
) -> None:
    ann = await scene.center.person(Role.AGENT, agent="ann")
    async with home(scene):
        await scene.connect(1, "ann")
        await scene.end(1, "ann", rest_s=30)
        await scene.ring(2, "ann")
        told = look.agents(scene.mirror.snapshot, scene.clock.now(), frozenset({AgentId("ann")}))
        assert [each.rest_left_s for each in told] == [0.0]
        for do in ("finish", "extend"):
            refused = await wrap_up(ann, "ann", do, 60)
            assert (refused.status, refused.error_id) == (409, "not-resting")


async def test_prolonging_a_rest_does_not_end_the_pause_of_who_let_calls_ring(
    scene: Scene,
) -> None:
    manager = await scene.center.person(Role.MANAGER)
    async with home(scene):
        await say(manager, "ann", "ready")
        before = scene.mirror.snapshot.wishes[AgentId("ann")]
        await scene.connect(1, "ann")
        await scene.end(1, "ann", rest_s=30)
        assert (await wrap_up(manager, "ann", "extend", 5)).json["missing"] == ""
    assert scene.mirror.snapshot.wishes[AgentId("ann")] == before


@pytest.mark.parametrize("body", [{"do": "end"}, {"do": "extend", "by_s": -1}, {}])
async def test_nonsense_is_refused(scene: Scene, body: dict[str, Any]) -> None:
    manager = await scene.center.person(Role.MANAGER)
    assert (await manager.post("/v1/agents/ann/wrap-up", body)).status == 422


# ---- outages -------------------------------------------------------------------------------------


async def test_agents_go_on_without_the_database_and_it_is_written_down_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await scene.center.person(Role.AGENT, agent="ann")
    manager = await scene.center.person(Role.MANAGER)
    async with home(scene):
        for person in (ann, manager):
            assert (await person.get("/v1/me")).status == 200
        database = scene.center.services.database
        monkeypatch.setattr(database, "read", away)
        monkeypatch.setattr(database, "write", away)
        await scene.advance(3)
        assert (await say(ann, "ann", "paused", "lunch")).json["agent"]["state"] == "paused"
        assert (await say(manager, "ben", "paused", "talk")).json["agent"]["state"] == "paused"
        for method, path, body in (
            ("GET", "/v1/users", None), ("GET", "/v1/calls?is_live=false", None),
            ("GET", "/v1/customers", None), ("POST", "/v1/customers", {"name": "Anna"}),
            ("POST", "/v1/queues", {"id": "q", "needs": {}}), ("GET", "/v1/agents/ann", None),
        ):  # fmt: skip
            refused = await manager.ask(method, path, body)
            assert (refused.status, refused.error_id) == (503, "unavailable"), path
        assert scene.center.services.journal.count == 2
        scene.clock.advance(STALE_S)
        assert (await say(ann, "ann", "ready")).status == 503, "the time is over"
        monkeypatch.undo()
        await scene.center.services.journal.flush()
    assert [(actor, thing) for actor, thing, _ in await audited(scene)] == [
        (ann.id, "ann"), (manager.id, "ben")
    ]  # fmt: skip


async def test_without_the_shared_state_nothing_is_said_to_be_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await scene.center.person(Role.AGENT, agent="ann")
    monkeypatch.setattr(type(scene.mirror), "age_s", 10.0)
    assert (await say(ann, "ann", "paused")).status == 503
    assert await audited(scene) == []
