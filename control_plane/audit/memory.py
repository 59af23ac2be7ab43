"""What a site remembers of the log, on a disk of its own: the last checkpoint that it vouched for.

Whoever has the database, and even another site's key, cannot reach it: a log that was cut or
changed does not go on from what stands here.
"""

from __future__ import annotations

import os
from pathlib import Path

from control_plane.audit.note import Head, read_head


class Memory:
    """One file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note: str | None = None

    def note(self) -> str | None:
        """Return the checkpoint; None: nothing was seen yet. Raise OSError."""
        if self._note is None:
            try:
                self._note = self._path.read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        return self._note

    def head(self) -> Head | None:
        """Return its head. Raise OSError, `NoteError`."""
        note = self.note()
        return None if note is None else read_head(note)

    def keep(self, note: str) -> None:
        """Remember `note`: on the disk before anything is said. Raise OSError."""
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with part.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._note = note
