"""What a control plane does for its site's recordings while it runs, again and again."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from obstore.exceptions import BaseError

from control_plane.errors import DatabaseUnavailableError
from control_plane.recordings.archive import Archive
from control_plane.recordings.retention import sweep
from control_plane.services import Services
from custody.library import Library

log = structlog.get_logger()

PERIOD_S: Final = 2.0
SWEEP_S: Final = 600.0


async def look_after(services: Services, archive: Archive, library: Library) -> None:
    """Delete what was ordered within seconds; what is too old, or came back, every ten minutes."""
    problem, swept_s = "", -SWEEP_S
    while True:
        now, loop_s = services.clock.now(), asyncio.get_running_loop().time()
        try:
            if loop_s - swept_s >= SWEEP_S:
                await archive.delete_again()
                if archive.deletes:
                    await sweep(services.database, archive, library, now.wall_ms)
                swept_s = loop_s
            await archive.carry_out(now.wall_ms)
            problem = ""
        except (DatabaseUnavailableError, OSError, BaseError) as error:
            if problem != (problem := type(error).__name__):
                log.warning("recordings_not_looked_after", because=problem)
        await asyncio.sleep(PERIOD_S)
