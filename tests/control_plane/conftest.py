"""A control plane on SQLite (hermetic) and on a real PostgreSQL (`parts`): tests run on both."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.control_plane.begun import begin
from tests.control_plane.center import Center, running, settings
from tests.control_plane.databases import BOTH, begun
from tests.control_plane.postgresql import Server


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


@pytest.fixture(scope="session")
def begun_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file to copy; see `begun`."""
    file = tmp_path_factory.mktemp("begun") / "everline.db"
    begin(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def begun_postgresql(postgresql: Server) -> str:
    """Return the name of a database to copy; see `begun`."""
    name = postgresql.create()
    begin(postgresql.url(name))
    return name


@pytest.fixture
def begun_file(begun_sqlite: Path, tmp_path: Path) -> str:
    """Return the URL of a SQLite database that holds its first administrator."""
    shutil.copyfile(begun_sqlite, tmp_path / "everline.db")
    return f"sqlite:///{tmp_path / 'everline.db'}"


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database that holds its first administrator, and else nothing."""
    return begun(request)


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'everline.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.url(server.create())


@pytest.fixture
async def center(database_url: str) -> AsyncIterator[Center]:
    """Serve on a database that holds its first administrator."""
    with tempfile.TemporaryDirectory(prefix="everline-", ignore_cleanup_errors=True) as folder:
        async with running(settings(Path(folder), database_url)) as made:
            yield made
