"""What is sealed comes onto the disk soon, and nothing is flushed where nothing was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from custody.disk import settle, write_whole
from edge.recorder.settling import Settler


class Disk:
    """Counts flushes; fails when told to."""

    def __init__(self) -> None:
        self.flushes = 0
        self.is_broken = False
        self.flushed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def settle(self, _: Path) -> None:
        """Take what was written."""
        self.flushes += 1
        self._loop.call_soon_threadsafe(self.flushed.set)
        if self.is_broken:
            raise OSError(5, "Input/output error")

    async def wait(self) -> None:
        """Wait for the next flush."""
        async with asyncio.timeout(30):
            await self.flushed.wait()
        self.flushed.clear()


@asynccontextmanager
async def settling(disk: Disk) -> AsyncIterator[Settler]:
    settler = Settler(Path("/spool"), period_s=0.001, settle=disk.settle)
    task = asyncio.create_task(settler.run())
    try:
        yield settler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_was_written_is_flushed_once_and_again_when_more_comes() -> None:
    disk = Disk()
    async with settling(disk) as settler:
        settler.mark()
        await disk.wait()
        assert disk.flushes == 1
        settler.mark()
        await disk.wait()
    assert disk.flushes == 2
    assert settler.slowest_s > 0


async def test_a_disk_that_fails_is_asked_again_with_the_next_second() -> None:
    disk = Disk()
    disk.is_broken = True
    async with settling(disk) as settler:
        settler.mark()
        await disk.wait()
        settler.mark()
        await disk.wait()
    assert disk.flushes == 2


def test_a_folder_settles_and_what_is_none_does_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"content")
    settle(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError):
        settle(tmp_path / "none")
