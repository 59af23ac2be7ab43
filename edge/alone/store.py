"""One edge's store, with a quorum or without: the shared one, or its own copy laid over it.

The parts of an edge ask this store and read this snapshot, and need not know which it is. While a
site serves alone, transactions are carried out at once on the copy (`state.overlay`); while it
merges they are refused as by a store that is away, which is asked again a moment later.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Final

from msgspec.structs import replace

from edge.acd.merged_places import Rank, ranked
from edge.acd.plan import Held
from edge.alone.answers import Answers, as_asked, landed, read_by
from edge.alone.closed import gone_of, without
from edge.alone.copy import Read, news_in, reads_of, unless_given_anew, with_held
from edge.alone.kept import Kept
from edge.alone.moments import revision_at, written_at_s
from edge.alone.told_rests import ToldRests
from state import keys
from state.clock import Clock
from state.errors import UnavailableError
from state.mirror import Mirror
from state.model import AgentId, CallId
from state.nesting import done_by
from state.overlay import ALONE_FROM, Overlay, carry_out, translated, written
from state.raw import Change
from state.snapshot import Delta, Listener, Snapshot
from state.snapshot import replace as replaced
from state.store import (
    Compare,
    Delete,
    LeaseId,
    Operation,
    Put,
    RangeResult,
    Store,
    TxnResult,
    WatchBatch,
)

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
        self._answers = Answers()
        self._told = ToldRests()
        self._own: dict[str, int] = {}
        """At which of the copy's revisions this edge has written a key last, in their order."""
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

    def own_since(self, revision: int) -> list[tuple[str, int]]:
        """Return what this edge has written without a quorum after a revision of its copy.

        The keys, each with that of its last write, in their order. What a sister wrote over since
        is hers to tell.
        """
        newest_first = takewhile(lambda key: self._own[key] > revision, reversed(self._own))
        return [(key, self._own[key]) for key in newest_first][::-1]

    def own_of(self, some: Iterable[str]) -> list[str]:
        """Return those of some keys that this edge was the last to write without a quorum."""
        return [key for key in some if key in self._own]

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
        snapshot, deltas = self._answers.with_written(self._mirror.snapshot, now_s)
        snapshot, of_calls = with_held(
            snapshot, held, now_s, revisions=self._revisions, ranks=self._ranks
        )
        snapshot, read = self._answers.with_read(snapshot, now_s)
        deltas += of_calls + read
        # What a former life began with is not known: the mirror may show what came after it.
        overlay = Overlay(snapshot=snapshot)
        self._overlay = overlay if written_before else replace(overlay, base=snapshot.raw)
        self._is_merging = False
        self._own.clear()
        self._told.clear()
        self._kept.begin(written_before)
        for revision, group in groupby(written_before, key=lambda each: each.mod_revision):
            changes, at_s = tuple(group), written_at_s(revision, now_s)
            self._overlay, new = written(self._overlay, changes, revision, at_s, is_ours=True)
            self._note_written((each.key for each in changes), revision, is_ours=True)
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
        revision, now_s = self._next(), self._clock.now().mono_s
        if not is_ours:
            changes = self._told.taken(changes, self._overlay, revision, now_s)
        fresh = [replace(change, mod_revision=revision) for change in changes]
        if not is_ours:
            self._follow_works(fresh)
        self._overlay, deltas = written(self._overlay, fresh, revision, now_s, is_ours=is_ours)
        self._note_written((each.key for each in fresh), revision, is_ours=is_ours)
        if is_ours:
            self._kept.note(fresh)
        self._tell(self._overlay.snapshot, deltas)

    def suppose(self, changes: Sequence[Change]) -> None:
        """Let something stand here until the store says better: it is not merged with anything."""
        if self._overlay is None:
            return
        marks = self._overlay.written
        self.note([each for each in changes if each.key not in marks], is_ours=False)
        self._overlay = replace(self._overlay, written=marks)

    def forget(self, calls: Sequence[CallId]) -> None:
        """Let go of calls that came and went: somebody else keeps what is to be merged of them."""
        if self._overlay is None:
            return
        for call in calls:
            for key in gone_of(self._overlay, call):
                self._own.pop(key, None)
        self._overlay = without(self._overlay, calls)
        if self._kept.has_grown:
            self._kept.begin([self._change(key, self._own[key]) for key in self._own])

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
            self._hear(success, failure, result)
            return as_asked(result, asked, success) if self._ranks else result
        self._overlay, result, deltas = carry_out(
            self._overlay,
            (*translated(compares, self._revisions), *unless_given_anew(success)),
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
        self._note_written(keys_written, self._revision, is_ours=True)
        self._kept.note([self._change(key, self._revision) for key in keys_written])

    def _change(self, key: str, revision: int) -> Change:
        """Return how a key of the copy stands, as written at a revision."""
        record = None if self._overlay is None else self._overlay.record(key)
        return Change(
            key=key,
            value=None if record is None else record.value,
            create_revision=0 if record is None else record.create_revision,
            mod_revision=revision,
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
            result = await self._store.range(
                key, prefix=prefix, after=after, revision=revision, limit=limit, keys_only=keys_only
            )
            if not (prefix or revision or keys_only):
                found = next(iter(result.records), None)
                self._note_read(reads_of(key, found, result.revision))
            return result
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
        """Let an offer of ours end on the work record that a sister has written meanwhile.

        Of whom no call has any more, nobody holds a revision.
        """
        over = {each.key for each in changes if each.value is None}
        for change in changes:
            if self._overlay is None or not change.key.startswith(keys.WORK):
                continue
            offer = keys.offer(AgentId(change.key.removeprefix(keys.WORK)))
            if offer in over or offer not in self._overlay.snapshot.raw:
                for which in [each for each in self._revisions if each[0] == change.key]:
                    del self._revisions[which]
                continue
            record = self._overlay.record(change.key)
            was = 0 if record is None else record.mod_revision
            for which, became in list(self._revisions.items()):
                if which[0] == change.key and became == was:
                    self._revisions[which] = change.mod_revision
            self._revisions[change.key, was] = change.mod_revision

    def _note_written(self, written: Iterable[str], revision: int, *, is_ours: bool) -> None:
        """Note who was the last to write some keys of the copy."""
        for key in written:
            self._own.pop(key, None)
            if is_ours:
                self._own[key] = revision

    def _next(self) -> int:
        """Return a revision by the host's monotonic clock, which the edges of a site share."""
        self._revision = max(self._revision + 1, revision_at(self._clock.now().mono_s))
        return self._revision

    def _hear(
        self, success: Sequence[Operation], failure: Sequence[Operation], result: TxnResult
    ) -> None:
        """Take in what the store has answered."""
        shown = self._mirror.snapshot
        for operations, revision in landed(success, failure, result):
            if self._overlay is None:
                self._answers.note_landed(operations, revision, shown)
            else:
                self._absorb(operations, revision)
        self._note_read(read_by(success, failure, result))

    def _note_read(self, reads: Iterable[Read]) -> None:
        """Take in what was read; what is gone also if the answer comes when nobody has a quorum."""
        if self._overlay is None:
            self._answers.note_read(reads, self._mirror.snapshot)
            return
        written = self._overlay.written
        gone = [each for each in reads if each.record is None and each.key not in written]
        self.note(news_in(self._overlay.snapshot, gone), is_ours=False)

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
        self._answers.turned(snapshot)
        if self._overlay is None:
            self._tell(snapshot, deltas)

    def _tell(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        if deltas or self._overlay is None:
            for listener in self._listeners:
                listener(snapshot, deltas)
