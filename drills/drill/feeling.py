"""Tries what a drill breaks, from the first fault on: a link, the keys of recordings, a disk.

Owns sockets and files for that and keeps what became of each try; what it says is `drills.felt`'s.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Final

from custody.errors import CustodyError
from drills.demo.run import Stage
from drills.fault import Fault, FaultKind
from drills.lab.lab import Lab
from drills.lab.namespaces import run_in
from drills.lab.probes import http_get
from drills.lab.site import ETCD_HEALTH_PORT
from drills.seen import Crossing, Felt, Opening, Synced
from state.model import MAIN, SiteId

SEND_EVERY_S: Final = 0.04
OPEN_EVERY_S: Final = 1.0
ASK_EVERY_S: Final = 0.5
ANSWER_S: Final = 1.0
_NUMBER: Final = struct.Struct("!Q")
_SYNCED: Final = re.compile(
    rb"^etcd_disk_wal_fsync_duration_seconds_(sum|count) (\S+)$", re.MULTILINE
)
_LINKS: Final = frozenset({FaultKind.FLAP, FaultKind.SHAPE})


class Feeling:
    """What is tried in one drill."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._openings: list[Opening] = []
        self._synced: list[Synced] = []
        self._line: _Line | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, fault: Fault) -> None:
        """Try what this fault breaks, if that is something that is tried here."""
        one, _, other = fault.target.partition("-")
        if fault.kind in _LINKS and {one, other} <= self._stage.lab.addresses.keys():
            self._line = _Line(self._stage.lab, one, other, self._now_ms)
            self._go(self._line.send())
        elif fault.kind is FaultKind.LOSE_KEYS:
            self._go(self._open())
        elif fault.kind is FaultKind.SLOW_SYNC:
            self._go(self._ask(SiteId(fault.target.rpartition("-")[2])))

    def over(self) -> None:
        """Try nothing more."""
        for task in self._tasks:
            task.cancel()
        if self._line is not None:
            self._line.close()

    @property
    def felt(self) -> Felt:
        """What became of all tries."""
        return Felt(
            crossings=() if self._line is None else self._line.crossings(),
            openings=tuple(self._openings),
            synced=tuple(self._synced),
        )

    def _go(self, trying: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(trying))

    def _now_ms(self) -> float:
        return self._stage.clock.now().wall_ms

    async def _open(self) -> None:
        """Open at each site, as one who has just started, something that was recorded there."""
        while True:
            for site in self._stage.lab.plan.sites:
                at_ms, is_open = round(self._now_ms()), await self._is_open(site)
                if is_open is not None:
                    self._openings.append(Opening(site=site, at_ms=at_ms, is_open=is_open))
            await asyncio.sleep(OPEN_EVERY_S)

    async def _is_open(self, site: SiteId) -> bool | None:
        """Tell whether a recording opens with the keys of its own site; None: there is none yet."""
        try:
            library = self._stage.lab.library(site, keys_of=site)
        except CustodyError:
            return False
        recordings = self._stage.lab.store(site).recordings(MAIN)
        async for recording in recordings:
            try:
                account = await library.manifest(MAIN, recording)
                async for _ in library.frames(account):
                    return True
            except CustodyError:
                return False
            except FileNotFoundError:
                continue  # it is still being written
        return None

    async def _ask(self, site: SiteId) -> None:
        """Ask a member of etcd how often it has written to its disk, and how long that took."""
        while True:
            at_ms = round(self._now_ms())
            try:
                async with asyncio.timeout(ANSWER_S):
                    told = await http_get(site, "127.0.0.1", ETCD_HEALTH_PORT, "/metrics")
            except OSError:
                told = b""
            said = dict(_SYNCED.findall(told))
            if said.keys() == {b"sum", b"count"}:
                times, took_s = int(float(said[b"count"])), float(said[b"sum"])
                self._synced.append(Synced(site=site, at_ms=at_ms, times=times, took_s=took_s))
            await asyncio.sleep(ASK_EVERY_S)


class _Line:
    """Packets over the link of two hosts, both ways at an even pace."""

    def __init__(self, lab: Lab, one: str, other: str, now_ms: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._now_ms = now_ms
        self._sockets = {name: _socket(name, lab.addresses[name]) for name in (one, other)}
        self._ways = ((one, other), (other, one))
        self._sent: list[tuple[str, str, float, float]] = []
        """Of each packet from where to where, when by the wall, and when by the loop's clock."""
        self._took_s: dict[int, float] = {}
        for each in self._sockets.values():
            self._loop.add_reader(each, self._hear, each)

    async def send(self) -> None:
        """Send until cancelled."""
        while True:
            for source, target in self._ways:
                number = len(self._sent)
                self._sent.append((source, target, self._now_ms(), self._loop.time()))
                there = self._sockets[target].getsockname()
                try:
                    self._sockets[source].sendto(_NUMBER.pack(number), there)
                except OSError:
                    continue  # it did not arrive
            await asyncio.sleep(SEND_EVERY_S)

    def _hear(self, at: socket.socket) -> None:
        try:
            packet = at.recv(64)
        except OSError:
            return
        if len(packet) == _NUMBER.size:
            (number,) = _NUMBER.unpack(packet)
            self._took_s.setdefault(number, self._loop.time() - self._sent[number][3])

    def crossings(self) -> tuple[Crossing, ...]:
        """Return what became of each."""
        return tuple(
            Crossing(
                source=source,
                target=target,
                sent_ms=sent_ms,
                took_ms=self._took_s[number] * 1000 if number in self._took_s else None,
            )
            for number, (source, target, sent_ms, _) in enumerate(self._sent)
        )

    def close(self) -> None:
        """Hear no more."""
        for each in self._sockets.values():
            self._loop.remove_reader(each)
            each.close()


def _socket(host: str, address: str) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(0)
        made.bind((address, 0))
        return made

    return run_in(host, make)
