"""The parts of a process: they run together, and if one ends, all do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping

import structlog

from edge.errors import PartDiedError
from state.discreet import fault

log = structlog.get_logger()


class Parts:
    """Runs them, until told to stop or one of them has died."""

    def __init__(
        self, parts: Mapping[str, Coroutine[None, None, None]], *, may_end: Collection[str]
    ) -> None:
        """`may_end`: those that have something to do once, and are done then."""
        self._parts = parts
        self._may_end = may_end
        self._is_leaving = False
        self._is_ending = False
        """Whether parts are cancelled because the process ends."""

    async def run(self, stop: asyncio.Event, leave: Callable[[], Awaitable[None]]) -> None:
        """Run them until `stop` is set and `leave` is done. Raises what a TaskGroup does."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._part(name, doing)) for name, doing in self._parts.items()
            ]
            try:
                await stop.wait()
                self._is_leaving = True
                await leave()
            finally:
                self._is_ending = True
            for task in tasks:
                task.cancel()

    async def _part(self, name: str, running: Coroutine[None, None, None]) -> None:
        """Run a part for as long as the process. Half an edge is worse than none: end it with it.

        Nobody is told goodbye then: the next life takes the calls up.
        """
        try:
            await running
        except asyncio.CancelledError as error:
            if self._is_ending:
                raise
            # Nobody has asked for it, and a TaskGroup would not mind that the part is gone.
            self._is_ending = True
            log.critical("edge_part_cancelled", part=name)
            raise PartDiedError(f"{name} was cancelled, which it never should be") from error
        except Exception as error:
            self._is_ending = True
            log.critical("edge_part_died", part=name, **fault(error))
            raise PartDiedError(f"{name} has died of {type(error).__name__}") from error
        if not self._is_leaving and name not in self._may_end:
            self._is_ending = True
            log.critical("edge_part_ended", part=name)
            raise PartDiedError(f"{name} has ended, which it never should")
