"""The loop in which time passes only when nobody has anything to do."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.edge.virtual_time import play


def test_a_thread_that_is_still_at_work_at_the_end_is_waited_for() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.2)
        done.set()

    async def scene() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)
        begun.wait()

    play(scene())

    assert done.is_set()
