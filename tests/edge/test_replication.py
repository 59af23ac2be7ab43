"""What recordings a site alone has: asked of its recorder, kept in the shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from edge.commands import CommandPort
from edge.duties.replication import SILENT_S, ReplicationWatch
from state import keys
from state.clock import ManualClock
from state.memory import MemoryStore
from state.model import EdgeId, SiteId, Unreplicated
from state.raw import Change
from state.snapshot import Snapshot, apply

SITE = SiteId("a")
KEY = keys.unreplicated(SITE)


class Stage:
    """One edge that asks a recorder, which says what a test lets it say."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.store = ManualClock(), MemoryStore(ManualClock())
        self.socket = folder / "recorder.sock"
        self.told: Mapping[str, object] = {"replicates": True}
        self.recorder = CommandPort(self.socket, {"unreplicated": self._tell})
        self.snapshot = Snapshot()
        self.watch = ReplicationWatch(
            recorder=self.socket,
            clock=self.clock,
            store=self.store,
            edge=EdgeId("a1"),
            site=SITE,
            snapshot=lambda: self.snapshot,
        )

    async def _tell(self, _: Mapping[str, object]) -> Mapping[str, object]:
        return self.told

    async def look(self) -> Unreplicated | None:
        """Let the edge look once; return what stands in the shared state then."""
        await self.watch.look()
        found = await self.store.range(KEY)
        changes = [
            Change(
                key=each.key,
                value=each.value,
                create_revision=each.create_revision,
                mod_revision=each.mod_revision,
            )
            for each in found.records
        ]
        self.snapshot = apply(self.snapshot, changes, found.revision, 0.0)
        entry = self.snapshot.unreplicated.get(SITE)
        return None if entry is None else entry.value


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.recorder.start()
    yield stage
    await stage.recorder.close()


async def test_what_the_recorder_says_stands_there_and_is_written_when_it_changes(
    stage: Stage,
) -> None:
    stage.told = {"replicates": True, "recordings": 2, "recorded_s": 31, "under_way": 1}
    told = await stage.look()
    assert told is not None
    assert (told.recordings, told.recorded_s, told.under_way, told.is_late) == (2, 31, 1, False)
    revision = stage.snapshot.revision
    await stage.look()
    assert stage.snapshot.revision == revision, "nothing new, nothing written"
    stage.told = {"replicates": True}
    told = await stage.look()
    assert told is not None
    assert told.recordings == 0


async def test_a_recorder_that_is_silent_for_long_may_have_copied_nothing(stage: Stage) -> None:
    stage.told = {"replicates": True, "recordings": 2, "recorded_s": 31}
    told = await stage.look()
    await stage.recorder.close()
    assert await stage.look() == told, "it may have been started anew"
    stage.clock.advance(SILENT_S)
    late = await stage.look()
    assert late is not None
    assert (late.recordings, late.recorded_s, late.is_late) == (2, 31, True)
    await stage.recorder.start()
    assert await stage.look() == told


async def test_of_a_site_that_copies_nothing_nothing_is_said(stage: Stage) -> None:
    stage.told = {"replicates": False}
    assert await stage.look() is None
