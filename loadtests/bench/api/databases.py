"""The two databases, filled once and kept under .everline/ for the next run.

A stock that was not finished has no mark, and is made anew.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from control_plane.passwords import hash_password
from drills.cli.progress import progress
from drills.lab.enter import Ground, inside
from loadtests.bench.api import stock
from loadtests.bench.api.plane import PASSWORD
from loadtests.bench.api.stock import Dialect
from loadtests.bench.errors import BenchError
from loadtests.bench.servers import PROJECT

KEPT: Final = PROJECT / ".everline" / "bench-api"
PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OWNER: Final = "postgres"
NAME: Final = "everline"
READY_S: Final = 60.0
Migrate = Callable[[str], Awaitable[None]]
"""Takes a database's URL; brings its schema into being."""


class Stock:
    """Where one database stands, and whether it is filled."""

    def __init__(self, dialect: Dialect, customers: int, version: str) -> None:
        self.dialect = dialect
        self.customers = customers
        self.folder = KEPT / f"{dialect}-{customers}-{version}"
        self._mark = self.folder / "filled"

    @property
    def is_filled(self) -> bool:
        """Whether nothing has to be done."""
        return self._mark.exists()

    def begin(self) -> None:
        """Make room: stocks of other versions go, and what was begun and not finished."""
        for other in KEPT.glob(f"{self.dialect}-{self.customers}-*"):
            if other != self.folder or not self.is_filled:
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)

    def end(self) -> None:
        """Mark it as filled."""
        self._mark.touch()


def sqlite_url(kept: Stock) -> str:
    """Return where the file is."""
    return f"sqlite:///{kept.folder / 'everline.db'}"


async def fill_sqlite(kept: Stock, migrate: Migrate) -> None:
    """Fill the file, unless it is."""
    if kept.is_filled:
        return
    kept.begin()
    await migrate(sqlite_url(kept))
    with sqlite3.connect(kept.folder / "everline.db") as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        for statement in stock.names(kept.dialect):
            connection.execute(statement)
        for statement, values in stock.people(hash_password(PASSWORD)):
            connection.execute(statement, values)
        for statements in _chunks(kept):
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        connection.execute("ANALYZE")
    connection.close()
    kept.end()


async def fill_postgresql(kept: Stock, server: Postgresql, migrate: Migrate) -> None:
    """Fill the server's database, unless it is."""
    if kept.is_filled:
        return
    with server.connect(OWNER) as connection:
        connection.execute(f"CREATE DATABASE {NAME}")
    await migrate(server.url)
    with server.connect(NAME) as connection:
        for made in stock.names(kept.dialect):
            connection.execute(made.encode())
        for statement, values in stock.people(hash_password(PASSWORD)):
            connection.execute(statement.replace("?", "%s").encode(), values)
        for statements in _chunks(kept):
            for each in statements:
                connection.execute(each.encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    kept.end()


def _chunks(kept: Stock) -> Iterator[list[str]]:
    title = f"{kept.customers:,} customers into {kept.dialect}"
    with progress(title, total=kept.customers) as task:
        for start in range(0, kept.customers, stock.CHUNK):
            end = min(start + stock.CHUNK, kept.customers)
            yield stock.customers(kept.dialect, start, end)
            task.advance(by=end - start)


class Postgresql:
    """One server on a Unix socket; it refuses to run as root, so root runs it as its owner."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL of the benchmark's database."""
        return f"postgresql://{OWNER}@/{NAME}?host={quote(str(self._home))}"

    def connect(self, name: str) -> psycopg.Connection:
        """Connect as its superuser."""
        return psycopg.connect(host=str(self._home), dbname=name, user=OWNER, autocommit=True)

    def start(self, *options: str) -> None:
        """Make the cluster if there is none, start it, and wait until it answers."""
        if not (self._home / "data").exists():
            self._run("initdb", "-D", f"{self._home}/data", "-A", "trust", "-U", OWNER, "--no-sync")
        words = [f"-D{self._home}/data", f"-k{self._home}", "-clisten_addresses="]
        words += [
            "-cshared_buffers=256MB",
            "-cmax_wal_size=4GB",
            *(f"-c{each}" for each in options),
        ]
        with (self._home / "log").open("wb") as log:
            self._process = self._popen("postgres", words, log.fileno())
        end = time.monotonic() + READY_S
        while True:
            try:
                self.connect(OWNER).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > end or self._process.poll() is not None:
                    said = (self._home / "log").read_text()[-800:]
                    raise BenchError(f"PostgreSQL does not start: {said}") from error
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """End it in order: what it holds is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(READY_S)
            self._process = None

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid if self._process else 0

    def _run(self, program: str, *words: str) -> None:
        process = self._popen(program, list(words), subprocess.DEVNULL)
        if process.wait() != 0:
            raise BenchError(f"{program} failed with {process.returncode} in {self._home}")

    def _popen(self, program: str, words: list[str], sink: int) -> subprocess.Popen[bytes]:
        if not PROGRAMS:
            raise BenchError("PostgreSQL is not installed: ./everline setup installs it")
        command = [str(PROGRAMS[-1] / program), *words]
        if inside() is Ground.USER:
            # We look like root here and are none; in there it looks like anybody else.
            command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]
            return subprocess.Popen(command, stdout=sink, stderr=sink, cwd="/")  # noqa: S603
        return subprocess.Popen(  # noqa: S603 - Debian's own program
            command, stdout=sink, stderr=sink, cwd="/", user=OWNER, group=OWNER
        )


@asynccontextmanager
async def postgresql(kept: Stock, migrate: Migrate) -> AsyncIterator[Postgresql]:
    """Run a filled server while entered."""
    kept.begin()
    server = Postgresql(_reachable(kept.folder))
    try:
        if not kept.is_filled:
            server.start("fsync=off", "full_page_writes=off", "synchronous_commit=off")
            await fill_postgresql(kept, server, migrate)
            server.stop()
        server.start()
        yield server
    finally:
        server.stop()


def _reachable(folder: Path) -> Path:
    """Return a path to `folder` that the server's owner can walk: the checkout may be anywhere.

    The mount is of our namespaces and goes with them.
    """
    home = Path("/run/postgresql-bench")
    home.mkdir()
    subprocess.run(("mount", "--bind", str(folder), str(home)), check=True)  # noqa: S603, S607 - ours
    if inside() is Ground.ROOT:
        owner = pwd.getpwnam(OWNER)
        os.chown(home, owner.pw_uid, owner.pw_gid)
    return home
