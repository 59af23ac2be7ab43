"""A store that loses events, is cut off, or breaks, as a test wishes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec.structs import replace

from state.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from state.raw import Change
    from state.store import (
        Compare,
        LeaseId,
        Operation,
        RangeResult,
        Store,
        TxnResult,
        WatchBatch,
    )


class FlakyStore:
    """Passes everything on to `inner`, but for what has been asked to go wrong."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
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

    async def range(  # noqa: PLR0913 - the Store's own
        self,
        key: str,
        *,
        prefix: bool = False,
        after: str = "",
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Read, unless cut or broken."""
        self._refuse()
        if self.breaks_with is not None:
            error, self.breaks_with = self.breaks_with, None
            raise error
        return await self.inner.range(
            key, prefix=prefix, after=after, revision=revision, limit=limit, keys_only=keys_only
        )

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do, unless cut."""
        self._refuse()
        return await self.inner.txn(compares, success, failure, patience_s=patience_s)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what is not lost, late, until cut."""
        self._refuse()
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
                self._refuse()
                batch = coming.result()
                await asyncio.sleep(self.delay_s)
                told = tuple(change for change in batch.changes if not self.is_lost(change))
                yield replace(batch, changes=told)

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant, unless cut."""
        self._refuse()
        return await self.inner.lease_grant(ttl_s)

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep, unless cut."""
        self._refuse()
        return await self.inner.lease_keepalive(lease)

    async def lease_revoke(self, lease: LeaseId) -> None:
        """Revoke, unless cut."""
        self._refuse()
        await self.inner.lease_revoke(lease)

    async def close(self) -> None:
        """Close what is inside."""
        await self.inner.close()

    def _refuse(self) -> None:
        if self._is_cut.is_set():
            raise UnavailableError("the store is cut off")
