"""What a feature has running on the side for as long as the application runs.

Owns that it ends with the application and not before that: a part that fails is told of, and begins
again after a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import structlog

from state.discreet import fault

log = structlog.get_logger()

Part: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Called anew for each beginning."""
FIRST_S = 1.0
LONGEST_S: Final = 60.0
"""A pause; who has gone on for longer than that fails for the first time again."""


@asynccontextmanager
async def running(feature: str, *parts: Part) -> AsyncIterator[None]:
    """Run these while entered. One that fails begins again, and the others go on meanwhile."""
    tasks = [asyncio.create_task(_keep_on(feature, each)) for each in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_on(feature: str, part: Part) -> None:
    """Run a part until it has nothing more to do, or is cancelled."""
    loop, mine = asyncio.get_running_loop(), asyncio.current_task()
    pause_s = FIRST_S
    while True:
        began_s = loop.time()
        try:
            # In a task of its own: a group of tasks within that fails leaves its own task marked as
            # cancelled (Python 3.11), and ours is that only when it is to end.
            await asyncio.create_task(part())
        except (Exception, asyncio.CancelledError) as error:
            is_ending = mine is not None and mine.cancelling() > 0
            if is_ending and isinstance(error, asyncio.CancelledError):
                raise
            if loop.time() - began_s > LONGEST_S:
                pause_s = FIRST_S
            log.error(  # noqa: TRY400 - its text stays out
                "part_failed", feature=feature, part=_name(part), again_s=pause_s, **fault(error)
            )
            if is_ending:
                return
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = longer(pause_s)


def longer(pause_s: float) -> float:
    """Return the pause after this one."""
    return min(2 * pause_s, LONGEST_S)


def _name(part: Part) -> str:
    return str(getattr(getattr(part, "func", part), "__qualname__", "?"))
