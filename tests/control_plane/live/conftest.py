"""A control plane over a shared state in memory, on both databases."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from state.clock import ManualClock
from state.memory import MemoryStore
from tests.control_plane.center import running, settings
from tests.control_plane.customers.stage import key_settings
from tests.control_plane.live.stage import Scene


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """Serve over a furnished center."""
    clock = ManualClock()
    store = MemoryStore(clock, heartbeat_s=0.2)
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = settings(folder, database_url, **key_settings(folder))
        async with running(made, clock, store) as center:
            await center.tenant("t2")
            scene = Scene(store, clock, center)
            await scene.furnish()
            # What stands there has become the first version: what a test adds stays.
            await scene.mirror.wait_until(lambda snapshot: "current" in snapshot.releases, 10)
            yield scene
