"""Starts the lab's processes in their hosts, restarts what dies, and kills or freezes on request.

Every process leads a session of its own, and every signal goes to the whole of it: a Kamailio is
twenty processes. What happens is told to the listeners at once, with monotonic times.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from drills.lab.errors import ProcessError
from drills.lab.logs import open_log, shorten_log, tail
from drills.lab.namespaces import entering
from drills.lab.probes import until_ready
from drills.lab.process import EventKind, ProcessEvent, ProcessName, ProcessSpec

Listener = Callable[[ProcessEvent], None]

LOG_CHECK_INTERVAL_S = 2.0
MOST_STARTS_BEFORE_READY = 3
"""A process that dies so often without ever being ready is not coming up."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(slots=True, kw_only=True, eq=False)
class _Ward:
    """A process in the supervisor's care."""

    spec: ProcessSpec
    popen: subprocess.Popen[bytes] | None = None
    """The running process; None between two lives."""
    starts: int = 0
    deaths: int = 0
    """In a row, each soon after its start."""
    was_ready: bool = False
    stopping: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps processes alive. Use it from one event loop."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._wards: dict[ProcessName, _Ward] = {}
        self._held: set[str | None] = set()
        """Hosts, and processes, where nothing is started."""
        self._released = asyncio.Condition()
        self._listeners: list[Listener] = []
        self._janitor: asyncio.Task[None] | None = None

    # -- what is there

    def add_listener(self, listener: Listener) -> None:
        """Have `listener` told of every event from now on, in order."""
        self._listeners.append(listener)

    def names(self, host: str | None = None) -> list[ProcessName]:
        """Return the names of all processes, or of one host's."""
        return [n for n, ward in self._wards.items() if host in (None, ward.spec.host)]

    def pid(self, name: ProcessName) -> int | None:
        """Return the process's PID while it lives."""
        popen = self._ward(name).popen
        return None if popen is None else popen.pid

    def is_ready(self, name: ProcessName) -> bool:
        """Return whether it lives and its last probe said ready."""
        return self._ward(name).ready.is_set()

    def starts(self, name: ProcessName) -> int:
        """Return how often it has been started."""
        return self._ward(name).starts

    def log_path(self, name: ProcessName) -> Path:
        """Where the process writes what it has to say."""
        return self._log_dir / f"{name}.log"

    # -- life

    async def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Start them all at once, each after those it names, and wait until all are ready.

        ProcessError, with the end of its log, for the first that does not come up.
        """
        if self._janitor is None:
            self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._janitor = asyncio.create_task(self._keep_logs_short())
        wards = [_Ward(spec=spec) for spec in specs]
        for ward in wards:
            if ward.spec.name in self._wards:
                raise ProcessError(f"there already is a process {ward.spec.name!r}")
            self._wards[ward.spec.name] = ward
        for ward in wards:
            ward.task = asyncio.create_task(self._live(ward), name=ward.spec.name)
        async with _first_failure() as group:
            for ward in wards:
                group.create_task(self._came_up(ward))

    async def wait_ready(self, name: ProcessName, timeout_s: float) -> None:
        """Wait until the process is ready; ProcessError when it is not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ward(name).ready.wait()
        except TimeoutError:
            raise ProcessError(self._not_ready(name, f"not ready in {timeout_s:g} s")) from None

    async def stop(self, *names: ProcessName, grace_s: float = 1.0) -> None:
        """End these processes for good: SIGTERM, and SIGKILL for what is left after `grace_s`."""
        wards = [self._ward(name) for name in names]
        for ward in wards:
            ward.stopping = True
            self._signal(ward, signal.SIGCONT)
            self._signal(ward, signal.SIGTERM)
            if ward.starts == 0 and ward.task is not None:
                # It waits for others, who may never be ready.
                ward.task.cancel()
        tasks = [ward.task for ward in wards if ward.task is not None]
        await self._notify_released()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for ward in wards:
                if ward.task in late:
                    self._signal(ward, signal.SIGKILL)
            if late:
                await asyncio.wait(late)
        for name in names:
            del self._wards[name]

    async def close(self, grace_s: float = 1.0) -> None:
        """End everything: first what needed others to start, so that it may still speak to them."""
        needy = [name for name, ward in self._wards.items() if ward.spec.after]
        await self.stop(*needy, grace_s=grace_s / 2)
        await self.stop(*self._wards, grace_s=grace_s / 2)
        if self._janitor is not None:
            self._janitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._janitor
            self._janitor = None

    # -- harm

    def kill(self, name: ProcessName) -> None:
        """SIGKILL it with all its children; it is restarted as its policy says."""
        self._harm(name, signal.SIGKILL, EventKind.KILLED)

    def freeze(self, name: ProcessName) -> None:
        """SIGSTOP it with all its children."""
        self._harm(name, signal.SIGSTOP, EventKind.FROZEN)

    def thaw(self, name: ProcessName) -> None:
        """SIGCONT it with all its children."""
        self._harm(name, signal.SIGCONT, EventKind.THAWED)

    def kill_host(self, host: str) -> None:
        """SIGKILL everything on the host and restart nothing there until `release_host`."""
        self._held.add(host)
        for name in self.names(host):
            if self._ward(name).popen is not None:
                self.kill(name)

    def hold_down(self, name: ProcessName) -> None:
        """SIGKILL it and do not restart it until `release`."""
        self._held.add(name)
        if self._ward(name).popen is not None:
            self.kill(name)

    async def release(self, name: ProcessName) -> None:
        """Let a process that was held down start again; do not wait until it is ready."""
        self._held.discard(name)
        await self._notify_released()

    async def let_host_start(self, host: str) -> None:
        """Let the host's processes start again; do not wait until they are ready."""
        self._held.discard(host)
        await self._notify_released()

    async def release_host(self, host: str) -> None:
        """Let the host's processes start again, and wait until all are ready."""
        await self.let_host_start(host)
        wards = [ward for ward in self._wards.values() if ward.spec.host == host]
        async with _first_failure() as group:
            for ward in wards:
                group.create_task(self.wait_ready(ward.spec.name, ward.spec.ready_timeout_s))

    # -- one process

    async def _live(self, ward: _Ward) -> None:
        """Be the process's whole life: start, wait for death, start again."""
        spec = ward.spec
        for name in spec.after:
            await self._ward(name).ready.wait()
        while not ward.stopping:
            if not await self._may_start(ward):
                return
            started_s = time.monotonic()
            try:
                popen = self._spawn(ward)
            except OSError:
                # Of the first start somebody hears; later the machine may just have no room for it.
                if not ward.starts:
                    raise
                ward.deaths += 1
                await self._until_stopping(ward, spec.restart.delay_s(ward.deaths))
                continue
            prober = asyncio.create_task(self._probe(ward, popen.pid))
            try:
                detail = await _death(popen)
            finally:
                prober.cancel()
                ward.ready.clear()
                ward.popen = None
            ended = EventKind.STOPPED if ward.stopping else EventKind.DIED
            self._tell(ended, ward, popen.pid, detail)
            if ward.stopping or not spec.restart.restarts:
                return
            if not ward.was_ready and ward.starts >= MOST_STARTS_BEFORE_READY:
                return
            lived_s = time.monotonic() - started_s
            ward.deaths = 1 if lived_s >= spec.restart.healthy_after_s else ward.deaths + 1
            await self._until_stopping(ward, spec.restart.delay_s(ward.deaths))

    def _spawn(self, ward: _Ward) -> subprocess.Popen[bytes]:
        spec = ward.spec
        environment = ENVIRONMENT | {"HOME": str(self._log_dir.parent)} | dict(spec.env)
        with open_log(self.log_path(spec.name)) as log:
            popen = subprocess.Popen(
                entering(spec.host, spec.argv),
                cwd=spec.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ward.popen = popen
        ward.starts += 1
        kind = EventKind.STARTED if ward.starts == 1 else EventKind.RESTARTED
        self._tell(kind, ward, popen.pid)
        return popen

    async def _probe(self, ward: _Ward, pid: int) -> None:
        spec = ward.spec
        if spec.ready is not None:
            await until_ready(spec.ready, spec.host)
        ward.was_ready = True
        ward.ready.set()
        self._tell(EventKind.READY, ward, pid)

    async def _came_up(self, ward: _Ward) -> None:
        """Wait for its first readiness, or raise what is known of why there is none."""
        if ward.task is None:
            raise ProcessError(f"{ward.spec.name} was never started")
        for name in ward.spec.after:
            await self._ward(name).ready.wait()
        ready = asyncio.ensure_future(ward.ready.wait())
        try:
            await asyncio.wait(
                {ready, ward.task},
                timeout=ward.spec.ready_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done():
                return
        finally:
            ready.cancel()
        if ward.task.done():
            why = f"died {ward.starts} times before it was ready"
            if error := ward.task.exception():
                why = f"cannot be started ({error})"
        else:
            why = f"is not ready after {ward.spec.ready_timeout_s:g} s"
        raise ProcessError(self._not_ready(ward.spec.name, why))

    def _not_ready(self, name: ProcessName, why: str) -> str:
        last = tail(self.log_path(name))
        return f"{name}: {why}. Its log ends:\n{last}" if last else f"{name}: {why}; no log"

    # -- signals, holding, telling

    def _harm(self, name: ProcessName, number: signal.Signals, kind: EventKind) -> None:
        ward = self._ward(name)
        if ward.popen is None:
            raise ProcessError(f"{name} does not run")
        self._signal(ward, number)
        self._tell(kind, ward, ward.popen.pid)

    @staticmethod
    def _signal(ward: _Ward, number: signal.Signals) -> None:
        if ward.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(ward.popen.pid, number)

    async def _may_start(self, ward: _Ward) -> bool:
        """Wait until neither it nor its host is held; False when it is to be stopped instead."""
        async with self._released:
            await self._released.wait_for(
                lambda: ward.stopping or not self._held & {ward.spec.host, ward.spec.name}
            )
        return not ward.stopping

    async def _until_stopping(self, ward: _Ward, delay_s: float) -> None:
        """Sleep, but not on when the process is to be stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s), self._released:
                await self._released.wait_for(lambda: ward.stopping)

    async def _notify_released(self) -> None:
        async with self._released:
            self._released.notify_all()

    def _tell(self, kind: EventKind, ward: _Ward, pid: int, detail: str = "") -> None:
        event = ProcessEvent(
            kind=kind,
            process=ward.spec.name,
            host=ward.spec.host,
            pid=pid,
            at_s=time.monotonic(),
            detail=detail,
        )
        for listener in self._listeners:
            listener(event)

    def _ward(self, name: ProcessName) -> _Ward:
        try:
            return self._wards[name]
        except KeyError:
            known = ", ".join(self._wards) or "none"
            raise ProcessError(f"there is no process {name!r}; there are: {known}") from None

    async def _keep_logs_short(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_INTERVAL_S)
            for name, ward in self._wards.items():
                shorten_log(self.log_path(name), ward.spec.log_limit_bytes)


@contextlib.asynccontextmanager
async def _first_failure() -> AsyncIterator[asyncio.TaskGroup]:
    """Give a TaskGroup whose first failure is raised as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _death(popen: subprocess.Popen[bytes]) -> str:
    """Wait until the process ends; end what is left of its session; return how it ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    watch = os.pidfd_open(popen.pid)
    loop.add_reader(watch, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)
        # Before it is reaped: until then its number cannot be anyone else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
        status = popen.wait()
    return f"signal {-status}" if status < 0 else f"exit {status}"
