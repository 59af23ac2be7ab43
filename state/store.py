"""What the shared state asks of a store: a Protocol, and the values it speaks in.

The semantics are etcd's. Every write makes a new revision of the whole store; a transaction makes
one for all its operations together. `state.etcd` and `state.memory` keep this contract; the tests
in `tests/state/contract` hold both to it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NewType, Protocol, TypeAlias

from msgspec import Struct

from state.raw import Change, KeyValue

LeaseId = NewType("LeaseId", int)


# ---- conditions of a transaction -----------------------------------------------------------------


class ModIs(Struct, frozen=True, kw_only=True):
    """The key's last write was at `mod_revision`: nobody has touched it since it was read."""

    key: str
    mod_revision: int


class CreatedAt(Struct, frozen=True, kw_only=True):
    """The key was created at `create_revision`: it is the same one, whatever was written since."""

    key: str
    create_revision: int


class Absent(Struct, frozen=True, kw_only=True):
    """The key does not exist."""

    key: str


class Exists(Struct, frozen=True, kw_only=True):
    """The key exists."""

    key: str


class ValueIs(Struct, frozen=True, kw_only=True):
    """The key holds exactly these bytes."""

    key: str
    value: bytes


Compare: TypeAlias = ModIs | CreatedAt | Absent | Exists | ValueIs


# ---- operations of a transaction -----------------------------------------------------------------


class Put(Struct, frozen=True, kw_only=True):
    """Write a key; with `lease`, it is deleted when that lease ends."""

    key: str
    value: bytes
    lease: LeaseId | None = None


class Delete(Struct, frozen=True, kw_only=True):
    """Delete a key; no error if it is absent."""

    key: str


class Get(Struct, frozen=True, kw_only=True):
    """Read a key, as of this transaction."""

    key: str


class Nested(Struct, frozen=True, kw_only=True):
    """A transaction within one, with conditions of its own on what stood before the whole of it.

    None of its writes names a lease.
    """

    compares: tuple[Compare, ...]
    success: tuple[Put | Delete | Get, ...]
    failure: tuple[Put | Delete | Get, ...] = ()


Operation: TypeAlias = Put | Delete | Get | Nested


class PutDone(Struct, frozen=True, kw_only=True):
    """The key was written."""


class Deleted(Struct, frozen=True, kw_only=True):
    """How many keys the Delete removed: 0 or 1."""

    count: int


class Got(Struct, frozen=True, kw_only=True):
    """What the Get found; None: absent."""

    record: KeyValue | None


class TxnResult(Struct, frozen=True, kw_only=True):
    """What a transaction did."""

    succeeded: bool
    """Whether all conditions held, and so which list of operations was done."""
    revision: int
    """The store's revision after it: the mod_revision of everything it wrote."""
    responses: tuple[Response, ...]
    """One for each operation done, in order."""


Response: TypeAlias = PutDone | Deleted | Got | TxnResult
"""A TxnResult: of a `Nested`."""


# ---- reading and watching ------------------------------------------------------------------------


class RangeResult(Struct, frozen=True, kw_only=True):
    """What a range found."""

    revision: int
    """The store's newest revision when it answered, also when an older one was asked for."""
    records: tuple[KeyValue, ...]
    """In order of key."""
    more: bool
    """Whether `limit` cut it short."""


class WatchBatch(Struct, frozen=True, kw_only=True):
    """Complete revisions, in order; or, without changes, a sign that there are none to tell."""

    revision: int
    """Of the last change delivered (or the one before the first asked for): resume at this + 1."""
    changes: tuple[Change, ...]


class Store(Protocol):
    """A transactional key-value store with revisions, watches and leases.

    Every method may raise UnavailableError (nothing was done, asking again is safe) and
    RejectedError. A cancelled call has an unknown outcome.
    """

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
        """Read `key`, or all keys that start with it, as of `revision` (0: now).

        With `after`, only the keys of the prefix that come after that one: the next page of a
        listing.

        Linearizable: it sees every write that was acknowledged before it was asked. Retried by the
        store, since reading does no harm. Raises CompactedError and FutureRevisionError for a
        `revision` that is not there.
        """
        ...

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Do `success` if all `compares` hold, else `failure`: all at one revision, or nothing.

        Transactions that are asked for at the same time and share no key may get the same revision.
        With `patience_s`, this one may be held back for so long, to go with others.

        No key may be written twice in it. Never repeated once it may have been carried out: raises
        OutcomeUnknownError then, and whoever wants to know reads. A condition that makes the second
        attempt fail (Absent, ModIs) makes asking again safe, not its answer true. Raises
        LeaseGoneError, with nothing done, when a Put names a lease that has ended.
        """
        ...

    def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yield every change under `prefix` from `from_revision` (1 or more) on, in order.

        Also yields empty batches, about one a second while nothing happens: each a proof that
        nothing has been missed up to then. Changes members by itself and
        resumes where it was. Raises CompactedError when changes it would have to yield are no
        longer kept, and UnavailableError when no member serves it. Close it with
        `contextlib.aclosing`.
        """
        ...

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """Return a new lease that ends `ttl_s` seconds after its last keepalive.

        Retry-safe: the id is chosen here, and a second grant of it changes nothing.
        """
        ...

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """Start the lease's time anew and return it in seconds.

        Retry-safe. Raises LeaseGoneError if the lease has ended.
        """
        ...

    async def lease_revoke(self, lease: LeaseId) -> None:
        """End the lease and delete its keys, at one revision.

        Retry-safe; no error if it has ended.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Calls that are under way fail."""
        ...
