"""Finds the labs that are up, and asks one of them."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from drills.desk import path as places
from drills.desk.asks import Ask, Reply, replies
from drills.desk.errors import DeskError, NoLabError, RefusedError, SeveralLabsError
from drills.desk.path import within_reach
from state.codec import UNREADABLE

T = TypeVar("T")
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 15.0
CALL_TIMEOUT_S = 180.0
NONE_UP = "no sites are up: bring them up in another terminal by ./everline up"
_NAME = re.compile(r"(\d+)\.sock")


class LabRef(Struct, frozen=True, kw_only=True):
    """A lab that may be up."""

    launcher: int
    path: Path


def labs() -> list[LabRef]:
    """Return those who listen, the newest first."""
    found = []
    for path in places.SOCKETS.glob("*.sock"):
        name = _NAME.fullmatch(path.name)
        with contextlib.suppress(FileNotFoundError):  # it went down this moment
            if name is not None:
                found.append((path.stat().st_mtime_ns, LabRef(launcher=int(name[1]), path=path)))
    return [lab for _, lab in sorted(found, key=lambda pair: -pair[0])]


class Line:
    """A connection to a lab."""

    def __init__(self, lab: LabRef, connected: socket.socket, others: tuple[int, ...]) -> None:
        self.lab = lab
        self.others = others
        """Further labs that are up, the newest first."""
        self._socket = connected
        self._file: IO[bytes] = connected.makefile("rb")

    def ask(self, ask: Ask, kind: type[T], *, timeout_s: float = ANSWER_TIMEOUT_S) -> T:
        """Return the answer; RefusedError when the lab says why there is none."""
        self._say(ask, timeout_s)
        reply = self._hear(timeout_s)
        try:
            return msgspec.json.decode(reply.ok, type=kind)
        except UNREADABLE as error:
            raise self._strange() from error

    def follow(self, ask: Ask, *, timeout_s: float = CALL_TIMEOUT_S) -> Iterator[bytes]:
        """Ask, and yield what is told until there is no more to tell."""
        self._say(ask, timeout_s)
        while True:
            reply = self._hear(timeout_s)
            if reply.is_end:
                return
            yield bytes(reply.ok)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _say(self, ask: Ask, timeout_s: float) -> None:
        self._socket.settimeout(timeout_s)
        try:
            self._socket.sendall(msgspec.json.encode(ask) + b"\n")
        except OSError as error:
            raise self._gone() from error

    def _hear(self, timeout_s: float) -> Reply:
        try:
            line = self._file.readline()
        except TimeoutError as error:
            raise DeskError(
                f"lab {self.lab.launcher} has not answered within {timeout_s:g} s"
            ) from error
        except OSError as error:
            raise self._gone() from error
        if not line:
            raise self._gone()
        try:
            reply = replies.decode(line)
        except UNREADABLE as error:
            raise self._strange() from error
        if reply.error:
            raise RefusedError(reply.error)
        return reply

    def _strange(self) -> DeskError:
        return DeskError(
            f"lab {self.lab.launcher} speaks another version of Everline: bring it up anew"
        )

    def _gone(self) -> NoLabError:
        return NoLabError(f"lab {self.lab.launcher} has gone down")


@contextlib.contextmanager
def connected(launcher: int | None = None) -> Iterator[Line]:
    """Connect to the lab of that launcher; None: to the newest. NoLabError when there is none.

    Sockets on which nobody listens any more are cleared away.
    """
    up: dict[LabRef, socket.socket] = {}
    refusals = []
    with contextlib.ExitStack() as stack:
        for lab in labs():
            answer = _connect(lab)
            if isinstance(answer, str):
                refusals.append(answer)
            elif answer is not None:
                up[lab] = stack.enter_context(answer)
        chosen = next((lab for lab in up if launcher in {None, lab.launcher}), None)
        if chosen is None:
            raise NoLabError(_none(launcher, [lab.launcher for lab in up], refusals))
        others = tuple(lab.launcher for lab in up if lab != chosen)
        line = Line(chosen, up[chosen], others)
        stack.callback(line.close)
        yield line


class OneLab:
    """One lab and no other, however many come up: the one that is named, or the only one.

    Which is settled by the first question; all who are to speak of the same lab share this.
    """

    def __init__(self, launcher: int | None = None) -> None:
        self.launcher = launcher
        """None: nobody has asked yet, and none is named."""

    @contextlib.contextmanager
    def connected(self) -> Iterator[Line]:
        """Connect to it. SeveralLabsError where several are up of which it may be any."""
        with connected(self.launcher) as line:
            if self.launcher is None and line.others:
                up = ", ".join(map(str, sorted((line.lab.launcher, *line.others))))
                raise SeveralLabsError(f"several labs are up ({up}): say which by --lab NUMBER")
            self.launcher = line.lab.launcher
            yield line


def _connect(lab: LabRef) -> socket.socket | str | None:
    """Return a connection; None when nobody listens; or why we may not."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(CONNECT_TIMEOUT_S)
    try:
        with within_reach(lab.path) as short:
            line.connect(short)
    except PermissionError:
        line.close()
        return f"lab {lab.launcher} belongs to another user: ask it as that user or by sudo"
    except (ConnectionRefusedError, FileNotFoundError):
        line.close()
        with contextlib.suppress(OSError):
            lab.path.unlink(missing_ok=True)
            places.password_path(lab.launcher).unlink(missing_ok=True)
        return None
    except OSError as error:
        line.close()
        return f"lab {lab.launcher} does not take our call ({error.strerror or 'timed out'})"
    return line


def _none(launcher: int | None, up: list[int], refusals: list[str]) -> str:
    if up:
        return f"no lab {launcher} is up; up: {', '.join(map(str, up))}"
    return "; ".join(refusals) or NONE_UP
