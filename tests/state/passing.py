"""A store that passes everything on to another: what one that goes wrong has in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from state.store import Compare, LeaseId, Operation, RangeResult, Store, TxnResult, WatchBatch

Inner = TypeVar("Inner", bound=Store)


class PassingStore(Generic[Inner]):
    """Passes everything on to `inner`, unless that is refused first."""

    def __init__(self, inner: Inner) -> None:
        self.inner = inner

    def refuse(self) -> None:
        """Raise, where nothing gets through now."""

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
        """Read."""
        self.refuse()
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
        """Compare and do."""
        self.refuse()
        return await self.inner.txn(compares, success, failure, patience_s=patience_s)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what happens."""
        self.refuse()
        async with aclosing(self.inner.watch(prefix, from_revision)) as batches:
            async for batch in batches:
                self.refuse()
                yield batch

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant a lease."""
        self.refuse()
        return await self.inner.lease_grant(ttl_s)

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep a lease."""
        self.refuse()
        return await self.inner.lease_keepalive(lease)

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End a lease."""
        self.refuse()
        await self.inner.lease_revoke(lease)

    async def close(self) -> None:
        """Do nothing: the other one is not ours alone."""
