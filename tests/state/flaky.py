"""A store that loses events, is cut off, or breaks, as a test wishes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from state.errors import UnavailableError
from state.store import Store
from tests.state.passing import PassingStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from state.raw import Change
    from state.store import RangeResult, WatchBatch


class FlakyStore(PassingStore[Store]):
    """Passes everything on to `inner`, but for what has been asked to go wrong."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.is_lost: Callable[[Change], bool] = lambda _: False
        """Which changes no watch tells."""
        self.delay_s = 0.0
        """How late watches tell."""
        self.breaks_with: Exception | None = None
        """What the next read raises."""
        self._is_cut = asyncio.Event()

    def cut(self) -> None:
        """Let all calls fail and all watches end."""
        self._is_cut.set()

    def mend(self) -> None:
        """Serve again."""
        self._is_cut.clear()

    def refuse(self) -> None:
        """Raise while cut."""
        if self._is_cut.is_set():
            raise UnavailableError("the store is cut off")

    async def range(self, key: str, **asked: Any) -> RangeResult:  # noqa: ANN401 - passed on
        """Read, unless cut or broken."""
        self.refuse()
        if self.breaks_with is not None:
            error, self.breaks_with = self.breaks_with, None
            raise error
        return await super().range(key, **asked)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what is not lost, late, until cut."""
        self.refuse()
        async with aclosing(self.inner.watch(prefix, from_revision)) as batches:
            while True:
                coming = asyncio.ensure_future(anext(batches))
                cut = asyncio.ensure_future(self._is_cut.wait())
                try:
                    await asyncio.wait({coming, cut}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    cut.cancel()
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                self.refuse()
                batch = coming.result()
                await asyncio.sleep(self.delay_s)
                told = tuple(change for change in batch.changes if not self.is_lost(change))
                yield replace(batch, changes=told)

    async def close(self) -> None:
        """Close what is inside."""
        await self.inner.close()
