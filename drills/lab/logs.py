"""Log files of processes: appended to by the process itself, kept short by the lab.

The lab's own process has one too: the terminal belongs to its tables.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog


def open_log(path: Path) -> BinaryIO:
    """Open a log for a process. Appending, so that it can be shortened under the writer's hands."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def shorten_log(path: Path, limit_bytes: int) -> None:
    """Keep the last half of `limit_bytes` of a log that has grown past them.

    What is written between the reading and the truncation is lost.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size <= limit_bytes:
            return
        with path.open("r+b") as log:
            log.seek(-(limit_bytes // 2), os.SEEK_END)
            kept = log.read()
            log.truncate(0)
        with open_log(path) as log:
            log.write(b"[...]\n" + kept[kept.find(b"\n") + 1 :])


def tail(path: Path) -> str:
    """Return the last 15 lines of a log, empty when there is none."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - 16384))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-15:])
    return ""


@contextlib.contextmanager
def own_log(path: Path) -> Iterator[None]:
    """Let what this process itself logs go to a file, JSON lines, until the block ends."""
    with open_log(path) as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_as_bytes),
            ],
            logger_factory=structlog.BytesLoggerFactory(file=file),
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def _as_bytes(fields: object, **_options: object) -> bytes:
    return msgspec.json.encode(fields, enc_hook=str)
