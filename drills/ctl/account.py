"""Who is signed in: tokens in the user's own folder, which nobody else can read.

A refresh token is good once, and using it again later ends the session: whoever refreshes holds the
file's lock meanwhile, so that two commands at once do not look like a thief.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from drills.cli.errors import CommandError, Exit
from state.codec import UNREADABLE


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in."""

    url: str
    tenant: str
    user: str
    access_token: str
    refresh_token: str
    until_s: float
    """When the access token ends, by this machine's clock."""
    ca: str = ""
    """A file with the certificate of an authority that vouches for it; empty: the machine's own."""


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, by the address of the control plane."""

    now: str = ""
    """Which one a command means that names none."""
    known: dict[str, Account] = {}


def folder() -> Path:
    """Return where this user's settings are."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "everline"


class Book:
    """The file of accounts."""

    def __init__(self, where: Path | None = None) -> None:
        self._folder = where or folder()
        self._file = self._folder / "ctl.json"

    def read(self) -> Accounts:
        """Return what it holds; nothing if there is none. Raise `CommandError`."""
        try:
            with self._named():
                return self._read()
        except UNREADABLE as error:
            raise CommandError(f"{self._file} is damaged ({error}): delete it, sign in") from error

    def find(self, url: str | None) -> Account:
        """Return the account for `url`, or the one that was signed in last."""
        accounts = self.read()
        found = accounts.known.get((url or accounts.now).rstrip("/"))
        if found is None:
            raise CommandError(
                "not signed in: ./everline ctl sign-in --url URL --login NAME", Exit.FAILED
            )
        return found

    def keep(self, account: Account) -> None:
        """Keep `account`, and mean it from now on."""
        accounts = self.read()
        self._write(Accounts(now=account.url, known={**accounts.known, account.url: account}))

    def drop(self, url: str) -> None:
        """Forget one."""
        accounts = self.read()
        known = {each: value for each, value in accounts.known.items() if each != url}
        self._write(Accounts(now="" if accounts.now == url else accounts.now, known=known))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other command from refreshing while entered."""
        with self._named():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._folder / "ctl.lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let what the machine refuses say where, and the way out."""
        try:
            yield
        except OSError as error:
            raise CommandError(
                f"tokens are kept in {self._folder}: {error.strerror}; make that folder yours, or"
                " let XDG_CONFIG_HOME name another one"
            ) from error

    def _read(self) -> Accounts:
        try:
            about = self._file.stat()
            if about.st_mode & 0o077 or about.st_uid != os.geteuid():
                raise CommandError(
                    f"others may read {self._file}, or it is not yours: delete it, sign in again"
                )
            return msgspec.json.decode(self._file.read_bytes(), type=Accounts)
        except FileNotFoundError:
            return Accounts()

    def _write(self, accounts: Accounts) -> None:
        with self._named():
            self._put(accounts)

    def _put(self, accounts: Accounts) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(f".{os.getpid()}")
        # Made as nobody else's to read, and only then filled.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(accounts)))
            new.replace(self._file)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
