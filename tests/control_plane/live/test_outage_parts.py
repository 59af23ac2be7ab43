"""A real database that dies during calls: they go on, and what is sensitive waits."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

import pytest

from control_plane.permissions import Role
from state.clock import ManualClock
from state.memory import MemoryStore
from tests.control_plane.center import running, settings
from tests.control_plane.events.stage import listening
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually
from tests.control_plane.live.test_wishes import audited, home, say
from tests.control_plane.postgresql import Server

pytestmark = pytest.mark.parts


async def test_calls_go_on_while_the_database_is_dead_and_all_is_written_down_after() -> None:
    server = Server(Path(tempfile.mkdtemp(prefix="everline-pg-", dir="/tmp")))
    server.start()
    clock = ManualClock()
    store = MemoryStore(clock, heartbeat_s=0.2)
    try:
        with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
            made = settings(Path(folder), server.url(server.create()))
            async with running(made, clock, store) as center:
                scene = Scene(store, clock, center)
                await scene.furnish()
                await _through_an_outage(scene, server)
    finally:
        server.remove()


async def _through_an_outage(scene: Scene, server: Server) -> None:
    manager = await scene.center.person(Role.MANAGER)
    out = await scene.center.person(Role.OUTSOURCED_AGENT, agent="out", employer="x")
    await manager.post("/v1/customers", {"name": "Anna", "numbers": [ANNA_CALLS]})
    await scene.connect(1, "out")
    async with home(scene), listening(out, "?topics=agents") as ear:
        for person in (manager, out):
            assert (await person.get("/v1/me")).status == 200
        assert len((await out.get("/v1/me/call")).json["customers"]) == 1
        server.stop(signal.SIGQUIT)
        await scene.advance(3)
        pop = (await out.get("/v1/me/call")).json
        assert (pop["call"], pop["customers"]) == (call_id(1), None)
        assert pop["caller"] == {"number": "+49••••65", "is_masked": True}
        await scene.end(1, "out", rest_s=0)
        assert (await say(out, "out", "paused", "lunch")).json["agent"]["state"] == "paused"
        told = await ear.event(lambda each: each["data"]["state"] == "paused")
        assert told["data"]["reason"] == "lunch"
        began = time.monotonic()
        for path in ("/v1/customers", "/v1/users", "/v1/calls"):
            refused = await manager.get(path)
            assert (refused.status, refused.error_id) == (503, "unavailable"), path
        assert time.monotonic() - began < 30
        assert scene.center.services.journal.count >= 2, "the look at the call, and the state"
        server.start()

        async def is_written() -> bool:
            return scene.center.services.journal.count == 0

        await eventually(is_written, "the audit log")
        carried = await eventually(
            lambda: manager.get(f"/v1/calls/{call_id(1)}"), "the call that ended meanwhile"
        )
        assert carried.status == 200
    assert [(actor, thing) for actor, thing, _ in await audited(scene)] == [(out.id, "out")]
