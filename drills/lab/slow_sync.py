"""Starts a program whose writing to disk (fsync, fdatasync) can be made slow, and nothing else.

    python -m drills.lab.slow_sync FILE -- PROGRAM ARGUMENT...

FILE says by how many milliseconds; it may change at any time. The program takes this process's
place. A child of it, which ends with it, hears of each of these two calls from the kernel (a
seccomp filter with user notification, seccomp_unotify(2)), lets so much time pass and then lets the
kernel do what was asked. So etcd is slow where a slow disk makes it slow, and goes on with all
else; a library that is loaded before others cannot do that, as Go calls the kernel by itself.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import heapq
import os
import platform
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, NoReturn


class _Machine(NamedTuple):
    """Numbers of the kernel's calls on one kind of processor."""

    audit: int
    seccomp: int
    fsync: int
    fdatasync: int


_MACHINES: Final = {
    "x86_64": _Machine(audit=0xC000003E, seccomp=317, fsync=74, fdatasync=75),
    "aarch64": _Machine(audit=0xC00000B7, seccomp=277, fsync=82, fdatasync=83),
}
_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06
_AT_NUMBER, _AT_MACHINE = 0, 4
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTICE_BYTES: Final = 80
_ID: Final = struct.Struct("=Q")
_ANSWER: Final = struct.Struct("=QqiI")
_GO_ON: Final = 1


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_so", ctypes.c_ubyte),
        ("if_not", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def listen() -> int:
    """Have the kernel ask before each of the two calls of this process; return where it asks.

    OSError: this machine cannot do that.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"nobody knows the calls of {platform.machine()} here")
    steps = (
        _Step(_LOAD, 0, 0, _AT_MACHINE),
        _Step(_IS_EQUAL, 0, 4, machine.audit),
        _Step(_LOAD, 0, 0, _AT_NUMBER),
        _Step(_IS_EQUAL, 1, 0, machine.fsync),
        _Step(_IS_EQUAL, 0, 1, machine.fdatasync),
        _Step(_RETURN, 0, 0, _NOTIFY),
        _Step(_RETURN, 0, 0, _ALLOW),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    rules = _Filter(len(steps), (_Step * len(steps))(*steps))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    found: int = libc.syscall(machine.seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(rules))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel takes no filter: {os.strerror(number)}")
    return found


def serve(listener: int, said: Path) -> None:
    """Let each call wait for as long as the file says, until nobody is left who makes any."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    waiting: list[tuple[float, int]] = []
    while True:
        now_s = time.monotonic()
        left_ms = max(0.0, waiting[0][0] - now_s) * 1000 if waiting else None
        for _, events in poll.poll(left_ms):
            if events & select.POLLIN:
                if (asked := _receive(listener)) is not None:
                    heapq.heappush(waiting, (time.monotonic() + delay_s(said), asked))
            elif events & (select.POLLHUP | select.POLLERR):
                return
        while waiting and waiting[0][0] <= time.monotonic():
            _let(listener, heapq.heappop(waiting)[1])


def delay_s(said: Path) -> float:
    """Return what the file says; nothing where it says nothing."""
    try:
        return max(0.0, float(said.read_text())) / 1000
    except (OSError, ValueError):
        return 0.0


def _receive(listener: int) -> int | None:
    """Return who asks; None: they were killed before they could be heard."""
    notice = bytearray(_NOTICE_BYTES)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except OSError:
        return None
    asked: int = _ID.unpack_from(notice)[0]
    return asked


def _let(listener: int, asked: int) -> None:
    try:
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(asked, 0, 0, _GO_ON))
    except OSError as error:
        # They were killed meanwhile, or a signal has them ask again.
        if error.errno not in {errno.ENOENT, errno.EINPROGRESS}:
            raise


def main(argv: list[str]) -> NoReturn:
    """Be the program, with a child that lets its calls wait."""
    said, program = Path(argv[0]), argv[2:]
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _, (listener,), _, _ = socket.recv_fds(theirs, 1, 1)
        serve(listener, said)
        os._exit(0)
    theirs.close()
    listener = listen()
    socket.send_fds(ours, [b"."], [listener])
    os.close(listener)
    ours.close()
    os.execvp(program[0], program)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main(sys.argv[1:])
