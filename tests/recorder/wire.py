"""Sites that bring each other copies, joined in memory: what goes over the line is as it would be.

Each has a store, a spool and keys of its own, and records under its own name.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from custody.keyring import Keyring
from custody.store import RecordingStore
from edge.recorder.ledger import Ledger
from edge.recorder.receiving import Receiver
from edge.recorder.replication import Replicator
from tests.recorder.made import PUBLIC, Archive


class Answer:
    """What comes back."""

    def __init__(self, response: web.Response) -> None:
        self.status = response.status
        self._body = response.body or b""

    def raise_for_status(self) -> None:
        """Raise where it is none that one wants."""
        if self.status >= 400:
            raise aiohttp.ClientError(str(self.status))

    async def read(self) -> bytes:
        """Return what it says."""
        assert isinstance(self._body, bytes)
        return self._body

    async def text(self) -> str:
        """Return that as text."""
        return (await self.read()).decode()


class Wire:
    """Stands for the client's session of every site."""

    def __init__(self) -> None:
        self.receivers: dict[str, Receiver] = {}
        self.away: set[str] = set()
        self.brought: list[tuple[str, str]] = []
        """To whom, and what, each time."""

    @asynccontextmanager
    async def get(self, url: str, **_: object) -> AsyncIterator[Answer]:
        """Ask."""
        parts = URL(url)
        receiver = self._receiver(parts)
        if parts.path == "/store":
            yield Answer(await receiver._tell(_request("GET", "")))  # noqa: SLF001 - its route
        else:
            yield Answer(await receiver._show(_request("GET", _name(parts))))  # noqa: SLF001 - its route

    @asynccontextmanager
    async def put(
        self, url: str, *, data: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[Answer]:
        """Bring."""
        parts = URL(url)
        receiver = self._receiver(parts)
        self.brought.append((str(parts.host), _name(parts)))
        request = _request("PUT", _name(parts), data, headers)
        yield Answer(await receiver._take(request))  # noqa: SLF001 - its route

    def _receiver(self, parts: URL) -> Receiver:
        if parts.host in self.away or parts.host not in self.receivers:
            raise aiohttp.ClientConnectionError(f"{parts.host} is away")
        return self.receivers[parts.host]


class Site:
    """One of them."""

    def __init__(self, wire: Wire, folder: Path, name: str, peers: tuple[str, ...]) -> None:
        self.wire, self.folder, self.name, self.peers = wire, folder, name, peers
        self.archive = Archive(folder, name)
        self.ring: Keyring = self.archive.ring
        self.start()

    def start(self) -> None:
        """Begin another life of its recorder."""
        self.store = RecordingStore.open(str(self.archive.store))
        known = dict.fromkeys(("a", "b", "c"), PUBLIC)
        ledger = Ledger(self.archive.spool / "replicated")
        self.wire.receivers[self.name] = Receiver(
            site=self.name, store=self.store, recorders=known, ring=self.ring, ledger=ledger
        )
        self.replicator = Replicator(
            store=self.store,
            recorder=self.name,
            recorders=known,
            peers=self.peers,
            tls=ssl.create_default_context(),
            ledger=ledger,
        )

    def lose_store(self, *, spool: bool = False) -> None:
        """Set its store up anew, with nothing in it; `spool`: and all else that it has."""
        shutil.rmtree(self.archive.store)
        if spool:
            shutil.rmtree(self.archive.spool)
            self.archive.spool.mkdir()
        self.start()

    async def record(self, *calls: str, seconds: float = 1.2) -> None:
        """Have recordings in the store."""
        for call in calls:
            self.archive.record(call, seconds)
            self.archive.end()
        await self.archive.ship()

    async def ask(self) -> None:
        """Let it ask which stores the others have."""
        await self.replicator._peers.ask(self.session)  # noqa: SLF001 - one turn of its loop

    async def turn(self) -> None:
        """Let it do so, and send what is due, once."""
        await self.ask()
        await self.replicator._send_new(self.session)  # noqa: SLF001 - one turn of its loop

    @property
    def session(self) -> Any:  # noqa: ANN401 - it stands for a session
        """Return its way to the others."""
        return self.wire

    async def has(self) -> set[str]:
        """Return the recordings of its store that are whole."""
        library = self.archive.library()
        names = [each async for each in self.store.manifests("main")]
        return {each for each in names if not await library.verify("main", each)}


def _name(parts: URL) -> str:
    return parts.path.removeprefix("/objects/")


def _request(
    method: str, name: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> web.Request:
    payload = StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(body)
    payload.feed_eof()
    return make_mocked_request(
        method, f"/objects/{name}", headers or {}, match_info={"name": name}, payload=payload
    )


async def three(folder: Path) -> tuple[Wire, Site, Site, Site]:
    """Return three sites that all have each other's keys, and the line between them."""
    wire = Wire()
    a = Site(wire, folder / "a", "a", ("b", "c"))
    b = Site(wire, folder / "b", "b", ("a", "c"))
    c = Site(wire, folder / "c", "c", ("a", "b"))
    await a.archive.make_key()
    for each in (b, c):
        each.ring.add(a.ring.newest("main"))
    return wire, a, b, c
