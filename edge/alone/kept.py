"""What an edge writes without a quorum, kept on disk, so that its next life goes on with it.

One file, appended to: a line a record; it is made anew, of what stands, when it has grown. It
outlives the process and not the machine, so nothing waits for the disk. It is there only from the
beginning of the mode to the end of the merge, and holds callers' numbers, so only its owner may
read it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import structlog

from state.raw import Change

log = structlog.get_logger()

FORMAT = 1
LARGE = 4 * 1024 * 1024
"""Bytes: a smaller file is not made anew. These are the steps of nine hundred calls."""


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    v: int
    key: str
    value: bytes | None = None
    """None: deleted."""
    created: int = 0
    modified: int = 0


class Kept:
    """One edge's file. A disk that cannot be written costs the next life what was done, no more."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: keep nothing."""
        self._path = path
        self._descriptor: int | None = None
        self._is_torn = False
        """Whether the disk has taken only the beginning of a line."""
        self._is_failing = False
        self._size = 0
        self._size_at_first = 0
        """Bytes: of what stood when it was made."""

    @property
    def has_grown(self) -> bool:
        """Whether most of it may be over."""
        return self._size > max(LARGE, 2 * self._size_at_first)

    @property
    def is_there(self) -> bool:
        """Whether something is kept: of a former life, as long as this one has done nothing."""
        return self._path is not None and self._path.exists()

    def load(self) -> tuple[Change, ...]:
        """Return what a former life has written and not merged; what is torn is left out."""
        if self._path is None:
            return ()
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            log.warning("alone_file_not_read", path=str(self._path), reason=error.strerror)
            return ()
        changes = []
        for text in filter(None, content.splitlines()):
            try:
                line = msgspec.json.decode(text, type=_Line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                log.warning("alone_line_unreadable", reason=str(error)[:200])
                continue
            if line.v == FORMAT:
                changes.append(
                    Change(
                        key=line.key,
                        value=line.value,
                        create_revision=line.created,
                        mod_revision=line.modified,
                    )
                )
        return tuple(changes)

    def begin(self, changes: Sequence[Change] = ()) -> None:
        """Begin a new file, with what a former life had written, or this one and stands.

        If that fails, an old one is there yet, and written to.
        """
        if self._path is None:
            return
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        except OSError as error:
            self._failed(error)
            return
        was_torn, self._is_torn = self._is_torn, False
        try:
            lines = _encode(changes)
            self._write(descriptor, lines)
            part.replace(self._path)
        except OSError as error:
            os.close(descriptor)
            self._is_torn = was_torn
            self._failed(error)
            return
        self._close()
        self._descriptor = descriptor
        self._size = self._size_at_first = len(lines)

    def note(self, changes: Iterable[Change]) -> None:
        """Keep what has just been written."""
        if self._descriptor is None:
            return
        lines = _encode(changes)
        self._size += len(lines)
        try:
            self._write(self._descriptor, lines)
        except OSError as error:
            self._failed(error)

    def _write(self, descriptor: int, lines: bytes) -> None:
        """Write all of it. Raise OSError; what comes next is a line of its own then, too."""
        lines = b"\n" + lines if self._is_torn else lines
        written = os.write(descriptor, lines)
        self._is_torn = written != len(lines)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def end(self) -> None:
        """Forget it all: it has been merged."""
        self._close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            log.warning(
                "alone_file_not_written",
                path=str(self._path),
                reason=error.strerror,
                remedy="make room; serving goes on, but would not outlive this process",
            )
        self._is_failing = True


def _encode(changes: Iterable[Change]) -> bytes:
    return b"".join(
        msgspec.json.encode(
            _Line(
                v=FORMAT,
                key=each.key,
                value=each.value,
                created=each.create_revision,
                modified=each.mod_revision,
            )
        )
        + b"\n"
        for each in changes
    )
