"""Calls that cannot be looked up in time: each is told of, and none is kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.db.database import Database
from control_plane.permissions import Role
from control_plane.recording_keys.store import RecordingKeys
from control_plane.recordings import caller_keys
from control_plane.recordings.caller_keys import CallerKeys
from custody.keyring import Keyring
from custody.providers import LocalFile
from state.model import SiteId
from tests.control_plane.live.conftest import scene
from tests.control_plane.live.one_database import database_url
from tests.control_plane.live.stage import ANNA_CALLS, Scene, call_id, eventually

__all__ = ["database_url", "scene"]


class Stuck(Database):
    """A database that answers when it is let, and notes what it was asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine, database.readers)
        self.may_answer = asyncio.Event()
        self.is_asked = asyncio.Event()
        self.asked = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Answer, when it may."""
        self.asked += 1
        self.is_asked.set()
        await self.may_answer.wait()
        async with super().read() as connection:
            yield connection


@asynccontextmanager
async def following(scene: Scene, folder: Path) -> AsyncIterator[tuple[CallerKeys, Stuck]]:
    """Look callers up while entered, in a database that is stuck."""
    stuck = Stuck(scene.center.services.database)
    texts = {name: LocalFile(name.encode() * 32).recipient().text for name in "ab"}
    keys = RecordingKeys(Database.open(f"sqlite+aiosqlite:///{folder / 'recording.db'}"), texts)
    await keys.start()
    made = CallerKeys(
        site=SiteId("a"),
        run=folder,
        mirror=scene.mirror,
        database=stuck,
        keys=keys,
        ring=Keyring(folder / "ring"),
        clock=scene.clock,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made, stuck
    finally:
        task.cancel()
        await asyncio.wait({task})
        await keys.database.close()


def not_told(logs: list[Any]) -> list[tuple[str, str]]:
    return [
        (each["call"], each["because"]) for each in logs if each["event"] == "caller_key_not_told"
    ]


async def test_more_calls_than_can_be_looked_up_are_told_of_and_the_newest_are_kept(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_keys, "WAITING", 3)
    async with following(scene, tmp_path) as (looking, stuck):
        await scene.arrive(1)
        await stuck.is_asked.wait()
        with structlog.testing.capture_logs() as logs:
            for number in range(2, 8):
                await scene.arrive(number)
        assert not_told(logs) == [(call_id(each), "too_many_wait") for each in (2, 3, 4)]
        assert looking.count == 3
        stuck.may_answer.set()

        async def has_looked() -> bool:
            return stuck.asked == 4

        await eventually(has_looked, "the others were looked up")
        assert looking.count == 0


async def test_who_has_left_before_their_turn_is_not_looked_up(
    scene: Scene, tmp_path: Path
) -> None:
    async with following(scene, tmp_path) as (looking, stuck):
        for number in (1, 2, 3):
            await scene.arrive(number)
        await stuck.is_asked.wait()
        with structlog.testing.capture_logs() as logs:
            await scene.end(2)
        assert not_told(logs) == [(call_id(2), "call_over")]
        assert looking.count == 1


async def test_a_recorder_that_does_not_take_a_key_is_told_of(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_keys, "RETRY_S", 0.0)
    manager = await scene.center.person(Role.MANAGER)
    await manager.post("/v1/customers", {"name": "Anna", "numbers": [ANNA_CALLS]})
    with structlog.testing.capture_logs() as logs:
        async with following(scene, tmp_path) as (_, stuck):  # no socket is there
            stuck.may_answer.set()
            await scene.arrive(1)

            async def is_told_of() -> bool:
                return bool(not_told(logs))

            await eventually(is_told_of, "it is in the log")
    assert not_told(logs) == [(call_id(1), "recorder")]
