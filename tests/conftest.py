"""What holds for every test: a time limit, and no network for those that claim to need none.

A test without the mark `parts` or `lab` is hermetic: it may use Unix sockets and no others.

`./everline test` draws the same examples each time, so that what fails is what was changed; pytest
by itself draws others each time, and looks further.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest
from hypothesis import settings

if os.environ.get("EVERLINE_SAME_EXAMPLES"):
    settings.register_profile("same", derandomize=True)
    settings.load_profile("same")

HERMETIC_LIMIT_S = 30.0
LIMIT_S = {"lab": 300.0, "parts": 120.0}
AGAIN_S = 5.0
"""A test that swallows the alarm, or is let go on, hears it again after this long."""
PATIENCE, BUSY = 3, 0.05
"""A test that used this share of a core is slow, not stuck: it gets so many times its limit."""
GRACE_S = 30.0
"""What not even the alarm ends within so long ends the run, with every thread's traceback."""

WATCHED = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})


_stderr = pytest.StashKey[int]()


class NetworkBlockedError(RuntimeError):
    """A hermetic test touched the network. Mark it `parts` or `lab`, or take the socket out."""


class _Guard:
    """Refuses sockets while a hermetic test runs; as an audit hook it sees asyncio's too."""

    def __init__(self) -> None:
        self.closed = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.closed or event not in WATCHED:
            return
        if args[0].family == socket.AF_UNIX:
            return
        raise NetworkBlockedError(
            f"{event} {args[1]!r}: this test is hermetic; mark it parts or lab to use the network"
        )


_guard = _Guard()
sys.addaudithook(_guard)


os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
"""Whoever runs the tests may be signed in at some control plane: no test of ours is to ask it."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real standard error, for tracebacks that come when pytest's capture holds fd 2."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_stderr] = os.dup(2)


def _kind(item: pytest.Item) -> str | None:
    """Name the mark that decides the item's limits, or None for a hermetic one."""
    return next((mark for mark in LIMIT_S if item.get_closest_marker(mark)), None)


def limit_s(item: pytest.Item) -> float:
    """Return how many seconds each phase of `item` may take."""
    kind = _kind(item)
    longer = item.get_closest_marker("longer")
    asked_s = 0.0 if longer is None else float(longer.args[0])
    return (HERMETIC_LIMIT_S if kind is None else LIMIT_S[kind]) + asked_s


def _under_limits(item: pytest.Item) -> Generator[None, object, object]:
    limit = limit_s(item)
    began, worked = time.monotonic(), time.process_time()

    def ring(_signal: int, _frame: FrameType | None) -> None:
        spent = time.monotonic() - began
        if spent < PATIENCE * limit and time.process_time() - worked > BUSY * spent:
            return  # it computes, and shares the machine with others: hear it again later
        # What fail() raises is a BaseException: `except Exception` in the tested code lets it by.
        pytest.fail(f"took longer than {limit:g} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit, AGAIN_S)
    faulthandler.dump_traceback_later(
        PATIENCE * limit + GRACE_S, exit=True, file=item.config.stash[_stderr]
    )
    _guard.closed = _kind(item) is None
    try:
        return (yield)
    finally:
        # First: one that rings in the rest would leave it on, to end an interpreter that goes.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        _guard.closed = False
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _under_limits(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _under_limits(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _under_limits(item))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Let no fixture that will not go hold up the end: the reports are written before this."""
    faulthandler.dump_traceback_later(GRACE_S, exit=True, file=session.config.stash[_stderr])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
