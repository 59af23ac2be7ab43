"""Reads the secrets of phones' ephemeral credentials, and sees when they have been replaced.

A file that cannot be taken leaves the last good secrets in force, and says so once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import structlog

from state.phone_credentials import read_secrets

log = structlog.get_logger()
_Mark = tuple[int, int, int] | str


def _mark_of(path: Path) -> _Mark:
    """Return what differs once the file, or who may read it, is another; or why it is not there."""
    try:
        about = path.stat()
    except OSError as error:
        return str(error)
    return (about.st_ctime_ns, about.st_ino, about.st_size)


class SecretsFile:
    """The file of one site; None: there is none, and no secrets."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._mark: _Mark | None = None
        self._secrets: dict[str, str] = {}
        self.has_changed()

    @property
    def by_name(self) -> Mapping[str, str]:
        """The secrets in force."""
        return self._secrets

    def has_changed(self) -> bool:
        """Look whether others are in force now than when last asked."""
        if self._path is None:
            return False
        mark = _mark_of(self._path)
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            before, self._secrets = self._secrets, self._read(self._path)
        except (OSError, ValueError) as error:
            log.warning("phone_secrets_not_read", file=str(self._path), error=str(error))
            return False
        return before != self._secrets

    @staticmethod
    def _read(path: Path) -> dict[str, str]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                raise ValueError("others may read it; chmod 600 it")
            return {each.name: each.text for each in read_secrets(file.read())}
