"""Keys that callers are asked to press, and whether they do."""

from __future__ import annotations

import asyncio

from edge.media.plan import CALLER
from edge.recorder.digits import Digit


class AwaitedKeys:
    """One for each call at most, by the call's name at the relay; the last one counts."""

    def __init__(self) -> None:
        self._awaited: dict[str, tuple[str, asyncio.Future[None]]] = {}

    async def wait(self, media: str, key: str, wait_s: float) -> bool:
        """Return whether the caller presses the key in time."""
        pressed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited[media] = (key, pressed)
        try:
            async with asyncio.timeout(wait_s):
                await pressed
        except TimeoutError:
            return False
        finally:
            if self._awaited.get(media) == (key, pressed):
                del self._awaited[media]
        return True

    def take(self, digit: Digit) -> bool:
        """Return whether a key that was pressed is one that is awaited."""
        awaited = self._awaited.get(digit.media)
        if awaited is None or digit.party != CALLER or digit.key != awaited[0]:
            return False
        if not awaited[1].done():
            awaited[1].set_result(None)
        return True
