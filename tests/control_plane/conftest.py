"""A control plane on SQLite (hermetic) and on a real PostgreSQL (`parts`): tests run on both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.control_plane.center import Center, running, settings
from tests.control_plane.postgresql import Server

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.parts))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Start a server once."""
    home = Path(tempfile.mkdtemp(prefix=f"everline-pg-{os.getpid()}-", dir="/tmp"))
    server = Server(home)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'everline.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.create()


@pytest.fixture
async def center(database_url: str) -> AsyncIterator[Center]:
    """Serve on an empty database with its first administrator."""
    with tempfile.TemporaryDirectory(prefix="everline-") as folder:
        async with running(settings(Path(folder), database_url)) as made:
            yield made
