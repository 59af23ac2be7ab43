"""Loaded databases that wait for the next run: loading a million customers takes minutes.

What is kept is never served: a run works on a copy, so that no run sees the edits of another. It
bears a mark of all that it was made from, and is not used when any of that has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

from loadtests.bench.servers import PROJECT

ROOM: Final = PROJECT / ".everline" / "bench-api"
_MADE_FROM: Final = (
    PROJECT / "loadtests" / "bench" / "api" / "stock.py",
    PROJECT / "control_plane" / "db" / "migrations" / "versions",
)


def place(dialect: str, customers: int) -> Path:
    """Return the folder in which such a database is kept; it is there only when it is whole."""
    return ROOM / "kept" / f"{dialect}-{customers}-{_mark()}"


def save(folder: Path, kept: Path) -> None:
    """Keep a copy of a database that nobody serves, in place of older ones of its kind."""
    kind = kept.name.rpartition("-")[0]
    for older in kept.parent.glob(f"{kind}-*"):
        shutil.rmtree(older)
    half = kept.with_name(f".{kept.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.parent.mkdir(parents=True, exist_ok=True)
    copy(folder, half)
    half.rename(kept)


def copy(source: Path, target: Path) -> None:
    """Copy a folder with its owners; without taking room where the file system can share it."""
    subprocess.run(("cp", "-a", "--reflink=auto", str(source), str(target)), check=True)  # noqa: S603, S607 - ours


def _mark() -> str:
    digest = hashlib.sha256()
    for part in _MADE_FROM:
        files = sorted(part.glob("*.py")) if part.is_dir() else [part]
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
