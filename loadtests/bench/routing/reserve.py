"""Climbs with reservations: one, two and three sites compete for the same agents through etcd.

Three members with mTLS, their data on a disk with fsync (not on the tmpfs that everything else of
a benchmark is on), each site a process. The sites take callers in equal shares.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from drills.lab.certs import make_authority
from drills.lab.enter import RUN_ROOT
from drills.lab.process import Identity
from drills.lab.supervisor import Supervisor
from loadtests.bench import servers
from loadtests.bench.errors import BenchError
from loadtests.bench.routing.shared import SITES, furnishing
from loadtests.bench.routing.site import Found, Order
from loadtests.bench.stats import percentile
from state import keys
from state.clock import SystemClock
from state.etcd import EtcdStore, Tls
from state.listing import read_all
from state.publishing import OPERATIONS_IN_TXN
from state.store import Delete, Put

HANDLING_S: Final = 0.1
_KEPT_UP: Final = 0.9
"""A load is carried when at least this share of it was reserved within its time."""


class Load(Struct, frozen=True, kw_only=True):
    """What came of one load."""

    sites: int
    asked_per_s: float
    per_s: float
    """Reservations granted a second."""
    p50_ms: float
    p99_ms: float
    wasted: float
    """Share of the reservations that were refused, of all that were sent."""

    @property
    def is_carried(self) -> bool:
        """Whether nearly all came through in time."""
        return self.per_s >= _KEPT_UP * self.asked_per_s


async def climb(rates: Iterable[float], seconds: float, agents: int) -> list[Load]:
    """Return what came of each load, for each number of sites, up to the first not carried."""
    folder = Path(tempfile.mkdtemp(prefix="bench-etcd-", dir=_disk()))
    supervisor = Supervisor(RUN_ROOT / "log")
    now = dt.datetime.fromtimestamp(SystemClock().now().wall_ms / 1000, dt.UTC)
    authority = make_authority(RUN_ROOT / "certs", now=now)
    identity = authority.issue("bench", addresses=("127.0.0.1", *servers.MEMBERS.values()))
    try:
        await supervisor.start([servers.etcd(name, folder, identity) for name in servers.MEMBERS])
        found = []
        for sites in range(1, len(SITES) + 1):
            for rate in rates:
                await _furnish(identity, agents)
                load = await _load(identity, sites, rate, seconds)
                found.append(load)
                if not load.is_carried:
                    break
        return found
    finally:
        await supervisor.close()
        shutil.rmtree(folder, ignore_errors=True)


def _disk() -> Path:
    """Return a folder that is on a disk. BenchError: there is none."""
    folder = servers.PROJECT / ".everline"
    folder.mkdir(exist_ok=True)
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    under = [each for each in mounts if folder.is_relative_to(each[0])]
    kind = max(under, key=lambda each: len(each[0]))[1]
    if kind in {"tmpfs", "ramfs"}:
        raise BenchError(f"{folder} is a {kind}: fsync does nothing there; put it on a disk")
    return folder


async def _furnish(identity: Identity, agents: int) -> None:
    """Let the center be as new: a load that was not carried leaves callers and offers behind."""
    store = EtcdStore(servers.ENDPOINTS, tls=_tls(identity))
    try:
        left = await read_all(store, keys.STATE, keys_only=True)
        writes: list[Put | Delete] = [
            *(Delete(key=record.key) for record in left.records),
            *furnishing(agents),
        ]
        for start in range(0, len(writes), OPERATIONS_IN_TXN):
            await store.txn((), writes[start : start + OPERATIONS_IN_TXN])
    finally:
        await store.close()


def _tls(identity: Identity) -> Tls:
    return Tls(ca=identity.ca, cert=identity.cert, key=identity.key)


async def _load(identity: Identity, sites: int, rate: float, seconds: float) -> Load:
    orders = [
        Order(
            edge=f"{name}1",
            rate=rate / sites,
            seconds=seconds,
            handling_s=HANDLING_S,
            ca=str(identity.ca),
            cert=str(identity.cert),
            key=str(identity.key),
        )
        for name in SITES[:sites]
    ]
    processes = [await _start(order) for order in orders]
    try:
        async with asyncio.timeout(seconds + 30.0):
            for process in processes:
                await _line(process)
            for process in processes:
                if process.stdin is not None:
                    process.stdin.write(b"go\n")
            lines = [await _line(process) for process in processes]
    except TimeoutError as error:
        raise BenchError(f"a site of {sites} said nothing at {rate:.0f}/s") from error
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
    return _sum([msgspec.json.decode(line, type=Found) for line in lines], sites, rate)


def _sum(found: list[Found], sites: int, rate: float) -> Load:
    latencies_ms = [each for one in found for each in one.latencies_ms]
    refused = sum(one.refused for one in found)
    elapsed_s = max(one.elapsed_s for one in found)
    return Load(
        sites=sites,
        asked_per_s=rate,
        per_s=round(len(latencies_ms) / elapsed_s, 1),
        p50_ms=round(percentile(latencies_ms, 0.5), 2),
        p99_ms=round(percentile(latencies_ms, 0.99), 2),
        wasted=round(refused / max(1, refused + len(latencies_ms)), 4),
    )


async def _start(order: Order) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "loadtests.bench.routing.site", msgspec.json.encode(order).decode()),
        cwd=servers.PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )


async def _line(process: asyncio.subprocess.Process) -> bytes:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise BenchError("a site's process died; what it said is above")
    return line
