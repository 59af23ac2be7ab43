"""What a feature has running on the side for as long as the application runs.

Owns that it ends with the application, and that nobody's end before that goes unheard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial

import structlog

from control_plane.log import fault

log = structlog.get_logger()


@asynccontextmanager
async def running(feature: str, *parts: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these while entered. One that fails is told of, and the others go on."""
    tasks = [asyncio.create_task(each) for each in parts]
    for task in tasks:
        task.add_done_callback(partial(_ended, feature))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ended(feature: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("part_died", feature=feature, **fault(error))
