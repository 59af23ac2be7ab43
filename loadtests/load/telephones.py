"""Telephones as Locust's users hold them: each host's in a process of its own, spoken to in lines.

Locust replaces sockets, threads and processes by gevent's; our telephones live on asyncio, whose
loop needs the real ones, and send a packet every 20 ms, which no greenlet keeps waiting. So the two
meet at a pipe: `python -m edge.phone --stdin` takes plans and tells what happens, as in the demo.
Imported by Locust's processes alone.
"""

from __future__ import annotations

import itertools
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
from loadtests.load.plan import SAID
from loadtests.load.telling import Told, hear

_OF_ENDS = frozenset({"hanging_up", "call"})
STARTS_WITHIN_S = 60.0
"""Two workers start eight of them at once: on a machine that is full of others that takes 20 s and
more, and a load whose telephones were given up has measured nothing."""
STOPS_WITHIN_S = 5.0


class PhonesError(Exception):
    """The process of the telephones has ended."""


class Telephones:
    """All telephones of one host that one worker has."""

    def __init__(self, host: str, address: str, log: Path) -> None:
        self.host = host
        self._said = log.with_name(f"{SAID}-{log.stem}.jsonl").open("ab")
        self._inboxes: dict[str, Queue[Told | None]] = {}
        self._on_end: dict[str, Callable[[Told], None]] = {}
        command = (sys.executable, "-m", "edge.phone", "--stdin", "--host", address)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                entering(host, command),
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._is_ready = Event()
        self._reading = gevent.spawn(self._read, self._process.stdout)

    def add(
        self, part: str, plan: Mapping[str, object], on_end: Callable[[Told], None]
    ) -> Queue[Told | None]:
        """Add a telephone by its plan to `agents` or `callers`; return where its lines come.

        `on_end` gets the summary of each call, also when the user who placed it has been stopped:
        what was begun is counted.
        """
        inbox: Queue[Told | None] = Queue()
        self._inboxes[str(plan["id"])] = inbox
        self._on_end[str(plan["id"])] = on_end
        pipe = self._process.stdin
        if pipe is None or self._process.poll() is not None:
            raise PhonesError(f"the telephones at {self.host} are gone: see their log")
        pipe.write(msgspec.json.encode({part: [plan]}) + b"\n")
        pipe.flush()
        return inbox

    def forget(self, phone: str) -> None:
        """Listen to a telephone no longer."""
        self._inboxes.pop(phone, None)

    def stop(self) -> None:
        """Hang up everywhere and sign out; killed if that takes too long."""
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
        for phone, on_end in list(self._on_end.items()):
            # Nobody else will tell of these calls any more.
            on_end(Told(event="call", phone=phone, how="fault", cause="telephones gone"))
        for inbox in self._inboxes.values():
            inbox.put(None)

    def _keep(self, line: bytes, told: Told) -> None:
        """Write down how calls went, to be compared with the edges' ledger."""
        if told.event in _OF_ENDS:
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


class Exchange:
    """The telephones of one worker, by host; started when the first is needed."""

    def __init__(self, hosts: Mapping[str, str], folder: Path, worker: int) -> None:
        self._hosts = hosts
        self._folder = folder
        self._worker = worker
        self._open: dict[str, Telephones] = {}
        self._numbers = itertools.count(1)

    def at(self, host: str) -> Telephones:
        """Return the telephones of a host."""
        if host not in self._open:
            log = self._folder / f"phones-{self._worker}-{host}.log"
            self._open[host] = Telephones(host, self._hosts[host], log)
        self._open[host].await_ready()
        return self._open[host]

    def number(self) -> str:
        """Return a calling number that no other caller of this load has."""
        return f"1555{8 + self._worker % 2}{self._worker // 2}{next(self._numbers):05d}"

    def stop(self) -> None:
        """Stop them all."""
        stopping = [gevent.spawn(each.stop) for each in self._open.values()]
        gevent.joinall(stopping)


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
