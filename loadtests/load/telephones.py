"""Telephones as Locust's users hold them: each host's in a process of its own, spoken to in lines.

Locust replaces sockets, threads and processes by gevent's; our telephones live on asyncio, whose
loop needs the real ones, and send a packet every 20 ms, which no greenlet keeps waiting. So the two
meet at a pipe: `python -m edge.phone --stdin` takes plans and tells what happens, as in the demo.
Imported by Locust's processes alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import gevent
import msgspec
from gevent.event import Event
from gevent.queue import Empty, Queue

from drills.lab.lab import PROJECT
from drills.lab.namespaces import entering
from loadtests.load.exchange import PhonesError
from loadtests.load.plan import SAID, WITH_WORKER, Plan
from loadtests.load.telling import PHONES_GONE, Told, hear, is_kept

STARTS_WITHIN_S = 60.0
"""Two workers start eight of them at once: on a machine that is full of others that takes 20 s and
more, and a load whose telephones were given up has measured nothing."""
STOPS_WITHIN_S = 5.0


class Telephones:
    """All telephones of one host that one worker has."""

    def __init__(self, host: str, command: tuple[str, ...], log: Path) -> None:
        """`command` starts them there, and writes to the log on standard error."""
        self.host = host
        self._said = log.with_name(f"{SAID}-{log.stem}.jsonl").open("ab")
        self._inboxes: dict[str, Queue[Told | None]] = {}
        self._on_end: dict[str, Callable[[Told], None]] = {}
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                (*WITH_WORKER, *command),
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._has_ended = False
        self._is_ready = Event()
        self._reading = gevent.spawn(self._read, self._process.stdout)

    def add(
        self, part: str, plan: Mapping[str, object], on_end: Callable[[Told], None]
    ) -> Queue[Told | None]:
        """Add a telephone by its plan to `agents` or `callers`; return where its lines come.

        `on_end` gets the summary of each call, also when the user who placed it has been stopped:
        what was begun is counted.
        """
        phone, pipe = str(plan["id"]), self._process.stdin
        if pipe is None or self.is_over:
            raise self._gone()
        inbox: Queue[Told | None] = Queue()
        self._inboxes[phone] = inbox
        self._on_end[phone] = on_end
        try:
            pipe.write(msgspec.json.encode({part: [plan]}) + b"\n")
            pipe.flush()
        except OSError as error:
            self._inboxes.pop(phone, None)
            self._on_end.pop(phone, None)
            raise self._gone() from error
        return inbox

    @property
    def is_over(self) -> bool:
        """Whether the process has ended, or all that it said has been read."""
        return self._has_ended or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Return the process's PID."""
        return self._process.pid

    def _gone(self) -> PhonesError:
        return PhonesError(f"the telephones at {self.host} are gone: see their log")

    def forget(self, phone: str) -> None:
        """Listen to a telephone no longer."""
        self._inboxes.pop(phone, None)

    def stop(self) -> None:
        """Hang up everywhere and sign out; killed if that takes too long."""
        if self._said.closed:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join(STOPS_WITHIN_S)
        self._said.close()

    def _read(self, pipe: IO[bytes] | None) -> None:
        for line in pipe or ():
            told = hear(line)
            if told is not None:
                self._keep(line, told)
                self._take(told)
        self._has_ended = True
        for phone, on_end in list(self._on_end.items()):
            # Nobody else will tell of these calls any more.
            on_end(Told(event="call", phone=phone, how="fault", cause=PHONES_GONE))
        for inbox in self._inboxes.values():
            inbox.put(None)

    def _keep(self, line: bytes, told: Told) -> None:
        """Write down what calls there were and how they went, to be compared with the ledger."""
        if is_kept(told):
            self.note(line)

    def note(self, line: bytes) -> None:
        """Write down what somebody has done beside their telephone, as if it had told of it."""
        if not self._said.closed:
            self._said.write(line)
            self._said.flush()

    def await_ready(self) -> None:
        """Wait until the process takes plans: its start is no part of what is measured."""
        if not self._is_ready.wait(STARTS_WITHIN_S):
            raise PhonesError(f"the telephones at {self.host} do not start: see their log")

    def _take(self, told: Told) -> None:
        if told.event == "ready":
            self._is_ready.set()
        inbox = self._inboxes.get(told.phone)
        if inbox is not None:
            inbox.put(told)
        if told.event == "call" and (on_end := self._on_end.get(told.phone)) is not None:
            on_end(told)
            if told.role == "caller":
                del self._on_end[told.phone]


def starting(plan: Plan, worker: int) -> Callable[[str], Telephones]:
    """Return what starts a worker's telephones at a host."""

    def start(host: str) -> Telephones:
        command = (sys.executable, "-m", "edge.phone", "--stdin", "--host", plan.hosts[host])
        log = plan.folder / f"phones-{worker}-{host}.log"
        return Telephones(host, entering(host, command), log)

    return start


def hear_next(inbox: Queue[Told | None], timeout_s: float) -> Told | None:
    """Return the next line of a telephone, or None when none comes in time.

    PhonesError: nothing will come any more.
    """
    try:
        told: Told | None = inbox.get(timeout=timeout_s)
    except Empty:
        return None
    if told is None:
        raise PhonesError("the telephones have ended: see their log")
    return told
