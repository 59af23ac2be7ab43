"""What was deleted once is found again in what there is, however much was ever deleted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event

from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.recording_keys import deletions
from control_plane.recording_keys.deletions import Order
from control_plane.recording_keys.store import RecordingKeys
from control_plane.recordings import archive, caretaker
from control_plane.recordings.archive import LATE_MS, Archive
from control_plane.services import Services
from custody import keyring, statement
from custody.keyring import Keyring, RecordingKey
from custody.library import Library
from custody.providers import LocalFile
from custody.statement import Rule
from custody.store import RecordingStore
from state.clock import ManualClock
from state.model import Now

NOW_MS = 10 * LATE_MS
SIGNING = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEEPERS = {"a": SIGNING.public_key().public_bytes_raw()}
PROVIDERS = {name: LocalFile(name.encode() * 32) for name in "ab"}


class Counting(RecordingStore):
    """A store that notes of which recordings it was asked."""

    asked: tuple[str, ...] = ()

    async def of_recording(self, tenant: str, recording: str) -> list[str]:
        """Note it, and answer."""
        self.asked = (*self.asked, recording)
        return await super().of_recording(tenant, recording)


class Site:
    """A site's store, keys and orders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database.open(f"sqlite+aiosqlite:///{folder / 'keys.db'}")
        self.ring = Keyring(folder / "keyring")
        self.archive = self.another_life()

    def another_life(self) -> Archive:
        """Return what a control plane has that was just started."""
        store = Counting.open(str(self.folder / "audio"), str(self.folder / "keys"))
        assert isinstance(store, Counting)
        self.store = store
        self.archive = Archive(
            site="a",
            store=self.store,
            ring=self.ring,
            database=self.database,
            key=SIGNING,
            keepers={},
        )
        return self.archive

    async def order(self, *subjects: str, ordered_ms: int = NOW_MS) -> None:
        """Let these have to go."""
        orders = [
            Order(tenant="main", subject=each, rule=Rule.REQUEST, detail="", ordered_ms=ordered_ms)
            for each in subjects
        ]
        async with self.database.write() as connection:
            await deletions.give(connection, orders)
            await deletions.begin(connection, "main", subjects)

    async def put(self, recording: str, *folders: str) -> None:
        """Let something of a recording be there."""
        for folder in folders:
            await self.store.put(f"main/{folder}/{recording}/0001-aa", b"sealed")

    def key(self) -> RecordingKey:
        """Let there be a key in the folder."""
        made = keyring.make("main", keyring.recipients(PROVIDERS), 1, customer="cus_1")
        self.ring.add(made)
        return made

    async def carry_out_all(self, now_ms: int = NOW_MS) -> int:
        """Carry out until nothing is left."""
        count = 0
        while done := await self.archive.carry_out(now_ms):
            count += done
        return count


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    await RecordingKeys(made.database).start()
    yield made
    await made.database.close()


def name(number: int) -> str:
    return f"{number:024x}"


async def test_what_comes_back_is_found_without_asking_for_all_that_was_ever_deleted(
    site: Site,
) -> None:
    key = site.key()
    gone = [deletions.recording(name(each)) for each in range(40)]
    await site.order(*gone, deletions.key(key.id))
    assert await site.carry_out_all() == 41
    site.another_life()
    await site.put(name(1), "keys", "audio")
    await site.put(name(2), "keys")  # restored from a backup of the data keys alone
    await site.put(name(3), "audio")
    await site.put(name(99), "keys", "audio")  # of which nobody has said anything
    site.ring.add(key)
    site.store.asked = ()
    assert await site.archive.delete_again() == 5
    assert set(site.store.asked) == {name(1), name(2), name(3)}
    assert await site.store.of_recording("main", name(99))
    assert list(site.ring.names()) == []
    assert await site.archive.delete_again() == 0


async def test_what_is_ordered_and_not_done_is_left_to_be_done_and_stated(site: Site) -> None:
    await site.put(name(1), "keys", "audio")
    await site.order(deletions.recording(name(1)))
    assert await site.archive.delete_again() == 0
    assert await site.archive.carry_out(NOW_MS) == 1
    assert await site.store.of_recording("main", name(1)) == []


async def test_whether_something_waits_is_known_without_a_look_at_all_orders(site: Site) -> None:
    await site.order(*(deletions.recording(name(each)) for each in range(3)))
    told: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    event.listen(site.database.readers.sync_engine, "before_cursor_execute", listen)
    assert await deletions.waiting(site.database) == ()
    assert len(told) == 1
    assert "deletion_orders_waiting" in told[0]
    assert "deletion_orders " not in told[0] + " "


async def test_more_than_one_page_of_what_is_here_is_looked_at(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "TOGETHER", 4)
    names = [name(each) for each in range(10)]
    await site.order(*(deletions.recording(each) for each in names))
    await site.carry_out_all()
    for each in names:
        await site.put(each, "audio")
    assert await site.archive.delete_again() == 10
    assert [each async for each in site.store.recordings("main")] == []


async def test_orders_of_long_ago_are_not_gone_through_again_each_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    since: list[int] = []
    undone = deletions.undone

    async def spy(
        database: Database, site_: str, since_ms: int = 0, after: tuple[int, str] | None = None
    ) -> tuple[Order, ...]:
        since.append(since_ms)
        return await undone(database, site_, since_ms, after)

    monkeypatch.setattr(deletions, "undone", spy)
    await site.order(deletions.recording(name(1)), ordered_ms=5)
    await site.archive.carry_out(NOW_MS)
    await site.archive.carry_out(NOW_MS)
    await site.archive.carry_out(NOW_MS)
    assert since == [0, 0, NOW_MS - LATE_MS]


@pytest.mark.parametrize("again", [Archive.delete_again, None], ids=["the_next_sweep", "a_restart"])
async def test_an_order_from_a_clock_that_is_far_behind_is_carried_out_all_the_same(
    site: Site, again: Callable[[Archive], object] | None
) -> None:
    await site.archive.carry_out(NOW_MS)
    await site.order(deletions.recording(name(1)), ordered_ms=NOW_MS - 2 * LATE_MS)
    await site.order(deletions.recording(name(2)), ordered_ms=NOW_MS - LATE_MS // 2)
    assert await site.archive.carry_out(NOW_MS) == 1
    if again is None:
        site.another_life()
    else:
        await site.archive.delete_again()
    assert await site.archive.carry_out(NOW_MS) == 1


async def test_orders_that_the_store_did_not_carry_out_are_not_passed_over(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.put(name(1), "audio")
    await site.order(deletions.recording(name(1)), ordered_ms=5)

    async def fail(_self: RecordingStore, _name: str) -> None:
        raise OSError(errno.EIO, "the disk does not let go of it")

    with monkeypatch.context() as patched:
        patched.setattr(RecordingStore, "delete", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="does not let go"):
                await site.archive.carry_out(NOW_MS)
    assert await site.archive.carry_out(NOW_MS) == 1


@pytest.mark.parametrize("refused", [archive.AWAY, 250])
async def test_however_many_of_the_oldest_cannot_be_deleted_those_behind_are(
    site: Site, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    names = [name(each) for each in range(refused + 1)]
    for each in names:
        await site.put(each, "keys")
    await site.order(*(deletions.recording(each) for each in names))
    deleting = RecordingStore.delete

    async def delete(self: RecordingStore, object_: str) -> None:
        if names[-1] not in object_:
            raise OSError(errno.EIO, "the disk does not let go of it")
        await deleting(self, object_)

    with monkeypatch.context() as patched:
        patched.setattr(RecordingStore, "delete", delete)
        for _ in range(refused // archive.AWAY + 1):
            with contextlib.suppress(OSError):
                await site.archive.carry_out(NOW_MS)
        assert await site.store.of_recording("main", names[-1]) == []
    # What was refused is tried again, from the oldest on.
    await site.carry_out_all()
    assert [each async for each in site.store.recordings("main")] == []


async def test_what_the_store_does_not_give_any_more_is_deleted_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.put(name(1), "keys", "audio")
    await site.order(deletions.recording(name(1)))

    async def fail(_self: RecordingStore, _name: str) -> bytes:
        raise OSError(errno.EIO, "the disk does not give it")

    monkeypatch.setattr(RecordingStore, "get", fail)
    assert await site.archive.carry_out(NOW_MS) == 1
    assert [each async for each in site.store.recordings("main")] == []
    _, (told,) = await deletions.page(site.database, "main", None, 10)
    assert [each.sha256 for each in statement.read(told.signed, KEEPERS).objects] == ["", "aa"]


async def _stated(site: Site) -> list[str]:
    """Return the names of what the site's only statement says that it has deleted."""
    _, (told,) = await deletions.page(site.database, "main", None, 10)
    return sorted(each.name for each in statement.read(told.signed, KEEPERS).objects)


async def test_who_dies_between_deleting_and_stating_states_all_of_it_in_the_next_life(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.put(name(1), "keys", "audio")
    there = sorted(await site.store.of_recording("main", name(1)))
    await site.order(deletions.recording(name(1)))

    async def die(*_: object) -> None:
        raise DatabaseUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(deletions, "tell", die)
        with pytest.raises(DatabaseUnavailableError):
            await site.archive.carry_out(NOW_MS)
    assert await site.store.of_recording("main", name(1)) == []
    site.another_life()
    assert await site.archive.carry_out(NOW_MS) == 1
    assert await _stated(site) == there


async def test_what_went_before_the_store_refused_the_rest_is_stated_with_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.put(name(1), "keys", "audio")
    there = sorted(await site.store.of_recording("main", name(1)))
    await site.order(deletions.recording(name(1)))
    deleting = RecordingStore.delete

    async def delete(self: RecordingStore, object_: str) -> None:
        if "/audio/" in object_:
            raise OSError(errno.EIO, "the disk does not let go of it")
        await deleting(self, object_)

    with monkeypatch.context() as patched:
        patched.setattr(RecordingStore, "delete", delete)
        with pytest.raises(OSError, match="does not let go"):
            await site.archive.carry_out(NOW_MS)
    assert await site.archive.carry_out(NOW_MS) == 1
    assert await _stated(site) == there


async def test_what_came_back_and_cannot_be_deleted_keeps_nothing_else_here(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.order(*(deletions.recording(name(each)) for each in (1, 2)))
    await site.carry_out_all()
    for each in (1, 2):
        await site.put(name(each), "audio")
    deleting = RecordingStore.delete

    async def delete(self: RecordingStore, object_: str) -> None:
        if name(1) in object_:
            raise OSError(errno.EIO, "the disk does not let go of it")
        await deleting(self, object_)

    monkeypatch.setattr(RecordingStore, "delete", delete)
    with pytest.raises(OSError, match="does not let go"):
        await site.archive.delete_again()
    assert [each async for each in site.store.recordings("main")] == [name(1)]


class OneTurn(ManualClock):
    """A clock that is asked once in each turn, and ends the second."""

    is_over = False

    def now(self) -> Now:
        """Return where it stands."""
        if self.is_over:
            raise asyncio.CancelledError
        self.is_over = True
        return super().now()


async def test_orders_are_carried_out_whatever_stands_in_the_way_of_looking_for_the_old(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: Archive) -> int:
        raise OSError(errno.EIO, "the disk does not answer")

    monkeypatch.setattr(Archive, "delete_again", fail)
    monkeypatch.setattr(caretaker, "PERIOD_S", 0.0)
    await site.order(deletions.recording(name(1)))
    services = cast("Services", SimpleNamespace(clock=OneTurn(), database=site.database))
    with pytest.raises(asyncio.CancelledError):
        await caretaker.look_after(services, site.archive, cast("Library", None))
    _, told = await deletions.page(site.database, "main", None, 10)
    assert [each.subject for each in told] == [deletions.recording(name(1))]
