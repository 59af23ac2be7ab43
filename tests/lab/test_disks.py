"""Disks in trouble: what there is of one can be taken away at every step."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from drills.lab import disks
from drills.lab.disks import Away, FullDisk, mirror
from drills.lab.errors import NetworkError, ProcessError

MOUNTS = ("-t", "-o", "--bind")
"""The second word of each mount, in order."""


class _Mounts:
    """What is mounted where, in place of mount(8)."""

    def __init__(self, *, fails_at: str = "", waits: threading.Event | None = None) -> None:
        self.mounted: list[str] = []
        self.fails_at = fails_at
        self.waits = waits
        self.began = threading.Event()

    def run(self, argv: Sequence[str], _script: str = "") -> str:
        self.began.set()
        if self.waits is not None:
            self.waits.wait(5.0)
        if self.fails_at and self.fails_at in argv[:2]:
            raise NetworkError(f"{argv[0]}: no")
        if argv[0] == "umount":
            self.mounted.remove(argv[-1])
            if argv[-1].endswith(".disk"):  # what was on it goes with it
                shutil.rmtree(argv[-1])
                Path(argv[-1]).mkdir()
        elif argv[1] in {"-t", "--bind"}:
            self.mounted.append(argv[-1])
        return ""


def folder(path: Path) -> Path:
    store = path / "store"
    store.mkdir()
    (store / "recording").write_text("sound")
    return store


@pytest.mark.parametrize("fails_at", MOUNTS)
def test_a_full_disk_that_is_there_in_part_can_be_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    mounts = _Mounts(fails_at=fails_at)
    monkeypatch.setattr(disks, "run_tool", mounts.run)
    disk = FullDisk(folder(tmp_path))
    with pytest.raises(ProcessError, match="cannot be put on a full disk"):
        disk.lay()
    disk.take_away()
    assert mounts.mounted == []


def test_a_full_disk_that_stayed_once_goes_when_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = _Mounts()
    monkeypatch.setattr(disks, "run_tool", mounts.run)
    disk = FullDisk(folder(tmp_path))
    disk.lay()
    assert len(mounts.mounted) == 2
    mounts.fails_at = "umount"
    with pytest.raises(ProcessError, match="is still on a full disk"):
        disk.take_away()
    mounts.fails_at = ""
    disk.take_away()
    assert mounts.mounted == []
    assert not (tmp_path / "store.disk").exists()
    disk.take_away()  # which does nothing


async def test_a_full_disk_that_is_still_coming_goes_when_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    mounts = _Mounts(waits=may_go_on)
    monkeypatch.setattr(disks, "run_tool", mounts.run)
    disk = FullDisk(tmp_path / "store")
    (tmp_path / "store").mkdir()
    laying = asyncio.create_task(asyncio.to_thread(disk.lay))
    await asyncio.to_thread(mounts.began.wait, 5.0)
    taking = asyncio.create_task(asyncio.to_thread(disk.take_away))
    await asyncio.sleep(0)
    assert not taking.done()
    may_go_on.set()
    await asyncio.gather(laying, taking)
    assert mounts.mounted == []
    with pytest.raises(ProcessError, match="given up"):
        disk.lay()


def alter_unseen(path: Path, text: str) -> None:
    """Change what is in a file, and neither its size nor its time: a copy would change it back."""
    was = path.stat()
    path.write_text(text)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_size == was.st_size


def test_a_folder_becomes_as_another_one_and_what_is_alike_is_left_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "day" / "empty").mkdir(parents=True)
    for name in ("alike", "longer", "later", "new"):
        (source / "day" / name).write_text("sound")
    mirror(source, target)
    assert {path.name for path in (target / "day").iterdir()} == {
        *("alike", "longer", "later", "new", "empty")
    }
    alter_unseen(target / "day" / "alike", "SOUND")
    (source / "day" / "longer").write_text("sound and more")
    later = (source / "day" / "later").stat()
    (source / "day" / "later").write_text("other")
    os.utime(source / "day" / "later", ns=(later.st_atime_ns, later.st_mtime_ns + 1_000_000_000))
    (source / "day" / "new").unlink()
    shutil.rmtree(source / "day" / "empty")
    (target / "stray").mkdir()
    (target / "stray" / "part").write_text("half")
    mirror(source, target)
    said = {path.name: path.read_text() for path in (target / "day").iterdir()}
    assert said == {"alike": "SOUND", "longer": "sound and more", "later": "other"}
    assert [path.name for path in target.iterdir()] == ["day"]


def test_what_takes_time_is_copied_before_anybody_has_to_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = _Mounts()
    monkeypatch.setattr(disks, "run_tool", mounts.run)
    store, on_disk = folder(tmp_path), tmp_path / "store.disk"
    (store / "part").write_text("half")
    disk = FullDisk(store)
    disk.bring()
    assert mounts.mounted == [str(on_disk)], "nobody is on it yet"
    alter_unseen(on_disk / "recording", "SOUND")
    (store / "part").rename(store / "second")
    disk.lay()
    assert mounts.mounted == [str(on_disk), str(store)]
    said = {path.name: path.read_text() for path in on_disk.iterdir()}
    assert said == {"recording": "SOUND", "second": "half"}, "and the first not once more"
    # Here the folder itself is what lies beneath; it has everything but what came meanwhile.
    (on_disk / "third").write_text("sound")
    alter_unseen(store / "recording", "sOuNd")
    disk.take_away()
    said = {path.name: path.read_text() for path in store.iterdir()}
    assert said == {"recording": "sOuNd", "second": "half", "third": "sound"}
    assert mounts.mounted == []


def test_what_was_only_brought_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = _Mounts()
    monkeypatch.setattr(disks, "run_tool", mounts.run)
    disk = FullDisk(folder(tmp_path))
    disk.bring()
    disk.take_away()
    assert mounts.mounted == []
    assert not (tmp_path / "store.disk").exists()
    with pytest.raises(ProcessError, match="given up"):
        disk.bring()


def test_what_stands_in_the_place_of_what_was_taken_is_not_taken_for_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    first, second = Away(key), Away(key)
    first.take()
    with pytest.raises(ProcessError, match="cannot be taken away"):
        second.take()
    second.bring_back()
    assert key.read_text() == ""
    first.bring_back()
    first.bring_back()  # which does nothing
    assert key.read_text() == "secret"
