"""What a control plane does for its site's recordings while it runs, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
from obstore.exceptions import BaseError

from control_plane.errors import DatabaseUnavailableError
from control_plane.recordings.archive import Archive
from control_plane.recordings.beginning import begin
from control_plane.recordings.retention import sweep, untag_erased
from control_plane.services import Services
from custody.library import Library

log = structlog.get_logger()

PERIOD_S: Final = 2.0
SWEEP_S: Final = 600.0
AGAIN_S: Final = 60.0
"""After a failure; a store that refuses one object for good is not gone through all the time."""


async def look_after(services: Services, archive: Archive, library: Library) -> None:
    """Delete what was ordered within seconds; what is too old, or came back, every ten minutes.

    None of these waits for another that the store does not let happen. At first, once, what an
    erasure has left that was finished at this start.
    """
    problem, due_s, is_tidy = "", 0.0, False

    async def tidy() -> None:
        nonlocal is_tidy
        await untag_erased(services.database, archive)
        is_tidy = True

    while True:
        now_ms, loop_s = services.clock.now().wall_ms, asyncio.get_running_loop().time()
        duties: list[Callable[[], Awaitable[object]]] = [
            partial(begin, services.database, archive, now_ms),
            partial(archive.carry_out, now_ms),
            *(() if is_tidy else (tidy,)),
        ]
        if loop_s >= due_s:
            due_s = loop_s + SWEEP_S
            duties.append(archive.delete_again)
            if archive.deletes:
                duties.append(partial(sweep, services.database, archive, library, now_ms))
        found = ""
        for duty in duties:
            try:
                await duty()
            except (DatabaseUnavailableError, OSError, BaseError) as error:
                found = type(error).__name__
        if found:
            due_s = min(due_s, loop_s + AGAIN_S)
        if found and found != problem:
            log.warning("recordings_not_looked_after", because=found)
        problem = found
        await asyncio.sleep(PERIOD_S)
