"""A database as a control plane leaves it after its first start: made once, copied for each test.

To apply every migration and to hash the first password takes longer than many a test.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from control_plane import first
from control_plane.db.database import Database
from control_plane.db.migrate import migrate
from state.clock import ManualClock
from tests.control_plane.center import settings


def begin(url: str) -> None:
    """Bring the empty database at `url` to that point."""
    with ThreadPoolExecutor(1) as other:  # this thread may have an event loop of its own
        other.submit(asyncio.run, _begin(url)).result()


async def _begin(url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        made = settings(Path(folder), url)
        assert made.first_password is not None
        database = Database.open(made.database)
        try:
            await migrate(database)
            now_ms = ManualClock().now().wall_ms
            await first.ensure(database, made.first_password, now_ms=now_ms, site=made.site)
        finally:
            await database.close()
