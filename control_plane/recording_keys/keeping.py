"""One site's key folder, provider and key store, and the loop that keeps them in step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from control_plane.errors import DatabaseUnavailableError
from control_plane.recording_keys.ring import Ringkeeper
from custody.errors import CustodyError

log = structlog.get_logger()

PERIOD_S: Final = 2.0


async def keep(
    keeper: Ringkeeper,
    tenants: Callable[[], Awaitable[tuple[str, ...]]],
    now_ms: Callable[[], int],
) -> None:
    """Give the keeper a turn every few seconds, until cancelled."""
    problem = ""
    while True:
        try:
            await keeper.turn(await tenants(), now_ms())
            problem = ""
        except (DatabaseUnavailableError, CustodyError, OSError) as error:
            if problem != (problem := type(error).__name__):
                log.warning("recording_keys_not_kept", because=problem, detail=str(error))
        await asyncio.sleep(PERIOD_S)
