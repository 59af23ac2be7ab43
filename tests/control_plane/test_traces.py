"""Traces: nothing without being asked for, and nobody's data with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from control_plane.permissions import Role
from control_plane.settings import Settings, Traces
from control_plane.traced_store import TracedStore, kind_of
from state import keys
from state.clock import ManualClock
from state.memory import MemoryStore
from state.model import AgentId, CallId, DidNumber
from state.store import Store
from tests.control_plane.center import running, settings
from tests.control_plane.customers.stage import key_settings
from tests.control_plane.live.stage import Scene
from tests.ports import free_tcp_port

NAME, NUMBER = "Zebulon Quint", "+493055512345"


def test_without_settings_nothing_of_opentelemetry_is_imported() -> None:
    said = "import sys, control_plane.app; print([m for m in sys.modules if 'telemetry' in m])"
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("changes", [{"share": 0}, {"share": 1.1}, {"endpoint": "127.0.0.1:4318"}])
def test_settings_that_say_nothing_sensible_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Traces.model_validate({"endpoint": "http://127.0.0.1:4318/v1/traces"} | changes)


def test_a_span_names_the_kind_of_a_record_and_not_whose() -> None:
    assert kind_of(keys.did(DidNumber("4930100"))) == "state/config/did"
    assert kind_of(keys.wish(AgentId("ann"))) == "state/wish"
    assert kind_of(keys.ended(CallId("0" * 24))) == kind_of(keys.ENDED) == "ended"


def test_a_traced_store_asks_what_it_is_asked() -> None:
    named = {name for name in vars(TracedStore) if not name.startswith("_")}
    assert named == {name for name in vars(Store) if not name.startswith("_")}


# ---- with a receiver -----------------------------------------------------------------------------


@dataclass
class Receiver:
    """Takes OTLP by HTTP."""

    url: str = ""
    raw: bytes = b""
    spans: list[Any] = field(default_factory=list)
    resources: set[str] = field(default_factory=set)

    async def take(self, request: web.Request) -> web.Response:
        """Keep what is sent."""
        # Not at the top: the other tests hold where nothing of it is installed.
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415

        body = await request.read()
        assert request.content_type == "application/x-protobuf"
        told = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        self.raw += body
        for resource in told.resource_spans:
            self.resources |= {each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response()

    def named(self, name: str) -> list[Any]:
        """Return the spans of this name."""
        return [each for each in self.spans if each.name == name]


def words(span: Any) -> dict[str, Any]:  # noqa: ANN401 - OTLP's
    """Return a span's attributes."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Take traces while entered."""
    made, port = Receiver(), free_tcp_port()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"http://127.0.0.1:{port}/v1/traces"
    try:
        yield made
    finally:
        await runner.cleanup()


def traced(folder: Path, url: str) -> Settings:
    """Return settings with traces."""
    database = f"sqlite:///{folder / 'e.db'}"
    return settings(folder, database, traces={"endpoint": url}, **key_settings(folder))


@pytest.mark.parts
async def test_a_request_is_traced_to_its_decisions_and_statements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with receiving() as receiver:
        async with running(traced(tmp_path, receiver.url)) as center:
            manager = await center.person(Role.MANAGER)
            draft = {"name": NAME, "numbers": [NUMBER], "notes": "allergic to zebras"}
            made = await manager.post("/v1/customers", draft)
            where = f"/v1/customers/{made.json['id']}"
            assert (await manager.get(where)).json["basic"]["name"] == NAME
            await manager.get(f"/v1/customers/by-number/{NUMBER}")
            none = await manager.get("/v1/customers/cus_none")
            assert (await manager.get(f"/v1/customers?number=%2B49{NUMBER[3:]}")).status == 200
        # What waited was sent at the end.
        (shown,) = [e for e in receiver.named("GET /v1/customers/{customer}")
                    if words(e)["http.response.status_code"] == 200]  # fmt: skip
        assert words(shown)["everline.operation"] == "customers_show"
        inside = [each for each in receiver.spans if each.trace_id == shown.trace_id]
        by_name = {each.name: each for each in inside}
        decision = words(by_name["authorise"])
        assert decision["everline.allowed"] is True
        assert decision["everline.subject"] == manager.id
        assert "SELECT" in words(by_name["database SELECT"])["db.query.text"]
        assert by_name["authorise"].parent_span_id == shown.span_id
        assert by_name["database SELECT"].parent_span_id == shown.span_id
        refused = bytes.fromhex(none.json["trace_id"])
        whole = [e for e in receiver.spans if e.trace_id == refused and not e.parent_span_id]
        assert [each.name for each in whole] == ["GET /v1/customers/{customer}"]
        assert f"trace={none.json['trace_id']}" in capsys.readouterr().out
        assert {"everline-control-plane", "a"} <= receiver.resources
        for secret in (NAME, "Quint", NUMBER, NUMBER[1:], "zebras", manager.token):
            assert secret.encode() not in receiver.raw


@pytest.mark.parts
async def test_what_a_request_asks_of_the_shared_state_is_traced(tmp_path: Path) -> None:
    clock = ManualClock()
    store = MemoryStore(clock, heartbeat_s=0.2)
    async with receiving() as receiver:
        async with running(traced(tmp_path, receiver.url), clock, store) as center:
            scene = Scene(store, clock, center)
            await scene.furnish()
            ann = await center.person(Role.AGENT, agent="ann")
            sent = await ann.ask("PUT", "/v1/agents/ann/state", {"state": "paused"})
            assert sent.status == 200
        (written,) = receiver.named("etcd txn")
        assert words(written)["everline.kind"] == "state/wish"
        (asked,) = receiver.named("PUT /v1/agents/{agent}/state")
        assert written.parent_span_id == asked.span_id


@pytest.mark.parts
async def test_a_receiver_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    nowhere = Traces(endpoint=f"http://127.0.0.1:{free_tcp_port()}/v1/traces", timeout_s=0.2)
    made = traced(tmp_path, nowhere.endpoint).model_copy(update={"traces": nowhere})
    async with running(made) as center:
        manager = await center.person(Role.MANAGER)
        told = json.loads((await manager.get("/v1/me")).body)
        assert told["id"] == manager.id
