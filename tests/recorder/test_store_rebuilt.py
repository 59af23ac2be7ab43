"""Copies where a site's store was set up anew, with nothing in it: they are made again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from edge.recorder import replication
from edge.recorder.ledger import Copy, Ledger
from tests.recorder.wire import three

ONE, TWO, THREE = (letter * 24 for letter in "abc")


async def test_what_a_rebuilt_store_had_is_brought_there_again(tmp_path: Path) -> None:
    _, a, b, c = await three(tmp_path)
    await a.record(ONE, TWO)
    await a.turn()
    assert await b.has() == {ONE, TWO}
    assert a.replicator.uncounted == {}
    b.lose_store()
    assert await b.has() == set()
    await a.turn()
    assert await b.has() == {ONE, TWO}
    assert await c.has() == set(), "one copy is enough"


async def test_until_it_is_there_again_it_counts_as_nowhere_else(tmp_path: Path) -> None:
    wire, a, b, _ = await three(tmp_path)
    await a.record(ONE, seconds=2.0)
    await a.turn()
    b.lose_store()
    await a.ask()
    wire.away = {"b", "c"}
    with pytest.raises(aiohttp.ClientError, match="away"):
        await a.turn()
    assert a.replicator.uncounted == {ONE: 2.0 * 8000}
    assert a.replicator.count == 0
    a.start()
    with pytest.raises(OSError, match="no peer"):
        await a.turn()
    assert a.replicator.uncounted == {ONE: 2.0 * 8000}, "the next life knows it, too"


async def test_a_site_that_has_lost_all_is_given_its_own_recordings_back(tmp_path: Path) -> None:
    _, a, b, c = await three(tmp_path)
    await a.record(ONE, TWO)
    await a.turn()
    await b.record(THREE)
    await b.turn()
    a.lose_store(spool=True)
    await b.turn()
    assert await a.has() == {ONE, TWO, THREE}
    for site in (a, b):
        site.wire.brought.clear()
        await site.turn()
        assert site.replicator.uncounted == {}
        assert site.wire.brought == [], "now all is at two sites"
    assert await c.has() == set()


async def test_a_copy_that_was_taken_in_is_not_brought_on(tmp_path: Path) -> None:
    wire, a, b, _ = await three(tmp_path)
    await a.record(ONE)
    await a.turn()
    wire.brought.clear()
    await b.turn()
    assert wire.brought == []
    assert b.replicator.uncounted == {}
    assert b.replicator.count == 0, "it is none of its own"


async def test_a_site_that_is_away_keeps_its_copies(tmp_path: Path) -> None:
    wire, a, b, c = await three(tmp_path)
    await a.record(ONE)
    await a.turn()
    wire.away.add("b")
    for _ in range(2):
        await a.turn()
        assert a.replicator.uncounted == {}
        a.start()
    assert await c.has() == set()
    wire.away.clear()
    wire.brought.clear()
    await a.turn()
    await b.turn()
    assert wire.brought == []


async def test_what_is_new_goes_before_what_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "AGAIN_BYTES_S", 0)
    wire, a, b, _ = await three(tmp_path)
    await a.record(ONE, TWO)
    await a.turn()
    b.lose_store()
    await a.record(THREE)
    wire.brought.clear()
    a.replicator._again_left = 1.0  # noqa: SLF001 - a line that is busy
    await a.turn()
    names = [name for _, name in wire.brought if "/manifests/" in name]
    assert names == [f"main/manifests/{THREE}.json"]
    assert set(a.replicator.uncounted) == {ONE, TWO}, "they wait for their turn"
    a.replicator._again_left = 1.0  # noqa: SLF001 - a little of it is free
    await a.turn()
    assert len(await b.has()) == 2


async def test_audio_that_is_there_is_not_brought_again(tmp_path: Path) -> None:
    wire, a, b, _ = await three(tmp_path)
    await a.record(ONE)
    await a.turn()
    (a.archive.spool / "replicated").unlink()
    a.start()
    wire.brought.clear()
    await a.turn()
    assert a.replicator.uncounted == {}
    assert not any("/audio/" in name for _, name in wire.brought)
    assert await b.has() == {ONE}


async def test_what_was_noted_by_an_earlier_version_is_looked_for_again(tmp_path: Path) -> None:
    _, a, b, c = await three(tmp_path)
    await a.record(ONE)
    (a.archive.spool / "replicated").write_text(f"main/{ONE}\n")
    a.start()
    await a.turn()
    assert a.replicator.uncounted == {}
    assert a.replicator.count == 1
    assert await b.has() | await c.has() == {ONE}


async def test_a_site_without_the_keys_yet_gets_its_own_back_when_it_has_them(
    tmp_path: Path,
) -> None:
    _, a, b, c = await three(tmp_path)
    await a.record(ONE)
    await a.turn()
    key = a.ring.newest("main")
    a.lose_store(spool=True)
    a.ring.remove("main", key.id)
    await b.turn()
    assert await c.has() == set(), "it is not for another site"
    assert set(b.replicator.uncounted) == {ONE}
    a.ring.add(key)
    await b.turn()
    assert await a.has() == {ONE}


async def test_what_was_deleted_is_forgotten(tmp_path: Path) -> None:
    _, a, _, _ = await three(tmp_path)
    await a.record(ONE, TWO)
    await a.turn()
    for name in await a.store.of_recording("main", ONE):
        await a.store.delete(name)
    await a.turn()
    assert set(a.replicator._ledger.copies) == {f"main/{TWO}"}  # noqa: SLF001 - what it keeps in memory
    assert set(Ledger(a.archive.spool / "replicated").copies) == {f"main/{TWO}"}


def test_a_ledger_outlives_what_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "replicated"
    copy = Copy(recorder="a", site="b", store="0" * 32, samples=80)
    ledger = Ledger(path)
    ledger.learn("b", copy.store)
    for number in range(3_000):
        ledger.note(f"main/{number}", copy)
    ledger.forget(f"main/{number}" for number in range(2_990))
    with path.open("ab") as file:
        file.write(b"main/x a b\xff")
    written = len(path.read_bytes())
    again = Ledger(path)
    assert again.copies == {f"main/{number}": copy for number in range(2_990, 3_000)}
    assert again.stores == {"b": copy.store}
    assert len(path.read_bytes()) < written / 100
    assert Ledger(path).copies == again.copies


async def test_a_ledger_of_a_long_life_says_no_more_than_it_has_to(tmp_path: Path) -> None:
    path = tmp_path / "replicated"
    copy = Copy(recorder="a", site="b", store="0" * 32, samples=80)
    ledger = Ledger(path)
    ledger.learn("b", copy.store)
    for number in range(3_000):
        ledger.note(f"main/{number}", copy)
    ledger.forget(f"main/{number}" for number in range(2_990))
    written = path.stat().st_size
    tidying = asyncio.create_task(ledger.tidy())
    await asyncio.sleep(0)
    ledger.note("main/late", copy)
    ledger.forget(["main/2990"])
    await tidying
    await ledger.tidy()
    assert path.stat().st_size < written / 100
    again = Ledger(path)
    assert again.copies == ledger.copies
    assert set(again.copies) == {"main/late", *(f"main/{each}" for each in range(2_991, 3_000))}
    assert again.stores == {"b": copy.store}


async def test_a_full_store_that_cannot_say_which_it_is_keeps_no_recording_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, a, b, _ = await three(tmp_path)
    await a.record(ONE)

    async def full() -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(a.store, "identity", full)
    await a.turn()
    assert await b.has() == {ONE}
