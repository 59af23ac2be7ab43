"""One site's part in `bench routing`: callers come, get an agent each, and are gone.

`python -m loadtests.bench.routing.site ORDER`, a JSON object (`Order`). Says `ready`, waits for a
line, and prints what became of it (`Found`). The match, the plans and the client of the store are
the edge's own; nobody is rung.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Coroutine
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from edge.acd.ending import WITHDRAWN, Ending
from edge.acd.granting import reserved
from edge.acd.index.index import MatchIndex
from edge.acd.match import Offering
from edge.acd.plan import Held, Plan, held_after, landed_at
from edge.acd.presumed import Presumed
from edge.acd.reservation import created, ended
from loadtests.bench.routing.shared import QUEUE, ticket
from loadtests.bench.servers import ENDPOINTS
from state.clock import SystemClock
from state.etcd import EtcdStore, Tls
from state.mirror import Mirror
from state.model import AgentId, CallId, EdgeId, Outcome
from state.snapshot import Delta, Snapshot

_DRAIN_S = 3.0


class Order(Struct, frozen=True, kw_only=True):
    """What a site is to do."""

    edge: str
    rate: float
    """Callers a second."""
    seconds: float
    handling_s: float
    ca: str
    cert: str
    key: str


class Found(Struct, frozen=True, kw_only=True):
    """What became of it."""

    latencies_ms: list[float]
    """Of the reservations that were granted, from asking to the answer."""
    refused: int
    elapsed_s: float
    """From the first caller to the last reservation, and not less than was asked for."""


class SiteAtWork:
    """Callers, the mirror, the index, and the reservations under way."""

    def __init__(self, order: Order, store: EtcdStore) -> None:
        self._order = order
        self._edge = EdgeId(order.edge)
        self._store = store
        self._clock = SystemClock()
        self.mirror = Mirror(store, self._clock)
        self.mirror.subscribe(self._changed)
        self._index = MatchIndex(self._edge)
        self._presumed = Presumed(self._edge)
        self._wake = asyncio.Event()
        self._held: dict[CallId, Held] = {}
        self._came: dict[CallId, asyncio.Event] = {}
        """Of this site's calls, when it knows that the ticket stands."""
        self._asked: dict[CallId, AgentId] = {}
        self._not_before: dict[CallId, int] = {}
        """Calls that are to be decided on a snapshot as new as that."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._latencies_ms: list[float] = []
        self._refused = 0
        self._last_s = 0.0

    def _changed(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self._index.fold(snapshot, deltas)
        self._wake.set()

    async def run(self) -> Found:
        """Let callers come at the rate, and serve them until the time is over."""
        serving = asyncio.create_task(self._serve())
        began_s = time.monotonic()
        count = int(self._order.rate * self._order.seconds)
        for number in range(count):
            wait_s = began_s + number / self._order.rate - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._spawn(self._call(number))
        ends_s = time.monotonic() + _DRAIN_S
        while len(self._latencies_ms) < count and time.monotonic() < ends_s:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        under_way = [serving, *self._tasks]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        elapsed_s = max(self._last_s - began_s, self._order.seconds)
        return Found(latencies_ms=self._latencies_ms, refused=self._refused, elapsed_s=elapsed_s)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, number: int) -> None:
        place = ticket(number, self._edge, self._clock.now())
        came = self._came[place.call] = asyncio.Event()
        await self._carry_out(place.call, created(place, self._clock.now()))
        came.set()

    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            snapshot = self.mirror.snapshot
            for call, revision in list(self._not_before.items()):
                if snapshot.revision >= revision:
                    del self._not_before[call]
                    self._asked.pop(call, None)
            now = self._clock.now()
            asked = self._presumed.agents(snapshot, now) | self._asked
            offers = self._index.offers(now, asked=asked)
            self._presumed.note(snapshot, self._index.offered, now)
            for offer in offers:
                if offer.call in self._came and offer.call not in self._not_before:
                    self._asked[offer.call] = offer.agent
                    self._spawn(self._reserve(offer, snapshot))

    async def _reserve(self, offer: Offering, snapshot: Snapshot) -> None:
        # The mirror may have told of the ticket before its writer was.
        await self._came[offer.call].wait()
        at = self._clock.now()
        held = self._held[offer.call]
        plan = reserved(offer, held, snapshot, edge=self._edge, at=at)
        began = time.perf_counter()
        result = await self._store.txn(plan.compares, plan.success, plan.failure)
        spent_ms = 1000.0 * (time.perf_counter() - began)
        landed = landed_at(plan, result)
        self._not_before[offer.call] = result.revision if landed is None else landed
        self._wake.set()
        if landed is None:
            self._refused += 1
            return
        self._latencies_ms.append(spent_ms)
        self._last_s = time.monotonic()
        after = held_after(plan, landed)
        if after is None:
            return
        self._held[offer.call] = after
        await asyncio.sleep(self._order.handling_s)
        ending = Ending(outcome=Outcome.ANSWERED, cause="caller_hung_up")
        await self._carry_out(offer.call, ended(after, ending, WITHDRAWN, self._clock.now()))

    async def _carry_out(self, call: CallId, plan: Plan) -> None:
        result = await self._store.txn(plan.compares, plan.success, plan.failure)
        landed = landed_at(plan, result)
        after = None if landed is None else held_after(plan, landed)
        if after is None:
            self._held.pop(call, None)
            self._came.pop(call, None)
        else:
            self._held[call] = after


async def _work(order: Order) -> Found:
    tls = Tls(ca=Path(order.ca), cert=Path(order.cert), key=Path(order.key))
    store = EtcdStore(ENDPOINTS, tls=tls)
    try:
        site = SiteAtWork(order, store)
        following = asyncio.create_task(site.mirror.run())
        await site.mirror.wait_until(lambda snapshot: QUEUE in snapshot.queues, 10.0)
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        found = await site.run()
        following.cancel()
        return found
    finally:
        await store.close()


if __name__ == "__main__":
    # What is told on standard output is for whoever measures; a mirror that is late says so, too.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found = asyncio.run(_work(msgspec.json.decode(sys.argv[1].encode(), type=Order)))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
