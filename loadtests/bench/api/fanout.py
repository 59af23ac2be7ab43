"""One change, told to hundreds of listeners of many tenants: from the write to each one's message.

A site is everybody's, so each tenant's managers are told of it: as many messages are rendered as
there are tenants. The listeners are one process, whose own time to take a message is in the figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from loadtests.bench.api.load import Slice, Times, slice_of
from loadtests.bench.cpu import CpuMeter
from loadtests.bench.errors import BenchError
from state import keys
from state.codec import encode
from state.etcd import EtcdStore
from state.model import Site, SiteId
from state.store import Put

ETCD: Final = "127.0.0.1:2379"
READY_S: Final = 30.0
ARRIVE_S: Final = 30.0
_MARK: Final = "change "


@asynccontextmanager
async def etcd(run: Path) -> AsyncIterator[EtcdStore]:
    """Run one member on our own loopback while entered."""
    words = ("etcd", "--data-dir", str(run), "--log-level", "error", "--logger", "zap")
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - Debian's own program
        (
            *words,
            "--listen-client-urls",
            f"http://{ETCD}",
            "--advertise-client-urls",
            f"http://{ETCD}",
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    store = EtcdStore([ETCD], tls=None)
    try:
        await _answers(store)
        yield store
    finally:
        await store.close()
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _answers(store: EtcdStore) -> None:
    end = time.monotonic() + READY_S
    while True:
        try:
            await store.range(keys.STATE)
        except Exception as error:
            if time.monotonic() > end:
                raise BenchError(f"etcd does not answer: {error}") from error
            await asyncio.sleep(0.2)
        else:
            return


class Crowd:
    """Listeners, and when each heard of which change."""

    def __init__(self) -> None:
        self.heard: dict[int, list[float]] = {}
        self.is_complete = asyncio.Event()
        self.expected = 0

    async def listen(
        self, session: aiohttp.ClientSession, token: str, ready: asyncio.Semaphore
    ) -> None:
        """Listen, and note."""
        headers = {"Authorization": f"Bearer {token}"}
        async with session.ws_connect("/v1/events?topics=sites", headers=headers) as socket:
            ready.release()
            async for got in socket:
                now = time.perf_counter()
                if got.type is aiohttp.WSMsgType.TEXT and _MARK in got.data:
                    self._note(int(got.data.partition(_MARK)[2].partition('"')[0]), now)

    def _note(self, change: int, now: float) -> None:
        times = self.heard.setdefault(change, [])
        times.append(now)
        if len(times) == self.expected:
            self.is_complete.set()


async def measure(  # noqa: PLR0913 - each is one thing that matters
    session: aiohttp.ClientSession,
    tokens: Sequence[str],
    store: EtcdStore,
    *,
    listeners: int,
    changes: int,
    cpu: CpuMeter,
) -> Times:
    """Make changes one after the other; each one's times over all listeners are a slice."""
    crowd, ready = Crowd(), asyncio.Semaphore(0)
    crowd.expected = listeners
    tasks = [
        asyncio.create_task(crowd.listen(session, tokens[each % len(tokens)], ready))
        for each in range(listeners)
    ]
    slices: list[Slice] = []
    try:
        async with asyncio.timeout(ARRIVE_S):
            for _ in range(listeners):
                await ready.acquire()
        await asyncio.sleep(1.0)
        for change in range(changes):
            before = cpu.read_s()
            crowd.is_complete.clear()
            began = time.perf_counter()
            await _change(store, change)
            try:
                async with asyncio.timeout(ARRIVE_S):
                    await crowd.is_complete.wait()
            except TimeoutError as error:
                count = len(crowd.heard.get(change, ()))
                raise BenchError(f"{count} of {listeners} heard of a change") from error
            took = [(each - began) * 1000 for each in crowd.heard[change]]
            slices.append(slice_of(took, (cpu.read_s() - before) * 1000))
            await asyncio.sleep(0.3)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    return Times(rate=0.0, slices=tuple(slices))


async def _change(store: EtcdStore, change: int) -> None:
    site = Site(id=SiteId("a"), sip="198.18.1.10:5060", name=f"{_MARK}{change}")
    await store.txn((), (Put(key=keys.site(site.id), value=encode(site)),))
