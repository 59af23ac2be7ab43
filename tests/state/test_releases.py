"""Publishing versions: the newer wins, and readers can tell a whole one from half of one."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from state import keys
from state.clock import ManualClock
from state.codec import decode, encode
from state.configuration import Configuration
from state.listing import read_all
from state.memory import MemoryStore
from state.model import Release
from state.publishing import OPERATIONS_IN_TXN, SupersededError, publish
from state.store import Put
from tests.state.test_publishing import MeddledStore, agents


def version(number: int, configuration: Configuration) -> Configuration:
    return replace(configuration, release=Release(version=number))


async def stands(store: MemoryStore) -> Release | None:
    """Return which release the store says it holds."""
    records = (await store.range(keys.release())).records
    return decode(Release, records[0].value, "") if records else None


async def test_a_version_and_its_records_come_at_one_revision() -> None:
    store = MemoryStore(ManualClock())
    published = await publish(store, version(7, agents(OPERATIONS_IN_TXN - 1)))
    records = (await read_all(store, keys.CONFIG)).records
    assert {record.mod_revision for record in records} == {published.revision}
    assert await stands(store) == Release(version=7)


async def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = MemoryStore(ManualClock())
    await publish(store, version(7, agents(2)))
    with pytest.raises(SupersededError) as caught:
        await publish(store, version(6, agents(5)))
    assert caught.value.version == 7
    assert len((await read_all(store, keys.CONFIG)).records) == 4


async def test_the_newer_of_two_that_publish_at_once_stands_whole() -> None:
    store = MemoryStore(ManualClock())
    done = await asyncio.gather(
        *(publish(store, version(n, agents(n * 60))) for n in (1, 4, 2, 3)), return_exceptions=True
    )
    assert await stands(store) == Release(version=4)
    assert len((await read_all(store, keys.CONFIG)).records) == 242
    refused = [each for each in done if isinstance(each, BaseException)]
    assert all(isinstance(each, SupersededError) for each in refused)


async def test_a_newer_version_that_comes_between_two_transactions_stops_the_older() -> None:
    store = MeddledStore()
    newer = Put(key=keys.release(), value=encode(Release(version=9)))
    store.meddling = [[], [newer]]
    with pytest.raises(SupersededError):
        await publish(store, version(8, agents(250)))
    assert await stands(store) == Release(version=9)


async def test_half_a_version_says_so_until_it_is_whole() -> None:
    store = MeddledStore()
    seen: list[Release | None] = []
    real = store.txn

    async def look(*arguments: object) -> object:
        done = await real(*arguments)  # type: ignore[arg-type]
        seen.append(await stands(store))
        return done

    store.txn = look  # type: ignore[assignment, method-assign]
    await publish(store, version(3, agents(250)))
    assert [each is not None and each.is_whole for each in seen] == [False, False, True]


async def test_what_was_left_half_done_is_finished() -> None:
    store = MemoryStore(ManualClock())
    half = encode(Release(version=3, is_whole=False))
    await store.txn([], [Put(key=keys.release(), value=half)])
    await publish(store, version(3, agents(1)))
    assert await stands(store) == Release(version=3)


async def test_the_same_version_again_writes_nothing() -> None:
    store = MemoryStore(ManualClock())
    first = await publish(store, version(3, agents(1)))
    assert (await publish(store, version(3, agents(1)))).revision == first.revision


async def test_a_file_takes_the_release_away() -> None:
    store = MemoryStore(ManualClock())
    await publish(store, version(3, agents(1)))
    await publish(store, agents(1))
    assert await stands(store) is None
