"""Steps into a network namespace for a moment, to make a socket or to write a setting there.

A socket belongs for ever to the namespace it was made in, and a thread can change its own network
namespace: so one process can hold sockets in every host of the lab.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
NETNS = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)


def run_in(host: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread that stands in the host's network namespace; return its result."""
    done: Future[T] = Future()

    def step_in() -> None:
        try:
            with (NETNS / host).open("rb") as namespace:
                if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(namespace.name))  # noqa: TRY301 - Future carries it
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller, by the Future
            done.set_exception(error)

    thread = Thread(target=step_in, name=f"in-{host}")
    thread.start()
    thread.join()
    return done.result()


def socket_in(
    host: str | None, family: socket.AddressFamily, kind: socket.SocketKind
) -> socket.socket:
    """Make a socket in the host's network namespace; None: in this process's own."""
    if host is None:
        return socket.socket(family, kind)
    return run_in(host, lambda: socket.socket(family, kind))


def entering(host: str | None, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that runs `argv` in the host's network namespace, under the same PID."""
    if host is None:
        return argv
    return ("nsenter", f"--net={NETNS / host}", "--", *argv)
