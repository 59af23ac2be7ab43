"""Carries the newest version into the shared state, and tells how far it has come.

Every control plane does it, whoever made the version: the store lets the newest one win. What has
failed is tried again for as long as a newer version is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import structlog
from msgspec.structs import replace

from control_plane.configuration.book import Book, Newest
from control_plane.configuration.document import taken_from
from control_plane.configuration.schemas import EdgeApplied, Publication
from control_plane.db.database import Database
from control_plane.errors import DatabaseUnavailableError
from state import keys
from state.clock import Clock
from state.configuration import SECTIONS, Configuration
from state.errors import StateError
from state.listing import Listing
from state.mirror import Mirror, MirrorState
from state.model import MAIN, Release
from state.publishing import Encoded, SupersededError, publish
from state.snapshot import Snapshot, version_of
from state.store import Store

log = structlog.get_logger()

LOOK_S: Final = 1.0
"""How often another instance's version, or a store that was away, is looked for."""
FIRST_LIST_S: Final = 5.0
"""How long the first list of the shared state is waited for, before anything is said."""
COMMIT_S: Final = 1.0
"""So long after a version was announced it is looked for eagerly: its transaction is ending."""
APPLIED_S: Final = 2.0
"""Within this every edge goes by a version, or the answer says which one does not."""


class Publisher:
    """Publishes, and watches the edges follow."""

    def __init__(
        self, *, store: Store, mirror: Mirror, database: Database, book: Book, clock: Clock
    ) -> None:
        self._store = store
        self._mirror = mirror
        self._database = database
        self._book = book
        self._clock = clock
        self._woken = asyncio.Event()
        self._expected = 0
        self._is_forced = False
        self._encoded = Encoded()
        self.problem = ""

    def expect(self, number: int) -> None:
        """Look for this version now: its transaction is about to end."""
        self._expected = max(self._expected, number)
        self._woken.set()

    def force(self) -> None:
        """Publish although a file was published meanwhile."""
        self._is_forced = True
        self._woken.set()

    async def run(self) -> None:
        """Publish for ever."""
        with contextlib.suppress(TimeoutError):
            await self._mirror.wait_until(lambda snapshot: snapshot.revision > 0, FIRST_LIST_S)
        while True:
            try:
                await self._look()
            except (StateError, DatabaseUnavailableError) as error:
                self._say(f"{type(error).__name__}: {error}")
            await self._pause()

    async def wait(self, number: int, wait_s: float) -> Publication:
        """Return how far a version has come, at once or when it is everywhere."""
        with contextlib.suppress(TimeoutError):
            await self._mirror.wait_until(
                lambda snapshot: publication(snapshot, number).is_everywhere, wait_s
            )
        told = publication(self._mirror.snapshot, number)
        return told if told.is_everywhere else told.model_copy(update={"problem": self.problem})

    async def _look(self) -> None:
        if self._mirror.state is not MirrorState.LIVE:
            self._say("the shared state cannot be reached from here")
            return
        async with self._database.read() as connection:
            newest = await self._book.newest(connection)
        if newest.version is None:
            await self._adopt(self._mirror.snapshot)
        elif because := self._held_back(newest, self._mirror.snapshot):
            self._say(because)
        else:
            await self._publish(newest)

    def _held_back(self, newest: Newest, snapshot: Snapshot) -> str:
        if newest.checked.errors:
            return f"version {newest.number} does not pass the checks of this program"
        if snapshot.releases or self._is_forced or not _has_configuration(snapshot):
            return ""
        return "a file was published meanwhile: publish the version again, or adopt the file"

    async def _publish(self, newest: Newest) -> None:
        number = newest.number
        released = self._mirror.snapshot.releases.get("current")
        if released is not None and released.value == Release(version=number):
            self._say("")
            return
        whole = replace(newest.checked.configuration, release=Release(version=number))
        try:
            seen = seen_in(self._mirror.snapshot)
            done = await publish(self._store, whole, seen, self._encoded)
        except SupersededError as error:
            self._say(str(error))
            return
        self._is_forced = False
        self._say("")
        log.info("configuration_published", version=number, written=done.written)

    async def _adopt(self, snapshot: Snapshot) -> None:
        """Make the first version of what a file has published."""
        if not _has_configuration(snapshot):
            return
        async with self._database.write() as connection:
            number = await self._book.adopt(
                connection,
                taken_from(configuration_in(snapshot)),
                now_ms=self._clock.now().wall_ms,
                tenant=MAIN,
            )
        if number is not None:
            log.info("configuration_adopted", version=number)
            self.force()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        await self._until_committed()

    async def _until_committed(self) -> None:
        with contextlib.suppress(TimeoutError, DatabaseUnavailableError):
            async with asyncio.timeout(COMMIT_S):
                while True:
                    committed = self._database.next_commit()
                    async with self._database.read() as connection:
                        newest = await self._book.newest(connection)
                    if newest.number >= self._expected:
                        return
                    await asyncio.wait((committed,))
        self._expected = 0

    def _say(self, problem: str) -> None:
        if problem != self.problem and problem:
            log.warning("configuration_not_published", because=problem)
        self.problem = problem


def publication(snapshot: Snapshot, number: int) -> Publication:
    """PURE. Return how far a version has come."""
    edges = tuple(
        EdgeApplied(edge=life.value.edge, site=life.value.site, applied=life.value.applied)
        for _, life in sorted(snapshot.edges.items())
    )
    missing = tuple(each.edge for each in edges if each.applied < number)
    stands = version_of(snapshot) or 0
    return Publication(
        version=number,
        stands=stands,
        is_everywhere=stands >= number and not missing,
        edges=edges,
        missing=missing,
    )


def configuration_in(snapshot: Snapshot) -> Configuration:
    """PURE. Return what a snapshot says, as a file would."""
    found: dict[str, Any] = {
        name: tuple(entry.value for _, entry in sorted(getattr(snapshot, name).items()))
        for name in SECTIONS
    }
    return Configuration(**found)


def seen_in(snapshot: Snapshot) -> Listing:
    """PURE. Return what stands of the configuration, as a listing of the store would."""
    records = (each for key, each in snapshot.raw.items() if key.startswith(keys.CONFIG))
    return Listing(records=tuple(records), revision=snapshot.revision)


def _has_configuration(snapshot: Snapshot) -> bool:
    return any(key.startswith(keys.CONFIG) and key != keys.release() for key in snapshot.raw)
