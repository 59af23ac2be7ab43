"""What a call costs an edge, counted where every machine counts the same: in calls of functions.

A whole edge process, its sockets real, its store in memory, in virtual time; the crowd of the
benchmark calls it. Time would say how busy this machine is; how many functions of ours a call goes
through says what somebody has added to it.
"""

from __future__ import annotations

import asyncio
import cProfile
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import CodeType

import pytest
from msgspec.structs import replace

import edge.assembly
import edge.shared
from edge.process import EdgeProcess
from edge.settings import Settings
from loadtests.bench.center import DID, configuration
from loadtests.bench.crowd import Crowd
from loadtests.bench.reach import ANSWERED, BRIDGED, QUEUED, Reach
from loadtests.bench.scene import Scene, Way
from state import keys
from state.codec import encode
from state.memory import MemoryStore
from state.model import EdgeId, Presence, PresenceState, Readiness, SiteId, Wish
from state.publishing import publish
from state.store import Compare, Operation, Put, TxnResult, WatchBatch
from tests.edge.virtual_time import LoopClock, in_virtual_time

pytestmark = pytest.mark.parts

LATENCY_S = 0.002
"""Of the store, there and back; what its watch tells comes as late."""
RATE = 80.0
PROJECT = str(Path(edge.shared.__file__).parents[1])


class FarStore(MemoryStore):
    """A store in memory that is a little away."""

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do, half-way through the latency."""
        await asyncio.sleep(LATENCY_S / 2)
        result = await super().txn(compares, success, failure, patience_s=patience_s)
        await asyncio.sleep(LATENCY_S / 2)
        return result

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what happens, late."""
        async with aclosing(super().watch(prefix, from_revision)) as batches:
            async for batch in batches:
                await asyncio.sleep(LATENCY_S / 2)
                yield batch

    async def close(self) -> None:
        """Do nothing."""


class Outside:
    """The crowd on its sockets, in the same event loop."""

    def __init__(self, scene: Scene, sockets: dict[Way, socket.socket]) -> None:
        self._scene = scene
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._crowd = Crowd(scene, "none")
        for way, sock in sockets.items():
            self._loop.add_reader(sock.fileno(), self._readable, way)

    async def call(self, count: int, name: str) -> Crowd:
        """Let so many people call, one after the other; return what became of them."""
        self._crowd = crowd = Crowd(self._scene, name)
        for _ in range(count):
            crowd.call(self._loop.time())
            self._flush()
            await asyncio.sleep(1 / RATE)
        while crowd.under_way:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.05)
        return crowd

    def _readable(self, way: Way) -> None:
        datagram = self._sockets[way].recv(65535)
        now = self._loop.time()
        self._crowd.take(way, datagram, now, now)
        self._flush()

    def _tick(self) -> None:
        self._crowd.tick(self._loop.time())
        self._flush()

    def _flush(self) -> None:
        for way, datagram in self._crowd.outgoing:
            self._sockets[way].send(datagram)
        self._crowd.outgoing.clear()
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._crowd.next_due_s
        self._timer = None if due_s is None else self._loop.call_at(due_s, self._tick)


def _bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    sock.bind((host, 0))
    return sock


async def _furnished(agents_sip: str, *, unserved: bool) -> FarStore:
    store = FarStore(LoopClock())
    configured = configuration(50, agents_sip, unserved=unserved)
    await publish(store, configured)
    for agent in configured.agents:
        wish = Wish(agent=agent.id, readiness=Readiness.READY)
        presence = Presence(agent=agent.id, site=agent.site, state=PresenceState.READY, since_ms=1)
        puts = (
            Put(key=keys.wish(agent.id), value=encode(wish)),
            Put(key=keys.presence(agent.id), value=encode(presence)),
        )
        await store.txn((), puts)
    return store


@asynccontextmanager
async def outside(
    run: Path, patch: Callable[[str, object], None], reach: Reach = BRIDGED
) -> AsyncIterator[Outside]:
    """Run an edge, and give what is around it; calls go as far as `reach`."""
    sockets = {Way.CALLERS: _bound("127.0.0.2"), Way.AGENTS: _bound("127.0.0.3")}
    with _bound("127.0.0.1") as free:
        own = "{}:{}".format(*free.getsockname())
    callers, agents = ("{}:{}".format(*each.getsockname()) for each in sockets.values())
    store = await _furnished(agents, unserved=reach is not BRIDGED)
    patch("edge.shared.EtcdStore", lambda *_, **__: store)
    patch("edge.assembly.SystemClock", LoopClock)
    settings = Settings(
        edge=EdgeId("a1"),
        site=SiteId("a"),
        sip=own,
        kamailio_rpc=run / "rpc",
        evapi="127.0.0.1:9",
        ng="direct",
        etcd=("127.0.0.1:9",),
        run_dir=run,
        command_socket=run / "edge.sock",
    )
    stop = asyncio.Event()
    running = asyncio.create_task(EdgeProcess(settings).run(stop))
    host, _, port = own.rpartition(":")
    for each in sockets.values():
        each.connect((host, int(port)))
    await asyncio.sleep(2.0)
    try:
        scene = Scene(edge=own, callers=callers, agents=agents, did=DID)
        yield Outside(replace(scene, **reach.scene), sockets)
    finally:
        stop.set()
        await running
        for each in sockets.values():
            asyncio.get_running_loop().remove_reader(each.fileno())
            each.close()


def _own_calls(profile: cProfile.Profile) -> int:
    """Return how many times a function of the edge or of the shared state was called."""
    ours = tuple(f"{PROJECT}/{part}/" for part in ("edge", "state"))
    return sum(
        entry.callcount
        for entry in profile.getstats()
        if isinstance(entry.code, CodeType)
        and entry.code.co_filename.startswith(ours)
        and not entry.code.co_filename.endswith(("state/memory.py", "state/nesting.py"))
    )


@in_virtual_time
async def test_a_call_goes_through_no_more_functions_than_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with outside(tmp_path, monkeypatch.setattr) as around:
        warm = await around.call(20, "warm")
        assert warm.ledger.summary(1.0).is_clean
        profile = cProfile.Profile()
        profile.enable()
        crowd = await around.call(80, "counted")
        profile.disable()
    assert crowd.ledger.summary(1.0).is_clean
    assert _own_calls(profile) / 80 < MOST_CALLS


@pytest.mark.parametrize("reach", [ANSWERED, QUEUED], ids=lambda each: each.name)
@in_virtual_time
async def test_calls_whose_callers_are_alone_ring_nobody_and_end_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: Reach
) -> None:
    async with outside(tmp_path, monkeypatch.setattr, reach) as around:
        crowd = await around.call(20, "alone")
    assert crowd.ledger.summary(1.0).is_clean
    assert crowd.ledger.done == 20
    assert crowd.ledger.to_agent_s == []


MOST_CALLS = 2650
"""Functions of ours that one call may go through; 2,290 when this was written. Whoever adds a
tenth says why: 2,621 since the journal knows what the relay has done of a call (two notes more),
descriptions are read for codecs that are not ours, and agents who are callers are looked for."""
