"""Programs of a drill: their end, and being stopped."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from drills.demo.programs import Program, Task


async def test_a_program_that_somebody_has_waited_for_in_vain_can_still_be_stopped(
    tmp_path: Path,
) -> None:
    task = Task(name="sleeper", host=None, argv=("sleep", "60"), cwd=tmp_path, log=tmp_path / "log")
    program = await Program.start(task)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await program.ended()
    await program.stop()
    assert await program.ended() == -signal.SIGTERM
    assert program.is_over
