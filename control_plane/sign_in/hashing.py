"""Checks passwords, few at a time: each takes a core for tens of milliseconds, and 19 MiB."""

from __future__ import annotations

import asyncio
from typing import Final

from control_plane.errors import TOO_MANY, ApiError
from control_plane.passwords import is_right

AT_ONCE: Final = 2
MOST_WAITING: Final = 100


class Hashing:
    """A short line before the hash."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def is_right(self, kept: str | None, password: str) -> bool:
        """Return whether it fits. Raise `too-many-requests` where the line is long."""
        if self._waiting >= MOST_WAITING:
            raise ApiError(TOO_MANY, headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(is_right, kept, password)
        finally:
            self._waiting -= 1
