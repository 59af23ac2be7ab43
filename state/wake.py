"""What a part waits for between two rounds of its work: a call to look again, or so many seconds.

One that waits with a limit makes no task and no cancellation of its own for it (a limit by
`asyncio.timeout` does), as some wait thousands of times a second.
"""

from __future__ import annotations

import asyncio


class Wake:
    """Wakes the one part that waits for it. Set while nobody waits, it ends the next wait at once.

    Of the event loop's thread alone.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Let whoever waits, or is the next to, look again."""
        self._is_set = True
        if self._waiter is not None:
            _release(self._waiter)

    async def wait(self, within_s: float | None = None) -> bool:
        """Return True once it is set, or False after `within_s`; it is not set any more then."""
        if not self._is_set:
            await self._wait(within_s)
        was_set, self._is_set = self._is_set, False
        return was_set

    async def _wait(self, within_s: float | None) -> None:
        if self._waiter is not None:
            raise RuntimeError("a Wake is for one that waits, and one does already")
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        limit = None if within_s is None else loop.call_later(within_s, _release, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if limit is not None:
                limit.cancel()


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
