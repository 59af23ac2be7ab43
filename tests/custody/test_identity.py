"""Which store it is: the same for as long as all of it is there."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from custody.store import RecordingStore


async def test_a_store_has_one_identity_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    where, keys = tmp_path / "store", tmp_path / "keys"

    async def identity() -> str:
        return await RecordingStore.open(str(where), str(keys)).identity()

    first, same = await asyncio.gather(identity(), identity())
    assert first == same == await identity()
    shutil.rmtree(keys)
    second = await identity()
    assert second != first, "half of it is gone"
    shutil.rmtree(where)
    assert await identity() not in {first, second}
    assert await RecordingStore.open(str(where), str(keys)).tenants() == [], "it is nobody's"


async def test_an_identity_that_a_lost_power_has_emptied_is_made_again(tmp_path: Path) -> None:
    store = RecordingStore.open(str(tmp_path))
    first = await store.identity()
    (tmp_path / "identity").write_bytes(b"")
    second = await store.identity()
    assert second
    assert second != first
    assert await store.identity() == second
