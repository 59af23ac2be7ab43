"""List and watch: the current snapshot of the shared state, kept current, and how far to trust it.

Owns the loop that follows the store, the check that heals what a watch lost, and the disk copy to
start from when the store is away. Decides nothing about calls. It never dies: whatever fails is one
log line, is counted, and is tried again.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec import Struct

from state import keys
from state.discreet import fault
from state.errors import CompactedError, StateError
from state.listing import pages
from state.mirror.comparing import differing, digest_of, in_pieces, listed_keys
from state.mirror.lateness import Lateness
from state.pace import Pace
from state.snapshot import Delta, Listener, Replacing, Snapshot, replace, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from state.clock import Clock
    from state.mirror.disk import DiskCopy
    from state.model import Now
    from state.raw import Change
    from state.store import Store, WatchBatch

log = structlog.get_logger(__name__)


class MirrorState(StrEnum):
    """Whether the snapshot may be taken for the present."""

    LIVE = "live"
    STALE = "stale"


class MirrorSettings(Struct, frozen=True, kw_only=True):
    """How a mirror follows. Seconds."""

    stale_after_s: float = 3.0
    """Without a proof for so long, the snapshot is stale."""
    check_every_s: float = 20.0
    """Between two comparisons with the store; longer where one takes a tenth of that."""
    gauge_every_s: float = 0.5
    """Between two questions for the store's revision: how late the watch is."""
    relist_every_s: float = 1.0
    """Between two listings for a watch that is late; longer where one takes a tenth of that."""
    grace_s: float = 1.0
    """How long a difference may be an event still on its way, before it counts as lost."""
    retry_s: float = 0.2
    """Before the first new attempt; doubles up to `retry_max_s`."""
    retry_max_s: float = 2.0
    save_every_s: float = 2.0
    """Longer where it takes a tenth of that: a hundred thousand agents are 70 MB."""


@dataclass(slots=True, kw_only=True)
class MirrorCounters:
    """What has happened since the start."""

    changes: int = 0
    """Changes taken from the watch."""
    lists: int = 0
    late: int = 0
    """Watches that were given up for a listing because what they told was late."""
    compactions: int = 0
    """Watches that had to start anew from a listing because their revision was no longer kept."""
    checks: int = 0
    healed: int = 0
    """Keys that were wrong here and put right by a check: events that the watch lost."""
    errors: int = 0
    listener_errors: int = 0
    save_errors: int = 0


class Recorder(Protocol):
    """Keeps what a mirror sees. Told in the event loop: it must be quick, and not raise."""

    def listed(self, snapshot: Snapshot, now: Now) -> None:
        """Note a snapshot that does not follow from the one before."""
        ...

    def changed(self, snapshot: Snapshot, changes: tuple[Change, ...], now: Now) -> None:
        """Note a batch of the watch, and the snapshot after it."""
        ...


class Mirror:
    """Follows one store; `run` does the work, the rest may be read any time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        disk: DiskCopy | None = None,
        settings: MirrorSettings | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._disk = disk
        self._recorder = recorder
        self._settings = settings or MirrorSettings()
        self._snapshot = Snapshot()
        self._proved_s = -math.inf
        self._listeners: list[Listener] = []
        self._turned = asyncio.Event()
        self._saved = self._snapshot.raw
        self._to_heal: frozenset[str] | None = None
        """What a check found wrong, and a new list is to put right; None: nothing."""
        self._listed = asyncio.Event()
        self._lateness = Lateness()
        self._relisting = Pace(self._settings.relist_every_s)
        self._listed_s = -math.inf
        self.counters = MirrorCounters()

    # ---- reading ---------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot; empty at revision 0 before anything was read."""
        return self._snapshot

    @property
    def age_s(self) -> float:
        """Seconds since the last proof that the snapshot was current; inf if there was none."""
        return self._clock.now().mono_s - self._proved_s

    @property
    def state(self) -> MirrorState:
        """Whether the last proof is recent enough."""
        is_live = self.age_s <= self._settings.stale_after_s
        return MirrorState.LIVE if is_live else MirrorState.STALE

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(snapshot, deltas)` on every new snapshot; return what ends that.

        Called in the event loop, in the order of revisions; it must not block. One that raises is
        logged and counted, and goes on being called.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_until(
        self, is_so: Callable[[Snapshot], bool], timeout_s: float | None = None
    ) -> Snapshot:
        """Return the first snapshot for which `is_so`; raise TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not is_so(self._snapshot):
                await self._turned.wait()
            return self._snapshot

    async def list_anew(self, revision: int) -> None:
        """Return once the whole state has been read again, at `revision` or later.

        For who cannot wait until a check heals what the watch may have lost.
        """
        lists = self.counters.lists
        self._to_heal = frozenset(self._snapshot.raw)
        while self.counters.lists == lists or self._snapshot.revision < revision:
            await self._listed.wait()

    async def wait_for_list(self) -> None:
        """Return once the whole state has been read, if it never was."""
        while not self.counters.lists:
            await self._listed.wait()

    async def digest(self) -> tuple[int, str]:
        """Return a number for all that the snapshot holds, after the revision at which it does."""
        return await digest_of(self._snapshot)

    # ---- following -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the store until cancelled; save a last time then."""
        self._start_from_disk()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_for_ever())
                tasks.create_task(self._check_for_ever())
                tasks.create_task(self._gauge_for_ever())
                if self._disk is not None:
                    tasks.create_task(self._save_for_ever(self._disk))
        finally:
            if self._disk is not None and self._snapshot.revision:
                self._disk.save(self._snapshot, self._clock.now())

    def _start_from_disk(self) -> None:
        if self._disk is None:
            return
        now = self._clock.now()
        copy = self._disk.load()
        if copy is None:
            return
        # Only the wall clock can tell how old a file of an earlier process is. For people: stale it
        # is.
        age_s = max((now.wall_ms - copy.saved_ms) / 1000, self._settings.stale_after_s + 1)
        self._proved_s = now.mono_s - age_s
        snapshot, deltas = replace(
            self._snapshot, copy.records, copy.revision, now.mono_s, now.wall_ms
        )
        log.info("mirror_starts_from_disk", revision=copy.revision, age_s=round(age_s, 1))
        self._turn(snapshot, deltas)

    async def _follow_for_ever(self) -> None:
        retry_s = self._settings.retry_s
        while True:
            lists = self.counters.lists
            is_well = await self._attempt("follow", self._follow)
            if is_well or self.counters.lists > lists:
                retry_s = self._settings.retry_s
            if not is_well:
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, self._settings.retry_max_s)

    async def _attempt(self, work_name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Do some work and say whether it ended well; whatever fails is logged and counted."""
        try:
            await work()
        except CompactedError as error:
            self.counters.compactions += 1
            log.warning("mirror_lists_again", reason=str(error))
        except (StateError, OSError) as error:
            self.counters.errors += 1
            log.warning("mirror_retries", work=work_name, reason=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - no fault of ours may leave an edge without it
            self.counters.errors += 1
            log.error("mirror_fault", **fault(error))  # noqa: TRY400 - its text stays out
            return False
        return True

    async def _follow(self) -> None:
        """List, then watch until that ends."""
        await self._list()
        await self._watch()

    async def _list(self) -> None:
        """Make the snapshot what the store says it is."""
        asked_s = self._clock.now().mono_s
        # Who asks for a new list from here on may need what this one does not have any more.
        to_heal, self._to_heal = self._to_heal, None
        made, revision = Replacing(self._snapshot), 0
        async with aclosing(pages(self._store, keys.STATE)) as found:
            async for page in found:
                revision = page.revision
                async for some in in_pieces(page.records):
                    at = self._clock.now()
                    made.take(some, at.mono_s, at.wall_ms)
        now = self._clock.now()
        snapshot, deltas = made.finish(revision)
        self.counters.lists += 1
        if self._recorder is not None:
            self._recorder.listed(snapshot, now)
        if to_heal:
            healed = to_heal & await differing(self._snapshot, made.listed, revision)
            self.counters.healed += len(healed)
            log.warning("mirror_healed", keys=len(healed), revision=revision)
        self._proved_s = asked_s
        self._lateness.is_over()
        self._listed_s = self._clock.now().mono_s
        self._relisting.took(self._listed_s - asked_s)
        # What cannot be read makes no delta, and the revision may be the same.
        if snapshot.raw is not self._snapshot.raw or snapshot.revision != self._snapshot.revision:
            self._turn(snapshot, deltas)
        listed, self._listed = self._listed, asyncio.Event()
        listed.set()

    async def _watch(self) -> None:
        """Follow the changes until the watch ends or a check asks for a new list."""
        async with aclosing(self._store.watch(keys.STATE, self._snapshot.revision + 1)) as batches:
            async for batch in batches:
                now = self._clock.now()
                self._proved_s = now.mono_s
                # A sign of life tells nothing of how late changes are: it may be as late itself.
                if batch.changes:
                    self._take(batch, now)
                if self._to_heal is not None:
                    return

    def _take(self, batch: WatchBatch, now: Now) -> None:
        self.counters.changes += len(batch.changes)
        snapshot, deltas = step(self._snapshot, batch.changes, batch.revision, now.mono_s)
        self._lateness.takes(batch.revision, now.mono_s)
        if self._recorder is not None:
            self._recorder.changed(snapshot, batch.changes, now)
        self._turn(snapshot, deltas)
        self._give_up_if_late(now.mono_s)

    def _give_up_if_late(self, now_s: float) -> None:
        """Ask for a listing instead of a watch that stays late."""
        may = self._to_heal is None and now_s - self._listed_s >= self._relisting.pause_s
        if may and self._lateness.stays(now_s):
            self.counters.late += 1
            log.warning("mirror_late", late_s=round(self._lateness.late_s, 1))
            self._to_heal = frozenset()

    async def _gauge_for_ever(self) -> None:
        """Ask the store again and again which revision it is at."""
        while True:
            await asyncio.sleep(self._settings.gauge_every_s)
            asked_at = self._snapshot.revision
            try:
                answer = await self._store.range(keys.STATE, limit=1, keys_only=True)
            except (StateError, OSError):
                continue  # whoever follows says so
            self._lateness.hears(answer.revision, self._clock.now().mono_s)
            if self.state is MirrorState.LIVE and self._to_heal is None:
                # A watch of one that went back lives, and tells nothing until it is so far again.
                self._believe(answer.revision, asked_at)

    def _believe(self, revision: int, asked_at: int) -> bool:
        """Ask for a new list of a store that went back, as from a backup; tell whether it did."""
        if revision >= asked_at:
            return False
        log.warning("mirror_ahead_of_store", revision=asked_at, store=revision)
        self._to_heal = frozenset(self._snapshot.raw)
        return True

    def _turn(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        """Let `snapshot` be the current one, and tell everybody."""
        for key, reason in snapshot.bad.items():
            if self._snapshot.bad.get(key) != reason:
                log.warning("record_unreadable", reason=reason)
        self._snapshot = snapshot
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()
        for listener in tuple(self._listeners):
            try:
                listener(snapshot, deltas)
            except Exception as error:  # noqa: BLE001 - the other listeners are to hear it too
                self.counters.listener_errors += 1
                log.error("mirror_listener_failed", **fault(error))  # noqa: TRY400 - likewise

    # ---- checking --------------------------------------------------------------------------------

    async def _check_for_ever(self) -> None:
        pace = Pace(self._settings.check_every_s)
        while True:
            await asyncio.sleep(pace.pause_s)
            began_s = self._clock.now().mono_s
            await self._attempt("check", self._check)
            pace.took(self._clock.now().mono_s - began_s)

    async def _check(self) -> None:
        """Compare with the store; ask for a new list if an event has been lost.

        A difference may be an event still on its way. It is a lost one if, a while later, the store
        still says the same of the key and the snapshot still something else.
        """
        if self.state is not MirrorState.LIVE:
            return
        asked_at = self._snapshot.revision
        first, revision = await listed_keys(self._store)
        self.counters.checks += 1
        if self._believe(revision, asked_at):
            return
        suspects = await differing(self._snapshot, first, revision)
        if not suspects:
            return
        await asyncio.sleep(self._settings.grace_s)
        second, revision = await listed_keys(self._store)
        lost = await differing(self._snapshot, second, revision) & suspects
        lost = {key for key in lost if first.get(key) == second.get(key)}
        if lost:
            log.warning("mirror_differs_from_store", keys=len(lost))
            self._to_heal = frozenset(lost)

    # ---- saving ----------------------------------------------------------------------------------

    async def _save_for_ever(self, disk: DiskCopy) -> None:
        pace = Pace(self._settings.save_every_s)
        while True:
            while self._snapshot.raw is self._saved:
                await self._turned.wait()
            began_s = self._clock.now().mono_s
            await self._attempt("save", lambda: self._save(disk))
            pace.took(self._clock.now().mono_s - began_s)
            await asyncio.sleep(pace.pause_s)

    async def _save(self, disk: DiskCopy) -> None:
        """Save the snapshot in a thread, which may read it while the loop goes on: it is frozen."""
        snapshot = self._snapshot
        saving = asyncio.create_task(asyncio.to_thread(disk.save, snapshot, self._clock.now()))
        try:
            is_saved = await asyncio.shield(saving)
        except asyncio.CancelledError:
            # The thread cannot be stopped, and two at one file would spoil it.
            await saving
            raise
        if is_saved:
            self._saved = snapshot.raw
        else:
            self.counters.save_errors += 1
