"""tables.json: the rows with which a restarted Kamailio begins, kept on disk beside all else.

Owns when it is written, and that it is whole. Knows nothing of Kamailio, nor of what a row means.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from edge.proxy import tables
from edge.proxy.errors import TablesFileError
from edge.proxy.tables import Key, Tables
from state.model import EdgeId
from state.wake import Wake

log = structlog.get_logger()


class TablesFile:
    """The file of one site, as one of its edges writes it."""

    def __init__(self, path: Path, edge: EdgeId) -> None:
        self._path = path
        self._edge = edge
        self._wanted: Tables | None = None
        self._due = Wake()
        self._written: Tables | None = None
        """What it has, or was to have."""

    def want(self, wanted: Tables) -> None:
        """Have the file hold these soon; of several, the last."""
        self._wanted = wanted
        self._due.set()

    async def run(self) -> None:
        """Write it in a thread, as often as there is something new: nothing waits for it."""
        try:
            while True:
                await self._due.wait()
                await self.write_last()
        finally:
            await self.write_last()

    async def write_last(self) -> None:
        """Write what is wanted, if that is new; `run` does so by itself."""
        wanted = self._wanted
        if wanted is None or wanted is self._written:
            return
        self._written = wanted
        writing = asyncio.create_task(asyncio.to_thread(self._write, wanted))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing  # two at one file would spoil it
            raise

    def rows(self) -> Mapping[Key, str]:
        """Return the rows that the file has; none if there is none, or it is unreadable."""
        try:
            return tables.decode_file(self._path.read_bytes())
        except (OSError, TablesFileError):
            return {}

    def _write(self, wanted: Tables) -> None:
        """Replace the file in one step; a full disk leaves the old one, and says so."""
        fresh = self._path.with_name(f".{self._path.name}.{self._edge}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(tables.encode_file(wanted))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            log.warning("tables_file_not_written", file=str(self._path), error=str(error))
