"""The shared state with a span for each thing that a request asks of it.

A span names the kind of record and never its key: the id in it may be a number.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from control_plane.tracing import span
from state.keys import ROOT
from state.nesting import keys_of
from state.store import Compare, LeaseId, Operation, RangeResult, Store, TxnResult, WatchBatch


class TracedStore:
    """A `Store` over another."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def range(  # noqa: PLR0913 - as `Store.range`
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
        with span("etcd range", {"db.system.name": "etcd", "everline.kind": kind_of(key)}):
            return await self._store.range(
                key,
                prefix=prefix,
                after=after,
                revision=revision,
                limit=limit,
                keys_only=keys_only,
            )

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Write."""
        kinds = sorted({kind_of(key) for key in keys_of((*compares, *success, *failure))})
        words = {"db.system.name": "etcd", "everline.kind": " ".join(kinds)}
        with span("etcd txn", words) as told:
            done = await self._store.txn(compares, success, failure, patience_s=patience_s)
            told.tell({"everline.succeeded": done.succeeded})
            return done

    def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Watch: no request does."""
        return self._store.watch(prefix, from_revision)

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant a lease."""
        with span("etcd lease_grant", {"db.system.name": "etcd"}):
            return await self._store.lease_grant(ttl_s)

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep a lease."""
        with span("etcd lease_keepalive", {"db.system.name": "etcd"}):
            return await self._store.lease_keepalive(lease)

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End a lease."""
        with span("etcd lease_revoke", {"db.system.name": "etcd"}):
            await self._store.lease_revoke(lease)

    async def close(self) -> None:
        """Let go."""
        await self._store.close()


def kind_of(key: str) -> str:
    """Return which kind of record a key, or a prefix, is of: never whose."""
    return key.removeprefix(ROOT).rpartition("/")[0]
