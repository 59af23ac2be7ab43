"""Writes an event log: bounded segments, in bunches, by a thread.

On the way of a call there is no more than putting a reference into a list; whatever costs time is
done later and elsewhere. A process that is killed loses the last bunch; every other edge's log
holds the same changes. Nothing waits for the disk.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from msgspec import Struct

from state.clock import Clock
from state.eventlog import lines
from state.eventlog.lines import Decided
from state.model import AgentId, CallId, Now, SiteId
from state.raw import Change
from state.snapshot import Snapshot

log = structlog.get_logger(__name__)

_DIRECTORY: Final = 0o700
_PRIVATE: Final = 0o600
_OPEN: Final = ".log"
_LEVEL: Final = 3
"""A third of the time of gzip's own 9, for a quarter more bytes: each edge compresses the events of
all sites' calls."""


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is kept, and how it is written."""

    segment_bytes: int = 16 * 1024 * 1024
    """A segment is closed beyond this, and compressed to about a tenth."""
    segment_s: float = 3600.0
    """And when it is so old: what goes by age goes by whole segments."""
    total_bytes: int = 1024 * 1024 * 1024
    """Of all segments, as they lie on disk: the oldest go first."""
    age_s: float = 48 * 3600.0
    """A segment whose last line is older goes too: what is known of people is not kept for good."""
    every_s: float = 0.25
    """Between two bunches."""
    most_waiting: int = 50_000
    """If the disk takes none for so long, what waits is dropped, and the log begins anew."""


class _Snapshot(Struct, frozen=True):
    snapshot: Snapshot
    now: Now


class _Batch(Struct, frozen=True):
    revision: int
    changes: tuple[Change, ...]
    now: Now


_Item: TypeAlias = _Snapshot | _Batch | Decided


class EventLog:
    """One reader's log; `run` does the writing."""

    def __init__(
        self, directory: Path, *, reader: str, clock: Clock, bounds: Bounds | None = None
    ) -> None:
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._segments = Segments(directory, reader, self._bounds)
        self._waiting: list[_Item] = []
        self._is_due = True
        """A new segment is to begin: with the next snapshot that is told."""
        self.dropped = 0
        """Items that were lost to a disk that took none."""

    # -- on the way of a call: quick

    def listed(self, snapshot: Snapshot, now: Now) -> None:
        """Note a snapshot that does not follow from the one before."""
        self._make_room()
        self._is_due = False
        self._waiting.append(_Snapshot(snapshot, now))

    def changed(self, snapshot: Snapshot, changes: tuple[Change, ...], now: Now) -> None:
        """Note a batch of the watch, and the snapshot after it."""
        self._make_room()
        if self._is_due:
            self.listed(snapshot, now)
        else:
            self._waiting.append(_Batch(snapshot.revision, changes, now))

    def decided(  # noqa: PLR0913  what a decision rests on
        self,
        *,
        revision: int,
        now: Now,
        call: CallId,
        agent: AgentId,
        unreachable: frozenset[SiteId],
        asked: Mapping[CallId, AgentId],
    ) -> None:
        """Note what has just been decided."""
        self._make_room()
        line = lines.decided(
            revision=revision,
            now=now,
            call=call,
            agent=agent,
            unreachable=unreachable,
            asked=asked,
        )
        self._waiting.append(line)

    # -- in bunches

    async def run(self) -> None:
        """Write until cancelled; what waits is written then."""
        try:
            while True:
                await asyncio.sleep(self._bounds.every_s)
                await self.flush()
        finally:
            self._write(self._take(), self._clock.now())
            self._segments.close()

    async def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            items = self._take()
            writing = asyncio.create_task(asyncio.to_thread(self._write, items, self._clock.now()))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing  # two at one file would spoil it
                raise

    def _take(self) -> list[_Item]:
        items, self._waiting = self._waiting, []
        return items

    def _make_room(self) -> None:
        """Drop what waits if there is too much of it: the disk may stand still for ever."""
        if len(self._waiting) >= self._bounds.most_waiting:
            items = len(self._take())
            self.dropped += items
            self._is_due = True
            log.warning("event_log_dropped", items=items)

    def _write(self, items: Iterable[_Item], now: Now) -> None:
        """Write to the segments, in a thread. One that fails is told once, and begins anew."""
        for item in items:
            match item:
                case _Snapshot():
                    self._segments.begin(item.snapshot, item.now)
                case _Batch():
                    line = lines.changed(item.revision, item.changes, item.now)
                    self._segments.append(lines.encode(line))
                case Decided():
                    self._segments.append(lines.encode(item))
        if not self._segments.flush(now):
            self._is_due = True


class Segments:
    """The files of one log. Names: `NUMBER-REVISION.log`, and `.log.gz` when closed."""

    def __init__(self, directory: Path, reader: str, bounds: Bounds) -> None:
        self._directory = directory
        self._reader = reader
        self._bounds = bounds
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._limit = bounds.segment_bytes
        self._begun_ms = 0
        self._size = 0
        self._bunch: list[bytes] = []
        self._is_failing = False

    def begin(self, snapshot: Snapshot, now: Now) -> None:
        """Begin a segment with a snapshot."""
        try:
            self._write_bunch()
            self.close()
            self._directory.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)
            for left in self._directory.glob(f"*{_OPEN}"):
                _compress(left)  # also what a former life has left
            # A mirror that lists again and again lets none of them become full.
            self._prune(now)
            numbers = [number_of(path) for path in self._directory.glob("*.log*")]
            number = max(numbers, default=0) + 1
            path = self._directory / f"{number:010d}-{snapshot.revision}{_OPEN}"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        except OSError as error:
            self._failed(error)
            return
        self._path, self._size, self._begun_ms = path, 0, now.wall_ms
        head = lines.encode(lines.begin(self._reader, snapshot, now))
        self._bunch.append(head)
        # However much stands there, a segment is mostly changes.
        self._limit = max(self._bounds.segment_bytes, 4 * len(head))

    def append(self, line: bytes) -> None:
        """Add a line to the bunch."""
        self._bunch.append(line)

    def flush(self, now: Now) -> bool:
        """Write the bunch; False: a new segment is to begin, with the next snapshot.

        Until then this one goes on: nothing is to be missing between the two.
        """
        try:
            self._write_bunch()
            is_full = self._size > self._limit or self._is_old(now)
            if is_full:
                self._prune(now)
        except OSError as error:
            self._failed(error)
            return False
        return self._descriptor is not None and not is_full

    def _is_old(self, now: Now) -> bool:
        return now.wall_ms - self._begun_ms > self._bounds.segment_s * 1000

    def close(self) -> None:
        """Close the segment that is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write_bunch(self) -> None:
        bunch, self._bunch = b"".join(self._bunch), []
        if bunch and self._descriptor is not None:
            written = 0
            while written < len(bunch):
                written += os.write(self._descriptor, bunch[written:])
            self._size += len(bunch)
            self._is_failing = False

    def _prune(self, now: Now) -> None:
        """Let the oldest go, until the bounds are kept."""
        left = self._bounds.total_bytes
        for path in sorted(self._directory.glob("*.log*"), key=number_of, reverse=True):
            found = path.stat()
            left -= found.st_size
            if path == self._path:
                continue
            if left < 0 or now.wall_ms / 1000 - found.st_mtime > self._bounds.age_s:
                path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> None:
        self.close()
        self._bunch = []
        if not self._is_failing:
            log.warning(
                "event_log_not_written",
                path=str(self._directory),
                reason=error.strerror,
                remedy="make room; calls go on, but those of this time cannot be explained here",
            )
        self._is_failing = True


def _compress(path: Path) -> None:
    """Put a closed segment aside, compressed; a reader finds it under one name or the other."""
    closed = path.with_name(path.name + ".gz")
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with (
        os.fdopen(descriptor, "wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0) as file,
    ):
        file.write(path.read_bytes())
    found = path.stat()
    os.utime(part, (found.st_atime, found.st_mtime))
    part.rename(closed)
    path.unlink()


def number_of(path: Path) -> int:
    """Return a segment's number: the higher is the newer."""
    number, _, _ = path.name.partition("-")
    return int(number) if number.isdecimal() else 0
