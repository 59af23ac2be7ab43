"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from custody import disk


def test_two_who_write_a_file_at_once_both_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A control plane keeps the folder of keys while it makes one for a caller.
    path, both = tmp_path / "key.json", threading.Barrier(2, timeout=30)
    fsync = os.fsync

    def together(descriptor: int) -> None:
        both.wait()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", together)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(disk.write_whole, (path, path), (b"one and", b"the same")))
    assert path.read_bytes() in {b"one and", b"the same"}
    assert [each.name for each in tmp_path.iterdir()] == ["key.json"]


def test_what_the_disk_does_not_take_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.json"
    disk.write_whole(path, b"before")

    def is_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", is_full)
    with pytest.raises(OSError, match="No space"):
        disk.write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["key.json"]
