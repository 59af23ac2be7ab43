"""tables.json is kept beside all else: a disk that stands still keeps Kamailio from nothing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.proxy.errors import ProxyError
from edge.proxy.gate import GateLoad
from edge.proxy.proxy import Proxy
from edge.proxy.tables import Tables, decode_file
from state.model import EdgeId

PATIENCE_S = 5.0


async def _nothing_stands() -> None:
    return None


async def _nothing_to_load() -> GateLoad:
    raise ProxyError("there is no snapshot")


@asynccontextmanager
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """Run a proxy whose Kamailio takes no connection."""

    async def connect(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", connect)
    proxy = Proxy(
        edge=EdgeId("a1"),
        rpc_socket=folder / "nobody",
        evapi=("127.0.0.1", 9),
        tables_file=folder / "tables.json",
        standing=_nothing_stands,
        to_load=_nothing_to_load,
    )
    task = asyncio.create_task(proxy.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield proxy
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def numbers(file: Path) -> list[str]:
    """Return the numbers that stand in the file."""
    if not file.exists():
        return []
    return [key for table, key in decode_file(file.read_bytes()) if table == "steer"]


async def test_a_disk_that_stands_still_holds_up_nothing_and_has_the_last_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, forces, file = threading.Event(), 0, tmp_path / "tables.json"

    def force(_: int) -> None:
        nonlocal forces
        forces += 1
        goes_on.wait(PATIENCE_S / 2)

    monkeypatch.setattr(os, "fsync", force)
    async with running(tmp_path, monkeypatch) as proxy:
        await proxy.apply(Tables(steer={"1": ""}))
        while not forces:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(0.005)
        await proxy.apply(Tables(steer={"2": ""}))
        await proxy.apply(Tables(steer={"3": ""}))
        assert numbers(file) == []
        goes_on.set()
        while numbers(file) != ["3"]:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(0.005)
        assert forces == 2


async def test_what_was_applied_last_is_kept_when_it_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as proxy:
        await asyncio.sleep(0)
        await proxy.apply(Tables(steer={"1": ""}))
    assert numbers(tmp_path / "tables.json") == ["1"]
