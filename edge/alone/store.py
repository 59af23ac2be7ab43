"""One edge's store, with a quorum or without: the shared one, or its own copy laid over it.

The parts of an edge ask this store and read this snapshot, and need not know which it is. While a
site serves alone, transactions are carried out at once on the copy (`state.overlay`); while it
merges they are refused as by a store that is away, which is asked again a moment later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from msgspec.structs import replace

from edge.acd.merged_places import Rank, ranked
from edge.acd.plan import Held
from edge.alone.copy import Landed, unseen_of, with_held, with_landed, with_unseen
from edge.alone.kept import Kept
from state import keys
from state.clock import Clock
from state.errors import UnavailableError
from state.mirror import Mirror
from state.model import CallId
from state.nesting import done_by
from state.overlay import ALONE_FROM, Overlay, carry_out, translated, written
from state.raw import Change
from state.snapshot import Delta, Listener, Snapshot
from state.snapshot import replace as replaced
from state.store import (
    Compare,
    Delete,
    Got,
    LeaseId,
    Nested,
    Operation,
    Put,
    RangeResult,
    Response,
    Store,
    TxnResult,
    WatchBatch,
)

_US = 1_000_000
NO_RANKS: Final[Mapping[CallId, Rank]] = {}


class SiteStore:
    """A Store. `snapshot` is what it shows."""

    def __init__(
        self, store: Store, mirror: Mirror, clock: Clock, kept: Kept | None = None
    ) -> None:
        self._kept = kept or Kept(None)
        self._store = store
        self._mirror = mirror
        self._clock = clock
        self._overlay: Overlay | None = None
        self._is_merging = False
        self._revision = ALONE_FROM
        self._listeners: list[Listener] = []
        self._revisions: dict[tuple[str, int], int] = {}
        """What the last merge has made of the revisions that calls still hold."""
        self._ranks: Mapping[CallId, Rank] = {}
        """Where the callers of calls that went through merges stand in the store's line."""
        self._landed: deque[Landed] = deque()
        """Own writes that the mirror has not come to yet."""
        self._unseen: list[Landed] = []
        """Own writes that it has gone beyond and does not show: its watch has lost them."""
        mirror.subscribe(self._mirror_turned)

    # -- reading

    @property
    def overlay(self) -> Overlay | None:
        """What was written without a quorum; None: there is one."""
        return self._overlay

    @property
    def is_alone(self) -> bool:
        """Whether transactions are carried out here."""
        return self._overlay is not None

    @property
    def snapshot(self) -> Snapshot:
        """The state as this edge is to see it."""
        return self._mirror.snapshot if self._overlay is None else self._overlay.snapshot

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` on every new snapshot."""
        self._listeners.append(listener)

    # -- changing over

    def begin(
        self,
        *,
        drop: Iterable[str] = (),
        written_before: Sequence[Change] = (),
        held: Iterable[Held] = (),
    ) -> None:
        """Serve alone from here on, without the records at the keys `drop`.

        `written_before`: what a former life of this edge has written without a quorum. `held`: what
        its calls hold in the store.
        """
        now_s = self._clock.now().mono_s
        snapshot, deltas = with_unseen(self._mirror.snapshot, self._unseen, now_s)
        snapshot, landed = with_landed(snapshot, self._landed, now_s)
        snapshot, of_calls = with_held(
            snapshot, held, now_s, revisions=self._revisions, ranks=self._ranks
        )
        deltas += landed + of_calls
        self._overlay = Overlay(snapshot=snapshot)
        self._is_merging = False
        self._kept.begin(written_before)
        for revision, changes in groupby(written_before, key=lambda each: each.mod_revision):
            self._overlay, new = written(self._overlay, changes, revision, now_s, is_ours=True)
            self._revision = max(self._revision, revision)
            deltas += new
        # The store never had this copy: what is decided on it must not name one of its revisions.
        revision = self._next()
        own = replace(self._overlay.snapshot, revision=revision)
        self._overlay = replace(self._overlay, snapshot=own)
        self._tell(own, tuple(deltas))
        gone = [
            Change(key=key, value=None, create_revision=0, mod_revision=revision)
            for key in drop
            if key in self._overlay.snapshot.raw
        ]
        self.note(gone, is_ours=False)

    def hold(self, *, merging: bool) -> None:
        """Let nobody write while a merge is under way."""
        self._is_merging = merging

    def end(
        self, revisions: Mapping[tuple[str, int], int], ranks: Mapping[CallId, Rank] = NO_RANKS
    ) -> None:
        """Serve by the shared store again; revisions and ranks as the merge has found them."""
        overlay, self._overlay = self._overlay, None
        self._is_merging = False
        self._kept.end()
        now = self._mirror.snapshot
        older = {
            (key, was): revisions.get((key, became), became)
            for (key, was), became in self._revisions.items()
        }
        # What the merge does not write, as presences, stands in the store as it was: one of the
        # copy's revisions would make every later write of it fail.
        self._revisions = {
            which: became
            for which, became in (older | dict(revisions)).items()
            if which[0] in now.raw and became < ALONE_FROM
        }
        self._ranks = {
            call: rank
            for call, rank in (dict(self._ranks) | dict(ranks)).items()
            if keys.ticket(call) in now.raw
        }
        if overlay is None:
            return
        _, deltas = replaced(
            overlay.snapshot, now.raw.values(), now.revision, self._clock.now().mono_s
        )
        self._tell(now, deltas)

    def note(self, changes: Sequence[Change], *, is_ours: bool) -> None:
        """Take in what was done without a transaction of this edge."""
        if self._overlay is None or not changes:
            return
        revision = self._next()
        fresh = [replace(change, mod_revision=revision) for change in changes]
        if not is_ours:
            self._follow_works(fresh)
        self._overlay, deltas = written(
            self._overlay, fresh, revision, self._clock.now().mono_s, is_ours=is_ours
        )
        if is_ours:
            self._kept.note(fresh)
        self._tell(self._overlay.snapshot, deltas)

    # -- the Store

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do; see `Store.txn`."""
        if self._is_merging:
            raise UnavailableError("what was done without a quorum is being written")
        asked = success
        if self._ranks:
            success = tuple(ranked(each, self._ranks) for each in success)
        if self._overlay is None:
            known = translated(compares, self._revisions)
            result = await self._store.txn(known, success, failure, patience_s=patience_s)
            for operations, revision in _landed(success, failure, result):
                self._note_landed(operations, revision)
            return _as_asked(result, asked, success) if self._ranks else result
        self._overlay, result, deltas = carry_out(
            self._overlay,
            translated(compares, self._revisions),
            success,
            failure,
            revision=self._next(),
            seen_s=self._clock.now().mono_s,
        )
        self._keep(done_by(result, success, failure))
        self._tell(self._overlay.snapshot, deltas)
        return result

    def _keep(self, operations: Iterable[Operation]) -> None:
        """Keep on disk what a transaction of this edge has just written."""
        if self._overlay is None:
            return
        keys_written = [each.key for each in operations if isinstance(each, Put | Delete)]
        records = [(key, self._overlay.record(key)) for key in keys_written]
        self._kept.note(
            Change(
                key=key,
                value=None if record is None else record.value,
                create_revision=0 if record is None else record.create_revision,
                mod_revision=self._revision,
            )
            for key, record in records
        )

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
        """Read; see `Store.range`. Without a quorum: one key."""
        if self._overlay is None:
            return await self._store.range(
                key, prefix=prefix, after=after, revision=revision, limit=limit, keys_only=keys_only
            )
        if prefix:
            raise UnavailableError("a site without a quorum lists nothing")
        found = self._overlay.record(key)
        return RangeResult(
            revision=self._overlay.snapshot.revision,
            records=() if found is None else (found,),
            more=False,
        )

    def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Watch the shared store; see `Store.watch`."""
        return self._store.watch(prefix, from_revision)

    async def lease_grant(self, ttl_s: int) -> LeaseId:
        """See `Store.lease_grant`."""
        return await self._store.lease_grant(ttl_s)

    async def lease_keepalive(self, lease: LeaseId) -> int:
        """See `Store.lease_keepalive`."""
        return await self._store.lease_keepalive(lease)

    async def lease_revoke(self, lease: LeaseId) -> None:
        """See `Store.lease_revoke`."""
        await self._store.lease_revoke(lease)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._store.close()

    # -- inside

    def _follow_works(self, changes: Sequence[Change]) -> None:
        """Let an offer of ours end on the work record that a sister has written meanwhile."""
        for change in changes:
            if self._overlay is None or not change.key.startswith(keys.WORK):
                continue
            record = self._overlay.record(change.key)
            was = 0 if record is None else record.mod_revision
            for which, became in list(self._revisions.items()):
                if which[0] == change.key and became == was:
                    self._revisions[which] = change.mod_revision
            self._revisions[change.key, was] = change.mod_revision

    def _next(self) -> int:
        """Return a revision by the host's monotonic clock, which the edges of a site share."""
        us = ALONE_FROM + int(self._clock.now().mono_s * _US)
        self._revision = max(self._revision + 1, us)
        return self._revision

    def _note_landed(self, operations: Sequence[Operation], revision: int) -> None:
        if self._overlay is not None:
            self._absorb(operations, revision)
        elif revision > self._mirror.snapshot.revision:
            self._landed.append((revision, operations))
        else:
            self._note_passed((revision, operations), self._mirror.snapshot)

    def _note_passed(self, landed: Landed, snapshot: Snapshot) -> None:
        """See whether the mirror shows what it has gone beyond."""
        unseen = unseen_of(snapshot, landed)
        if unseen is not None:
            self._unseen.append(unseen)

    def _absorb(self, operations: Sequence[Operation], revision: int) -> None:
        """Take into the copy a write that was under way when the quorum was lost, and landed."""
        if self._overlay is None:
            return
        changes = []
        for each in operations:
            if isinstance(each, Put | Delete):
                before = self._overlay.record(each.key)
                changes.append(
                    Change(
                        key=each.key,
                        value=each.value if isinstance(each, Put) else None,
                        create_revision=revision if before is None else before.create_revision,
                        mod_revision=revision,
                    )
                )
        self.note(changes, is_ours=True)
        for change in changes:
            held = self._overlay.record(change.key)
            if held is not None:
                self._revisions[change.key, revision] = held.mod_revision

    def _mirror_turned(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        if self._unseen:
            still = (unseen_of(snapshot, each) for each in self._unseen)
            self._unseen = [each for each in still if each is not None]
        while self._landed and self._landed[0][0] <= snapshot.revision:
            self._note_passed(self._landed.popleft(), snapshot)
        if self._overlay is None:
            self._tell(snapshot, deltas)

    def _tell(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        if deltas or self._overlay is None:
            for listener in self._listeners:
                listener(snapshot, deltas)


def _landed(
    success: Sequence[Operation], failure: Sequence[Operation], result: TxnResult
) -> Iterator[tuple[Sequence[Operation], int]]:
    """Yield which writes of a transaction stand, and at which revision."""
    revision = _landed_at(success, result)
    if revision is not None:
        yield success, revision
    elif not result.succeeded:
        for each, response in zip(failure, result.responses, strict=True):
            if isinstance(each, Nested) and isinstance(response, TxnResult):
                yield from _landed(each.success, each.failure, response)


def _landed_at(success: Sequence[Operation], result: TxnResult) -> int | None:
    """Return at which revision the writes of a transaction stand; None: they were refused.

    What it read instead may be what an earlier attempt had written, whose answer was lost.
    """
    if result.succeeded:
        return result.revision
    puts = {each.key: each.value for each in success if isinstance(each, Put)}
    for response in result.responses:
        if isinstance(response, Got) and response.record is not None:
            found = response.record
            if puts.get(found.key) == found.value:
                return found.mod_revision
    return None


def _as_asked(
    result: TxnResult, asked: Sequence[Operation], done: Sequence[Operation]
) -> TxnResult:
    """Return a result in which what was written stands as it was asked for: its writer looks."""
    wanted = {
        (did.key, did.value): put.value
        for put, did in zip(asked, done, strict=True)
        if isinstance(put, Put) and isinstance(did, Put) and put != did
    }
    return replace(result, responses=tuple(_got_as(each, wanted) for each in result.responses))


def _got_as(response: Response, wanted: Mapping[tuple[str, bytes], bytes]) -> Response:
    record = response.record if isinstance(response, Got) else None
    if record is None or (record.key, record.value) not in wanted:
        return response
    return Got(record=replace(record, value=wanted[record.key, record.value]))
