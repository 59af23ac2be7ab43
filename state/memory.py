"""The Store in memory, with etcd's revisions, for tests and dry runs.

One process, no I/O. Leases end by the clock it is given, which it looks at on every call and on
`tick`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from state.clock import Clock
from state.errors import (
    CompactedError,
    FutureRevisionError,
    LeaseGoneError,
    RejectedError,
    StoreFullError,
)
from state.members import EtcdMember
from state.nesting import all_of, chosen, flat, responses_of
from state.raw import Change, KeyValue
from state.space import REMEDY, Space
from state.store import (
    Absent,
    Compare,
    CreatedAt,
    Delete,
    Deleted,
    Exists,
    Get,
    Got,
    LeaseId,
    ModIs,
    Operation,
    Put,
    PutDone,
    RangeResult,
    Response,
    TxnResult,
    ValueIs,
    WatchBatch,
)

_HEARTBEAT_S = 1.0


@dataclass(slots=True, kw_only=True)
class _Lease:
    ttl_s: int
    ends_s: float
    keys: set[str] = field(default_factory=set)


class MemoryStore:
    """Keeps the Store's contract in this process's memory."""

    def __init__(self, clock: Clock, *, heartbeat_s: float = _HEARTBEAT_S) -> None:
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._revision = 1
        self._compacted = 0
        self._records: dict[str, KeyValue] = {}
        self._history: list[Change] = []
        self._leases: dict[LeaseId, _Lease] = {}
        self._next_lease = 1
        self._grown = asyncio.Event()
        self.is_full = False
        """Whether its quota is used up, as etcd's may be."""
        self.told_members: tuple[EtcdMember, ...] = ()

    # ---- the Store -------------------------------------------------------------------------------

    async def range(  # noqa: PLR0913 - each is one word of etcd's own range
        self,
        key: str,
        *,
        prefix: bool = False,
        after: str = "",
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Read a key or a prefix; see `Store.range`."""
        self.tick()
        if revision > self._revision:
            raise FutureRevisionError(f"revision {revision} does not exist yet: {self._revision}")
        if 0 < revision < self._compacted:
            raise CompactedError(revision, self._compacted)
        records = self._records if revision in {0, self._revision} else self._as_of(revision)
        if prefix:
            names = sorted(name for name in records if name.startswith(key) and name > after)
        else:
            names = [key] if key in records else []
        found = names[:limit] if limit else names
        return RangeResult(
            revision=self._revision,
            records=tuple(
                replace(records[name], value=b"") if keys_only else records[name] for name in found
            ),
            more=len(found) < len(names),
        )

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,  # noqa: ARG002 - nothing to wait for
    ) -> TxnResult:
        """Compare and do; see `Store.txn`."""
        self.tick()
        if any(isinstance(each, Put) for each in all_of((*success, *failure))):
            # Whatever its conditions say: so does etcd.
            self._refuse_if_full()
        succeeded = all(self._holds(compare) for compare in compares)
        operations = chosen(success if succeeded else failure, self._holds)
        done = flat(operations)
        self._refuse_nonsense(done)
        is_read = all(isinstance(each, Get) for each in done)
        revision = self._revision + 1
        at = self._revision if is_read else revision
        responses = responses_of(operations, at, lambda each: self._do(each, revision))
        self._commit(revision)
        return TxnResult(succeeded=succeeded, revision=self._revision, responses=responses)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield changes; see `Store.watch`."""
        self.tick()
        if from_revision < 1:
            raise RejectedError(f"a watch starts at revision 1 or later, not {from_revision}")
        told = from_revision - 1
        if told == self._revision:
            yield WatchBatch(revision=told, changes=())
        while True:
            if told + 1 < self._compacted:
                raise CompactedError(told + 1, self._compacted)
            changes = tuple(c for c in self._since(told + 1) if c.key.startswith(prefix))
            if changes:
                told = changes[-1].mod_revision
                yield WatchBatch(revision=told, changes=changes)
                continue
            grown = self._grown
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await grown.wait()
            except TimeoutError:
                yield WatchBatch(revision=told, changes=())

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Grant a lease; see `Store.lease_grant`."""
        self.tick()
        if ttl_s < 1:
            raise RejectedError(f"a lease lives 1 s or longer, not {ttl_s}")
        self._refuse_if_full()
        lease = LeaseId(self._next_lease)
        self._next_lease += 1
        self._leases[lease] = _Lease(ttl_s=ttl_s, ends_s=self._clock.now().mono_s + ttl_s)
        return lease

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Keep a lease; see `Store.lease_keepalive`."""
        self.tick()
        held = self._leases.get(lease)
        if held is None:
            raise LeaseGoneError(f"lease {lease:x} has ended: grant a new one")
        held.ends_s = self._clock.now().mono_s + held.ttl_s
        return held.ttl_s

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End a lease; see `Store.lease_revoke`."""
        self.tick()
        self._end(lease)

    async def space(self) -> Space:
        """Return whether there is room."""
        return Space(size_bytes=0, used_bytes=0, is_full=self.is_full)

    async def members(self) -> tuple[EtcdMember, ...]:
        """Return those that a test has made up."""
        return self.told_members

    async def takes_writes(self) -> bool:
        """Say whether there is room."""
        return not self.is_full

    async def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    # ---- what a test does to it ------------------------------------------------------------------

    def compact(self, revision: int) -> None:
        """Forget every revision before `revision`."""
        if not self._compacted < revision <= self._revision:
            raise ValueError(f"cannot compact at {revision}")
        self._compacted = revision
        # States between here and now stay readable: keep each key's last change at or before it.
        newest: dict[str, Change] = {}
        for change in self._history:
            if change.mod_revision <= revision:
                newest[change.key] = change
        kept = sorted(newest.values(), key=lambda change: change.mod_revision)
        later = [change for change in self._history if change.mod_revision > revision]
        self._history = [change for change in kept if change.value is not None] + later

    def tick(self) -> None:
        """Look at the clock: end the leases whose time is over."""
        now_s = self._clock.now().mono_s
        for lease in [each for each, held in self._leases.items() if held.ends_s <= now_s]:
            self._end(lease)

    # ---- inside ----------------------------------------------------------------------------------

    def _refuse_if_full(self) -> None:
        if self.is_full:
            raise StoreFullError(f"the store in memory has no space left; {REMEDY}")

    def _since(self, revision: int) -> list[Change]:
        start = bisect_left(self._history, revision, key=lambda change: change.mod_revision)
        return self._history[start:]

    def _as_of(self, revision: int) -> dict[str, KeyValue]:
        records: dict[str, KeyValue] = {}
        for change in self._history:
            if change.mod_revision > revision:
                break
            _play(records, change)
        return records

    def _holds(self, compare: Compare) -> bool:
        record = self._records.get(compare.key)
        match compare:
            case ModIs():
                return (record.mod_revision if record else 0) == compare.mod_revision
            case CreatedAt():
                return (record.create_revision if record else 0) == compare.create_revision
            case Absent():
                return record is None
            case Exists():
                return record is not None
            case ValueIs():
                return record is not None and record.value == compare.value

    def _refuse_nonsense(self, operations: Sequence[Put | Delete | Get]) -> None:
        written = [each.key for each in operations if isinstance(each, Put)]
        deleted = {each.key for each in operations if isinstance(each, Delete)}
        if len(set(written)) < len(written) or deleted & set(written):
            raise RejectedError("a transaction may write a key only once")
        for each in operations:
            if isinstance(each, Put) and each.lease is not None and each.lease not in self._leases:
                raise LeaseGoneError(f"lease {each.lease:x} has ended: grant a new one")

    def _do(self, operation: Put | Delete | Get, revision: int) -> Response:
        match operation:
            case Put():
                self._put(operation, revision)
                return PutDone()
            case Delete():
                return Deleted(count=self._delete(operation.key, revision))
            case Get():
                return Got(record=self._records.get(operation.key))

    def _put(self, put: Put, revision: int) -> None:
        before = self._records.get(put.key)
        self._unbind(put.key)
        if put.lease is not None:
            self._leases[put.lease].keys.add(put.key)
        created = before.create_revision if before else revision
        change = Change(
            key=put.key, value=put.value, create_revision=created, mod_revision=revision
        )
        _play(self._records, change)
        self._records[put.key] = replace(self._records[put.key], lease=put.lease or 0)
        self._history.append(change)

    def _delete(self, key: str, revision: int) -> int:
        if key not in self._records:
            return 0
        self._unbind(key)
        change = Change(key=key, value=None, create_revision=0, mod_revision=revision)
        _play(self._records, change)
        self._history.append(change)
        return 1

    def _unbind(self, key: str) -> None:
        record = self._records.get(key)
        if record is not None and record.lease:
            self._leases[LeaseId(record.lease)].keys.discard(key)

    def _end(self, lease: LeaseId) -> None:
        held = self._leases.get(lease)
        if held is None:
            return
        revision = self._revision + 1
        for key in sorted(held.keys):
            self._delete(key, revision)
        del self._leases[lease]
        self._commit(revision)

    def _commit(self, revision: int) -> None:
        if self._history and self._history[-1].mod_revision == revision:
            self._revision = revision
            self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _play(records: dict[str, KeyValue], change: Change) -> None:
    """Do `change` to `records`."""
    if change.value is None:
        records.pop(change.key, None)
        return
    before = records.get(change.key)
    records[change.key] = KeyValue(
        key=change.key,
        value=change.value,
        create_revision=change.create_revision,
        mod_revision=change.mod_revision,
        version=before.version + 1 if before else 1,
    )
