"""The copy of a snapshot on disk, to start from when the store is away.

One file, replaced atomically: a reader finds the old copy or the new one, never a part. It holds
callers' numbers and agents' HA1, so only its owner may read it.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from msgspec import Struct

from state.raw import KeyValue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from state.model import Now
    from state.snapshot import Snapshot

log = structlog.get_logger(__name__)

_VERSION: Final = 1
_PRIVATE: Final = 0o600
_PIECE: Final = 1000


class Copy(Struct, frozen=True, kw_only=True):
    """What a copy holds."""

    records: tuple[KeyValue, ...]
    revision: int
    saved_ms: int


class _Head(msgspec.Struct):
    """The first line: what the rest is."""

    v: int
    revision: int
    saved_ms: int
    sha256: str


_Row = tuple[str, bytes, int, int]
_head_decoder: Final = msgspec.json.Decoder(_Head)
_rows_decoder: Final = msgspec.json.Decoder(list[_Row])
_encoder: Final = msgspec.json.Encoder()


class DiskCopy:
    """Saves and loads one file; a failure is one log line when it starts, one when it is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_failing = False

    def save(self, snapshot: Snapshot, now: Now) -> bool:
        """Write the snapshot and force it to disk; say whether that worked. Blocks."""
        part = self._path.with_name(self._path.name + ".part")
        try:
            body = _rows(snapshot)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_head(snapshot, now, body) + b"\n")
                file.writelines(body)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            _force_names(self._path.parent)
        except OSError as error:
            if not self._is_failing:
                log.warning(
                    "snapshot_not_saved",
                    path=str(self._path),
                    reason=error.strerror,
                    remedy="make room or mend the directory; serving goes on without the copy",
                )
            self._is_failing = True
            _remove(part)
            return False
        if self._is_failing:
            log.info("snapshot_saved_again", path=str(self._path))
        self._is_failing = False
        return True

    def load(self) -> Copy | None:
        """Return the copy, or None, with a log line, if there is none that can be used."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("snapshot_not_read", path=str(self._path), reason=error.strerror)
            return None
        try:
            return _parse(data)
        except (ValueError, msgspec.MsgspecError) as error:
            log.warning(
                "snapshot_unusable",
                path=str(self._path),
                reason=str(error),
                remedy="starting without it; it is replaced as soon as the store answers",
            )
            return None


def _rows(snapshot: Snapshot) -> list[bytes]:
    """Return the rows in pieces: while one is encoded, the thread that serves calls waits."""
    rows = [
        (_text(record.key), record.value, record.create_revision, record.mod_revision)
        for record in snapshot.raw.values()
    ]
    pieces = [b"["]
    for start in range(0, len(rows), _PIECE):
        pieces += (_encoder.encode(rows[start : start + _PIECE])[1:-1], b",")
    return [*pieces[:-1], b"]"] if rows else [b"[]"]


def _text(key: str) -> str:
    """Return the key without what JSON cannot hold: a key of such bytes is nobody's anyway."""
    return key.encode("utf-8", "replace").decode()


def _head(snapshot: Snapshot, now: Now, body: Iterable[bytes]) -> bytes:
    checksum = hashlib.sha256()
    for piece in body:
        checksum.update(piece)
    return _encoder.encode(
        _Head(
            v=_VERSION,
            revision=snapshot.revision,
            saved_ms=now.wall_ms,
            sha256=checksum.hexdigest(),
        )
    )


def _parse(data: bytes) -> Copy:
    first, _, body = data.partition(b"\n")
    head = _head_decoder.decode(first)
    if head.v != _VERSION:
        raise ValueError(f"version {head.v}, and this program reads only {_VERSION}")
    if hashlib.sha256(body).hexdigest() != head.sha256:
        raise ValueError("its checksum does not match: it was cut short or altered")
    records = tuple(
        KeyValue(key=key, value=value, create_revision=created, mod_revision=modified)
        for key, value, created, modified in _rows_decoder.decode(body)
    )
    return Copy(records=records, revision=head.revision, saved_ms=head.saved_ms)


def _force_names(directory: Path) -> None:
    """Force the directory's own change, the renaming, to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
