"""Whole edges in virtual time, two at one site, beside a store that the site can be cut off from.

Edges are `edge.process.EdgeProcess`, with all that it runs, but for sockets: SIP goes by the net of
`lab_in_time`, sound by that of `sound_in_time`, and what they know of their Kamailio by
`kamailio_in_time`, whose gate stands before the telephones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from unittest import mock

from edge.alone.mode import Mode
from edge.commands import Command
from edge.media.relay import Relay
from edge.process import EdgeProcess
from edge.proxy.events import Event
from edge.settings import Settings
from edge.sip import events as sip
from edge.sip.events import Address
from state.errors import OutcomeUnknownError
from state.memory import MemoryStore
from state.model import EdgeId, SiteId
from state.space import Space
from state.store import Compare, Operation, TxnResult
from tests.edge.gated_net import SITES, GatedNet
from tests.edge.kamailio_in_time import Rpc, Stream
from tests.edge.lab_in_time import End
from tests.edge.one_edge import Edge, leaks
from tests.edge.sound_in_time import SoundEngine, SoundRelay
from tests.edge.troubled import TroubledStore
from tests.edge.virtual_time import LoopClock


class Way(TroubledStore):
    """An edge's way to the store; when it is cut, answers that are under way are lost."""

    async def lease_keepalive(self, lease: Any) -> int:  # noqa: ANN401 - passed on
        """Keep a lease."""
        await asyncio.sleep(self.latency_s)
        return await super().lease_keepalive(lease)

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do."""
        result = await super().txn(compares, success, failure, patience_s=patience_s)
        self.refuse_answer()
        return result

    def refuse_answer(self) -> None:
        """Raise if the answer does not come."""
        if self.is_away:
            raise OutcomeUnknownError("no answer")

    async def space(self) -> Space:
        """Return whether there is room."""
        self.refuse()
        return await self.inner.space()

    async def takes_writes(self) -> bool:
        """Say whether there is room."""
        self.refuse()
        return await self.inner.takes_writes()


class NoLog:
    """Keeps no event log."""

    def __init__(self, *_: object, **__: object) -> None: ...

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()

    def decided(self, *_: object, **__: object) -> None:
        """Forget it."""

    def listed(self, *_: object) -> None:
        """Forget it."""

    def changed(self, *_: object) -> None:
        """Forget it."""


class NoProbe:
    """Probes no media."""

    lossy: frozenset[SiteId] = frozenset()

    def __init__(self, **_: object) -> None: ...

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()


class EdgeEnd(End):
    """An edge's SIP endpoint."""

    received = sent = unsent = 0
    waited_s = 0.0


class Engine(SoundEngine):
    """A life's way to the relay, as the edge opens it."""

    async def start(self) -> None:
        """Open nothing."""

    def close(self) -> None:
        """Close nothing."""


class Port:
    """What `CommandPort` is, without a socket; sisters find each other by their files."""

    open: dict[Path, Mapping[str, Command]] = {}  # noqa: RUF012 - all those of a day

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path, self._commands = path, commands

    async def start(self) -> None:
        """Listen."""
        self._path.touch()
        self.open[self._path] = self._commands

    async def close(self) -> None:
        """Stop listening."""
        if self.open.get(self._path) is self._commands:
            del self.open[self._path]
            self._path.unlink(missing_ok=True)


async def ask(path: Path, since: int, again: Sequence[str]) -> Mapping[str, object]:
    """Ask a sister."""
    commands = Port.open.get(path)
    if commands is None:
        raise ConnectionRefusedError
    await asyncio.sleep(0.001)
    return {"ok": True, **await commands["alone"]({"since": since, "again": list(again)})}


class WholeEdge:
    """One life of an edge."""

    def __init__(self, name: str, house: House) -> None:
        self.name = EdgeId(name)
        self.host = SITES[name[0]]
        self.way = Way(house.store)
        self.end: EdgeEnd | None = None
        self._house = house
        house.being_made = self
        self.process = EdgeProcess(
            Settings(
                edge=self.name,
                site=SiteId(name[0]),
                sip=f"{self.host}:{5080 + int(name[1])}",
                kamailio_rpc=Path(self.host),
                evapi=f"{self.host}:8448",
                ng="relay:1",
                etcd=(name,),
                run_dir=house.run_dir / name[0],
                command_socket=house.run_dir / name[0] / f"edge-{name}.sock",
            )
        )
        self.parts = self.process._parts  # noqa: SLF001 - what it is made of
        self.is_dead = False
        self._task: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()

    async def start(self) -> None:
        """Live."""
        self._task = asyncio.create_task(self.process.run(self.stop))

    async def kill(self) -> None:
        """Die without a word."""
        self.is_dead = True
        self.way.is_away = True
        assert self.end is not None
        self.end.close()
        cast("Engine", self.parts.media).die()
        self.parts.journal.close()
        assert self._task is not None
        assert not self._task.done(), self._task
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def left(self) -> list[str]:
        """Name whatever it has yet of any call, or of the time that it was alone."""
        if self.is_dead:
            return []
        parts = self.parts
        assert self.end is not None
        found = [
            *map(str, parts.switchboard.states().items()),
            *map(str, parts.callbacks.stages().items()),
            *(["SIP"] if self.end.stack.legs() else []),
            *([] if parts.alone.mode is Mode.QUORUM else [f"it is {parts.alone.mode}"]),
            *leaks(cast("Edge", parts)),
        ]
        return [f"{self.name}: {each}" for each in found]


class House:
    """A store, Kamailios, relays, and the edges on them."""

    being_made: WholeEdge

    def __init__(self, run_dir: Path, store: MemoryStore, net: GatedNet) -> None:
        self.run_dir, self.store, self.net = run_dir, store, net
        self.relays: dict[str, SoundRelay] = {}
        self.lives: dict[str, int] = {}
        for site in SITES:
            (run_dir / site).mkdir(exist_ok=True)

    def edge(self, name: str) -> WholeEdge:
        """Make a life of an edge."""
        self.lives[name] = self.lives.get(name, 0) + 1
        return WholeEdge(name, self)

    def _sip(self, settings: Settings, on_event: Callable[[sip.Event], None]) -> EdgeEnd:
        host, port = settings.sip.split(":")
        self.being_made.end = EdgeEnd(
            self.net,
            Address(host, int(port)),
            on_event,
            tokens=f"{settings.edge}x{self.lives[settings.edge]}-",
            is_edge=True,
        )
        return self.being_made.end

    def _media(self, settings: Settings) -> Relay:
        return Engine(settings.edge, self.relays[settings.sip.partition(":")[0]])

    def _stream(
        self, *, address: tuple[str, int], name: str, on_event: Callable[[Event], None]
    ) -> Stream:
        del name
        return Stream(self.net.kamailios[address[0]], on_event)

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """Let edges be made on this."""
        Port.open.clear()
        with contextlib.ExitStack() as stack:
            for name, made in {
                "edge.assembly.SystemClock": LoopClock,
                "edge.assembly.sip_endpoint": self._sip,
                "edge.assembly.media_relay": self._media,
                "edge.assembly.MediaProbe": NoProbe,
                "edge.assembly.CommandPort": Port,
                "edge.alone.sister._request": ask,
                "edge.shared.EtcdStore": lambda *_, **__: self.being_made.way,
                "edge.shared.EventLog": NoLog,
                "edge.proxy.proxy.RpcClient": lambda path: Rpc(self.net.kamailios[str(path)]),
                "edge.proxy.proxy.EventStream": self._stream,
                "edge.process.start": mock.Mock(),
            }.items():
                stack.enter_context(mock.patch(name, made))
            yield
