"""What one recording's trouble with the store, or with the spool's disk, is to the others."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path

import pytest
from obstore.exceptions import GenericError
from structlog.testing import capture_logs

from custody.store import RecordingStore, manifest_name
from edge.recorder import folder, shipping
from edge.recorder.folder import FACTS, MARKS, OVER
from edge.recorder.shipping import Shipper
from tests.recorder.made import SIGNING, Archive

FIRST, SECOND = "a" * 24, "b" * 24


class CountingStore(RecordingStore):
    """Counts what it is asked to keep."""

    puts = 0

    async def put(self, name: str, content: bytes) -> bool:
        """Count, and keep."""
        self.puts += 1
        return await super().put(name, content)


class Site:
    """An archive whose shipper stays the same."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        archive.store.mkdir()
        opened = RecordingStore.open(str(archive.store))
        self.store = CountingStore(opened._store, [archive.store])  # noqa: SLF001 - a folder's
        self.shipper = Shipper(spool=archive.spool, store=self.store, key=SIGNING, recorder="a")

    def record(self, call: str, seconds: float = 2.0) -> None:
        """Record a call that is over then."""
        self.archive.record(call, seconds)
        self.archive.end()

    async def has(self, call: str) -> bool:
        """Tell whether the store has it whole."""
        return call in [each async for each in self.store.manifests("main")]


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    archive = Archive(tmp_path)
    await archive.make_key()
    return Site(archive)


async def test_a_file_that_cannot_be_read_keeps_no_other_recording_from_the_store(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.record(FIRST)
    site.record(SECOND)
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        if path.parent.name == FIRST and path.suffix == ".seg":
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    await site.shipper.ship()
    assert await site.has(SECOND)
    assert [each.name for each in site.archive.spool.iterdir()] == [FIRST]


@pytest.mark.parametrize("spoilt", [1, 3])
async def test_what_the_store_does_not_take_keeps_no_other_recording_from_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, spoilt: int
) -> None:
    calls = [letter * 24 for letter in "abcd"]
    for call in calls:
        site.record(call)
    put = CountingStore.put

    async def refuse(store: CountingStore, name: str, content: bytes) -> bool:
        if any(f"/{call}/" in name for call in calls[:spoilt]):
            raise GenericError("Input/output error")
        return await put(store, name, content)

    monkeypatch.setattr(CountingStore, "put", refuse)
    with capture_logs() as said:
        for _ in range(2):
            with contextlib.suppress(GenericError):
                await site.shipper.ship()
    assert [call for call in calls if not await site.has(call)] == calls[:spoilt]
    told = [each["call"] for each in said if each["event"] == "recording_not_shipped"]
    assert sorted(told) == calls[:spoilt]
    monkeypatch.setattr(CountingStore, "put", put)
    monkeypatch.setattr(shipping, "AGAIN_S", 0.0)
    await site.shipper.ship()
    assert not list(site.archive.spool.iterdir())


async def test_a_store_that_is_away_is_not_asked_for_every_recording(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for letter in "abcdef":
        site.record(letter * 24)
    asked = 0

    async def refuse(*_: object) -> bool:
        nonlocal asked
        asked += 1
        raise GenericError("Connection refused")

    monkeypatch.setattr(CountingStore, "put", refuse)
    with pytest.raises(GenericError):
        await site.shipper.ship()
    assert asked == 3


async def test_a_folder_that_cannot_be_given_up_keeps_no_other_in_the_spool(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.record(FIRST)
    site.record(SECOND)
    remove = shutil.rmtree

    def stubborn(folder: Path) -> None:
        if folder.name.endswith(FIRST):
            raise OSError(errno.EIO, "Input/output error")
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    await site.shipper.ship()
    (left,) = site.archive.spool.iterdir()
    assert left.name.endswith(FIRST)


@pytest.mark.parametrize("gone", [MARKS, FACTS, OVER, "0001.seg", "0001.json", "0001.begun"])
async def test_what_a_kill_has_left_of_a_folder_is_no_other_recording(
    site: Site, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    site.record(FIRST)

    def killed(folder: Path, **_: object) -> None:
        (folder / gone).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.remove(site.archive.spool / FIRST)
        # The store had it whole before.
    assert folder.folders(site.archive.spool) == []
    with capture_logs() as said:
        await site.shipper.ship()
    assert said == []
    assert not list(site.archive.spool.iterdir())


async def test_what_only_a_person_can_mend_is_said_once_and_tried_again_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.record(FIRST)
    await site.store.put(manifest_name("main", FIRST), b"another's")
    with capture_logs() as said:
        for _ in range(3):
            await site.shipper.ship()
    asked = site.store.puts
    assert [each["event"] for each in said] == ["recording_not_shipped"]
    assert asked == 4, "the segment, its key and the manifest, once"
    monkeypatch.setattr(shipping, "AGAIN_S", 0.0)
    await site.store.delete(manifest_name("main", FIRST))
    await site.shipper.ship()
    assert await site.has(FIRST)
    assert not list(site.archive.spool.iterdir())


async def test_a_call_that_is_over_is_tried_at_once_though_it_was_in_trouble_before(
    site: Site,
) -> None:
    site.archive.record(FIRST, 62)
    (site.archive.spool / FIRST / "0001.key").unlink()
    await site.shipper.ship()
    site.archive.end()
    await site.shipper.ship()
    assert await site.has(FIRST)
