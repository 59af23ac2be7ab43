"""Brings what was written onto the disk: all of a folder's file system at once.

One call for many files that were written, renamed and unlinked is a small fraction of one
`fsync` for each of them, and nothing can be forgotten.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def settle(folder: Path) -> None:
    """Wait until everything written so far on the file system of `folder` is on its disk.

    Blocks for as long as the disk takes; give it a thread of its own. Raise OSError: the disk did
    not take it (Linux 5.8 and later say so).
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(folder))
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all, also after the power has gone.

    `mode`: who may read it, less what the umask takes. Of two who write it at once, each with a
    file of its own until then, the last stays.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
