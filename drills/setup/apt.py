"""Drives apt-get as root: waits for its locks, shows its progress, says why it failed.

Everything it prints is kept in a log file, so that the terminal need not show it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from drills.setup import say
from drills.setup.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/apt/lists/lock"))
LISTS = Path("/var/lib/apt/lists")
DPKG_UPDATES = Path("/var/lib/dpkg/updates")
LOCK_PATIENCE_S = 900.0
LOCK_POLL_S = 0.5
LOG_LINES_SHOWN = 6

QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_SUSPEND": "1",  # it would restart services that use an upgraded library
    "APT_LISTCHANGES_FRONTEND": "none",
    "LC_ALL": "C.UTF-8",
}


def lock_holder(path: Path) -> int | None:
    """Return the pid that holds apt's lock file, or None if it is free (or not there)."""
    flock = struct.Struct("hhqqi")  # struct flock of 64-bit Linux: type whence start len pid
    try:
        with path.open("rb") as file:
            asked = flock.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = flock.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def wait_for_locks(locks: tuple[Path, ...] = LOCKS, patience_s: float = LOCK_PATIENCE_S) -> None:
    """Wait while another package manager is at work, and say who."""
    give_up = time.monotonic() + patience_s
    told = 0
    for lock in locks:
        while pid := lock_holder(lock):
            if pid != told:
                say.note(f"waiting for {_command(pid)} (process {pid}), which holds {lock}")
                told = pid
            if time.monotonic() > give_up:
                raise SetupError(
                    f"{_command(pid)} (process {pid}) has held {lock} for {patience_s:.0f} s; "
                    "let it finish or end it, then run this again"
                )
            time.sleep(LOCK_POLL_S)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a package manager"


class Apt:
    """One installation's apt: its environment, its log, its progress."""

    def __init__(self, log: Path, environment: Mapping[str, str], step: say.Step) -> None:
        self._log = log
        self._step = step
        self._env = {**os.environ, **QUIET, **environment}
        log.write_text("")

    def install(self, names: list[str]) -> None:
        """Install `names`, with fresh package lists if the old ones do not do."""
        self._mend()
        if not any(LISTS.glob("*_Packages*")):
            self._update()
        command = [
            *("apt-get", "install", "--yes", "--no-install-recommends", "--no-remove"),
            *("-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"),
            *("-o", "DPkg::Lock::Timeout=300", *names),
        ]
        if self._run(command) == 0:
            return
        self._update()
        if self._run(command) != 0:
            raise SetupError(
                f"apt-get could not install {' '.join(names)} (log: {self._log}):\n{self._tail()}"
            )

    def _update(self) -> None:
        """Fetch package lists. One dead repository of several must not stop us: install decides."""
        wait_for_locks()
        self._step.show(0.0, "package lists")
        if self._run(["apt-get", "update"]) != 0:
            say.note(f"apt-get update complained (log: {self._log}); trying with what it got")

    def _mend(self) -> None:
        """Finish what an interrupted dpkg left; apt refuses to work before that."""
        wait_for_locks()  # a dpkg at work looks like an interrupted one
        if DPKG_UPDATES.is_dir() and any(DPKG_UPDATES.iterdir()):
            say.note("an installation was interrupted: finishing it (dpkg --configure -a)")
            self._run(["dpkg", "--configure", "-a", "--force-confold"])

    def _run(self, command: list[str]) -> int:
        """Run with the log as output and apt's own progress shown; return the exit code.

        The child has its own session: Ctrl-C stops us, and we let dpkg finish its step.
        """
        wait_for_locks()
        reader, writer = os.pipe()
        shown = [*command, "-o", f"APT::Status-Fd={writer}"] if "apt-get" in command else command
        with self._log.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            child = subprocess.Popen(
                shown,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                start_new_session=True,
            )
        os.close(writer)
        try:
            self._follow(reader)
            return child.wait()
        finally:
            os.close(reader)
            if child.poll() is None:
                say.note("stopping as soon as dpkg can be left")
                child.send_signal(signal.SIGINT)  # apt takes it between two steps of dpkg
                child.wait()

    def _follow(self, reader: int) -> None:
        """Show `kind:what:percent:text` lines until the child closes its end."""
        halves = {"dlstatus": (0.0, 0.4), "pmstatus": (0.4, 0.6)}
        with os.fdopen(os.dup(reader), "r", errors="replace") as lines:
            for line in lines:
                kind, _, rest = line.partition(":")
                _, _, rest = rest.partition(":")
                percent, _, text = rest.partition(":")
                if kind in halves and percent:
                    start, width = halves[kind]
                    self._step.show(start + width * float(percent) / 100, text.strip())

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith(("E:", "dpkg:"))] or lines
        return "\n".join(f"  {line}" for line in errors[-LOG_LINES_SHOWN:])
