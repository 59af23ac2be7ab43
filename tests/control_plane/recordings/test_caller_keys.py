"""The recorder is told whose key a call is sealed to, as soon as somebody known calls."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.permissions import Role
from control_plane.recording_keys import keeping
from control_plane.recordings.shelf import RECORDING_KEYS
from custody import keyfile
from custody.keyring import Keyring
from custody.providers import LocalFile
from state.clock import ManualClock
from state.memory import MemoryStore
from state.model import SiteId
from tests.control_plane.center import running, settings
from tests.control_plane.customers.stage import key_settings
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually


class Ear:
    """Listens where the recorder would, and takes everything."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recorder.sock"
        self.heard: list[dict[str, Any]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one command."""
        self.heard.append(json.loads(await reader.readline()))
        writer.write(b'{"ok": true}\n')
        writer.close()


class Told:
    """A control plane beside a recorder."""

    def __init__(self, scene: Scene, ear: Ear, ring: Keyring) -> None:
        self.scene = scene
        self.ear = ear
        self.ring = ring

    async def has_keys(self) -> bool:
        """Tell whether both tenants have a key in the folder."""
        return {tenant for tenant, _ in self.ring.names()} == {"main", "t2"}

    async def customer(self, *numbers: str) -> str:
        """Let there be a customer."""
        manager = await self.scene.center.person(Role.MANAGER)
        made = await manager.post("/v1/customers", {"name": "Anna", "numbers": list(numbers)})
        assert made.status == 201, made.body
        return str(made.json["id"])

    async def hears(self, count: int) -> list[dict[str, Any]]:
        """Wait until the recorder has heard so much."""

        async def has() -> bool:
            return len(self.ear.heard) >= count

        await eventually(has, f"{count} were told")
        return self.ear.heard


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    monkeypatch.setattr(keeping, "PERIOD_S", 0.05)
    clock = ManualClock()
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ear = Ear(folder)
        server = await asyncio.start_unix_server(ear, path=ear.path)
        keyfile.make(folder / "provider.key")
        recordings = {
            "store": str(folder / "store"),
            "keyring": folder / "keyring",
            "provider": "a",
            "provider_file": folder / "provider.key",
            "recipients": {"b": LocalFile(b"b" * 32).recipient().text},
            "recorders": {},
        }
        keys = key_settings(folder)
        made = settings(
            folder, f"sqlite:///{folder / 'all.db'}", recordings=recordings, run=folder, **keys
        )
        store = MemoryStore(clock, heartbeat_s=0.2)
        async with running(made, clock, store) as center:
            await center.tenant("t2")
            scene = Scene(store, clock, center)
            await scene.furnish()
            told = Told(scene, ear, Keyring(folder / "keyring"))
            await eventually(told.has_keys, "the site has said what to wrap for")
            yield told
        server.close()


async def test_a_call_of_somebody_known_is_sealed_to_their_key(told: Told) -> None:
    await told.customer(ANNA_CALLS)
    call = await told.scene.arrive(1)
    (heard,) = await told.hears(1)
    assert (heard["cmd"], heard["call"], heard["tenant"]) == ("seal_to", call, "main")
    key = told.ring.get("main", heard["key"])
    assert key.customer.startswith("cus_")
    assert sorted(key.wrapped) == ["a", "b"]
    keys = told.scene.center.app[RECORDING_KEYS]
    assert await keys.calls_of("main", key.customer) == (call,)


async def test_two_calls_of_one_customer_are_sealed_to_one_key(told: Told) -> None:
    await told.customer(ANNA_CALLS, "+493011111")
    await told.scene.arrive(1)
    await told.scene.arrive(2, caller="+493011111")
    heard = await told.hears(2)
    assert {each["call"] for each in heard} == {call_id(1), call_id(2)}
    assert len({each["key"] for each in heard}) == 1


async def test_strangers_shared_numbers_and_other_sites_calls_are_left_to_the_tenant_s_key(
    told: Told,
) -> None:
    await told.customer(ANNA_CALLS)
    await told.customer("+493022222")
    await told.customer("+493022222")
    await told.scene.arrive(1, caller="+493033333")
    await told.scene.arrive(2, caller="+493022222")
    await told.scene.arrive(3, did="200")
    await told.scene.arrive_for(4, site=SiteId("b"))
    known = await told.scene.arrive(5)
    assert [each["call"] for each in await told.hears(1)] == [known]


async def test_of_two_who_were_merged_it_is_the_one_who_stayed(told: Told) -> None:
    stays, goes = await told.customer(ANNA_CALLS), await told.customer(ANNA_CALLS)
    manager = await told.scene.center.person(Role.MANAGER)
    merged = await manager.post(f"/v1/customers/{stays}/merge", {"gone": goes})
    assert merged.status == 200, merged.body
    await told.scene.arrive(1)
    (heard,) = await told.hears(1)
    assert told.ring.get("main", heard["key"]).customer == stays


async def test_every_tenant_has_a_key_before_its_first_call(told: Told) -> None:
    assert [told.ring.newest(each).tenant for each in ("main", "t2")] == ["main", "t2"]
