"""Lets trials take their turn: one computes for seconds, and everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web

from control_plane import proof
from control_plane.errors import TOO_MANY, ApiError
from control_plane.proof import Case

T = TypeVar("T")
AT_ONCE: Final = 1
MOST: Final = 4
"""That compute or wait; who comes then is told to come again."""


class Trials:
    """A short line before the thread."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._here = 0

    async def run(self, what: Callable[[], T]) -> T:
        """Return what it gives, in a thread. Raise `too-many-requests` where the line is long."""
        if self._here >= MOST:
            raise ApiError(TOO_MANY, headers={"Retry-After": "5"})
        self._here += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(what)
        finally:
            self._here -= 1


TRIALS = web.AppKey("policy_trials", Trials)


@lru_cache(maxsize=1)
def cases(folder: Path) -> tuple[Case, ...]:
    """Return the platform's own cases, which are read once, as its policy is: that takes long."""
    return proof.load(folder / "cases.yaml")
