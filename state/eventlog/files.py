"""Finds and reads the segments of event logs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from state.eventlog.lines import Line, read
from state.eventlog.log import number_of
from state.eventlog.past import Moment, moment
from state.model import CallId


def segments(directory: Path) -> tuple[Path, ...]:
    """Return a log's segments, the oldest first; nothing when there is no log."""
    found: dict[str, Path] = {}
    for path in sorted(directory.glob("*.log*")):
        if not path.name.endswith(".part"):
            found.setdefault(path.name.removesuffix(".gz"), path)
    return tuple(sorted(found.values(), key=number_of))


def holding(directory: Path, revision: int) -> tuple[Path, ...]:
    """Return the segments in which a revision may stand, the likeliest first."""
    begun = [path for path in segments(directory) if first_revision(path) <= revision]
    return tuple(reversed(begun[-2:]))


def first_revision(path: Path) -> int:
    """Return the revision with which a segment begins, by its name."""
    revision = path.name.partition("-")[2].partition(".")[0]
    return int(revision) if revision.isdecimal() else 0


def read_segment(path: Path) -> Iterator[Line]:
    """Yield the whole lines of a segment. One that was compressed or dropped meanwhile is found.

    OSError when it cannot be read.
    """
    yield from read(_bytes_of(path))


def moment_in(directory: Path, revision: int, call: CallId) -> Moment | None:
    """Return what stood at a revision by a log; None: it does not go back so far, or so near.

    Blocks; a segment that cannot be read is passed over.
    """
    for path in holding(directory, revision):
        try:
            found = moment(read_segment(path), revision, call)
        except OSError:
            continue
        if found is not None:
            return found
    return None


def _bytes_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = path.with_name(path.name + ".gz").read_bytes()
        path = path.with_name(path.name + ".gz")
    return _expanded(data) if path.suffix == ".gz" else data


def _expanded(data: bytes) -> bytes:
    """Return as much as there is: the end may be missing."""
    expanding = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        return expanding.decompress(data)
    except zlib.error:
        return b""
