"""An event loop whose time passes only when nobody has anything to do, and then at once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack

from state.model import Now

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
WALL_MS = 1_700_000_000_000
LONGEST_WORK_S = 30.0
"""Real seconds that one piece of a thread's work may take."""


class StuckError(AssertionError):
    """Everybody waits, and no timer would wake anybody."""


class _Selector(selectors.SelectSelector):
    """Sleeps by moving the loop's time on, but waits for threads that are at work."""

    def __init__(self) -> None:
        super().__init__()
        self.slept_s = 0.0
        self.at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        # Threads wake the loop when they are done; how long they take is no time of the test.
        if self.at_work and (ready := super().select(LONGEST_WORK_S)):
            return ready
        if timeout is None:
            raise StuckError("everybody waits, and no timer would wake anybody")
        self.slept_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Deterministic: no test that runs on it depends on how busy the machine is."""

    def __init__(self) -> None:
        self._slow = _Selector()
        super().__init__(self._slow)
        self._threads = ThreadPoolExecutor()
        self.set_default_executor(self._threads)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Let a thread do it, and time stand still until it has."""
        future = super().run_in_executor(executor, func, *args)
        self._slow.at_work += 1
        future.add_done_callback(self._is_done)
        return future

    def _is_done(self, _: asyncio.Future[Any]) -> None:
        self._slow.at_work -= 1

    def time(self) -> float:
        """Return the virtual time, which starts at 1000."""
        return 1000.0 + self._slow.slept_s

    async def shutdown_default_executor(self) -> None:
        """Wait here for threads that are at work: they have no timer by which the loop would."""
        self._threads.shutdown()


class LoopClock:
    """The running loop's time, as a `Clock`."""

    def now(self) -> Now:
        """Return this instant."""
        mono_s = asyncio.get_running_loop().time()
        return Now(mono_s=mono_s, wall_ms=WALL_MS + round((mono_s - 1000) * 1000))


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene on a virtual loop; a fault that nobody took, in any callback, fails it."""
    faults: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: faults.append(context))
        runner.run(scene)
    assert not faults, faults


def in_virtual_time(scene: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine function."""

    @functools.wraps(scene)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        play(scene(*args, **kwargs))

    del test.__wrapped__  # pytest would look through it
    test.__signature__ = inspect.signature(scene)  # type: ignore[attr-defined]
    return test


async def until(condition: Callable[[], bool], what: str = "", *, within_s: float = 60.0) -> None:
    """Let time pass until the condition holds."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + within_s
    while not condition():
        if loop.time() > ends_s:
            raise AssertionError(f"not within {within_s} s: {what or inspect.getsource(condition)}")
        await asyncio.sleep(0.005)


async def settle(turns: int = 30) -> None:
    """Let everybody do what can be done without time passing."""
    for _ in range(turns):
        await asyncio.sleep(0)
