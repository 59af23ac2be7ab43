"""The two databases, loaded by each run, or copied from what an earlier one has kept."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from msgspec import Struct

from control_plane.passwords import hash_password
from drills.cli.progress import progress
from drills.lab.enter import Ground, inside
from loadtests.bench.api import kept, stock
from loadtests.bench.api.plane import PASSWORD
from loadtests.bench.api.stock import Dialect
from loadtests.bench.errors import BenchError

PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OWNER: Final = "postgres"
NAME: Final = "everline"
READY_S: Final = 60.0
Migrate = Callable[[str], Awaitable[None]]
"""Takes a database's URL; brings its schema into being."""


class Stock(Struct, frozen=True, kw_only=True):
    """Where one database stands, and for how many customers it is."""

    dialect: Dialect
    customers: int
    folder: Path


@contextmanager
def stock_of(dialect: Dialect, customers: int) -> Iterator[Stock]:
    """Make room on the disk while entered; the next run takes what a killed one has left."""
    folder = kept.ROOM / dialect
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield Stock(dialect=dialect, customers=customers, folder=folder)
    finally:
        shutil.rmtree(folder)
        with suppress(OSError):
            kept.ROOM.rmdir()


@asynccontextmanager
async def filled(made: Stock, migrate: Migrate, *, is_kept: bool = False) -> AsyncIterator[str]:
    """Fill a database, or copy one; serve it while entered, at the URL that is given.

    `is_kept`: what was filled is kept for the runs to come.
    """
    place = kept.place(made.dialect, made.customers)
    if place.exists():
        kept.copy(place / "data", made.folder / "data")
        await asyncio.to_thread(os.sync)  # else the disk writes gigabytes while we measure
    if made.dialect is Dialect.SQLITE:
        file = made.folder / "data" / "everline.db"
        url = f"sqlite:///{file}"
        if not place.exists():
            file.parent.mkdir()
            await migrate(url)
            _fill_sqlite(made, file)
            _keep(made, place, is_kept=is_kept)
        yield url
        return
    server = Postgresql(_reachable(made.folder))
    try:
        if not place.exists():
            server.start(
                "fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_recycle=off"
            )
            await _fill_postgresql(made, server, migrate)
            server.stop()
            _keep(made, place, is_kept=is_kept)
        server.start()
        yield server.url
    finally:
        server.stop()


def _keep(made: Stock, place: Path, *, is_kept: bool) -> None:
    if is_kept:
        with progress(f"keeping {made.dialect} for the next run"):
            kept.save(made.folder, place)


def _fill_sqlite(made: Stock, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        for statement in stock.names(made.dialect):
            connection.execute(statement)
        for statement, values in stock.people(hash_password(PASSWORD)):
            connection.execute(statement, values)
        for statements in _chunks(made):
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        connection.execute("ANALYZE")
        connection.commit()


async def _fill_postgresql(made: Stock, server: Postgresql, migrate: Migrate) -> None:
    with server.connect(OWNER) as connection:
        connection.execute(f"CREATE DATABASE {NAME}")
    await migrate(server.url)
    with server.connect(NAME) as connection:
        for each in stock.names(made.dialect):
            connection.execute(each.encode())
        for statement, values in stock.people(hash_password(PASSWORD)):
            connection.execute(statement.replace("?", "%s").encode(), values)
        for statements in _chunks(made):
            for each in statements:
                connection.execute(each.encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _chunks(made: Stock) -> Iterator[list[str]]:
    title = f"{made.customers:,} customers into {made.dialect}"
    with progress(title, total=made.customers) as task:
        for start in range(0, made.customers, stock.CHUNK):
            end = min(start + stock.CHUNK, made.customers)
            yield stock.customers(made.dialect, start, end)
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
