"""What one call has under way: kept until it is done, and a fault of it told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class CallTasks:
    """The tasks of a call. `on_fault` is told what one of them raised."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, doing: Coroutine[None, None, None]) -> None:
        """Do it on the side."""
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)
