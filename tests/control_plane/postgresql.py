"""A real PostgreSQL of the tests' own: Debian's programs, a Unix socket, a directory that goes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OWNER = "postgres"
READY_S = 30.0


class Server:
    """One server. PostgreSQL refuses to run as root, so root runs it as `postgres`."""

    def __init__(self, home: Path, port: int = 5432, *options: str) -> None:
        if not PROGRAMS:
            raise RuntimeError("PostgreSQL is not installed: ./everline setup installs it")
        self.home = home
        self.port = port
        self._bin = PROGRAMS[-1]
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def start(self) -> None:
        """Make the cluster if there is none yet, start it and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        data = self.home / "data"
        if os.getuid() == 0:
            for folder in (self.home, *self.home.parents):
                if folder == Path("/tmp"):  # noqa: S108 - the way to it has to be open to the owner
                    break
                folder.chmod(folder.stat().st_mode | 0o011)
            owner = pwd.getpwnam(OWNER)
            os.chown(self.home, owner.pw_uid, owner.pw_gid)
        if not data.exists():
            self._run("initdb", "-D", str(data), "-A", "trust", "-U", OWNER, "--no-sync", "-N")
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(str(self._bin / "postgres"), "-D", str(data), "-k", str(self.home)),
                    *("-p", str(self.port), "-c", "fsync=off", "-c", "full_page_writes=off"),
                    *("-c", "max_connections=200", "-c", "shared_buffers=32MB"),
                    *(self._options or ("-c", "listen_addresses=")),
                ],
                stderr=log,
                cwd="/",
                user=_RUN_AS,
                group=_RUN_AS,
            )
        self._wait()

    def create(self, like: str = "template1") -> str:
        """Make a database, empty or a copy of one that nobody is connected to; return its name."""
        self._made += 1
        name = f"everline_{self._made}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return name

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{OWNER}@/{name}?host={quote(str(self.home))}&port={self.port}"

    def connect(self, name: str = OWNER) -> psycopg.Connection:
        """Connect as its superuser."""
        return psycopg.connect(
            host=str(self.home), port=self.port, dbname=name, user=OWNER, autocommit=True
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is its fast shutdown, SIGQUIT a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_S)
            self._process = None

    def remove(self) -> None:
        """End it and delete all it had: there is nothing to write down first."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.home, ignore_errors=True)

    def _wait(self) -> None:
        end = time.monotonic() + READY_S
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError as error:
                if time.monotonic() > end or (self._process and self._process.poll() is not None):
                    log = (self.home / "log").read_text()
                    raise RuntimeError(f"PostgreSQL does not start: {log[-800:]}") from error
                time.sleep(0.05)
            else:
                return

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            user=_RUN_AS,
            group=_RUN_AS,
        )


_RUN_AS = OWNER if os.getuid() == 0 else None
