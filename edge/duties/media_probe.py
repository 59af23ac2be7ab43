"""Sends the media probes and counts those of the others: the shell of `edge.steering.paths`.

A UDP port of its own, `PORT_ABOVE` above the edge's SIP port, on the site's network only. It
answers nothing, and counts only what comes from the address of an edge that lives.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from edge.settings import Settings, address
from edge.steering.paths import A_SECOND, Numbered, Paths, pack, unpack
from state.clock import Clock
from state.model import EdgeId, EdgeLife, SiteId

log = structlog.get_logger()

PORT_ABOVE: Final = 1000
PERIOD_S: Final = 1.0
_BUFFER_BYTES: Final = 1 << 20
_LAST_PORT: Final = 65535


class Sender(Protocol):
    """What a probe needs of its socket."""

    def sendto(self, data: bytes, addr: tuple[str, int], /) -> None:
        """Send a datagram."""
        ...


class MediaProbe(asyncio.DatagramProtocol):
    """One edge's part; `on_change` is told which sites are lossy whenever that changes."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        lives: Callable[[], Mapping[EdgeId, EdgeLife]],
        on_change: Callable[[frozenset[SiteId]], None],
    ) -> None:
        self._edge = settings.edge
        self._site = settings.site
        self._at = _port_of(settings.sip)
        self._clock = clock
        self._lives = lives
        self._on_change = on_change
        self._paths = Paths()
        self._known: frozenset[str] = frozenset()
        self._life = secrets.randbits(32)
        self._number = 0
        self.lossy: frozenset[SiteId] = frozenset()

    async def run(self) -> None:
        """Send and count until cancelled."""
        sock = _socket(self._at)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        try:
            while True:
                self.send(transport)
                await asyncio.sleep(PERIOD_S)
                self.look()
        finally:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Count a packet of an edge that we know."""
        packet = unpack(data)
        if packet is not None and addr[0] in self._known:
            self._paths.take(packet, self._clock.now().mono_s)

    def error_received(self, exc: Exception) -> None:
        """Leave it: who does not hear us says so itself."""

    def _others(self) -> Mapping[EdgeId, EdgeLife]:
        return {edge: life for edge, life in self._lives().items() if life.site != self._site}

    def send(self, transport: Sender) -> None:
        """Send a second's packets to every edge of the other sites."""
        targets = [_port_of(life.sip) for life in self._others().values()]
        self._known = frozenset(host for host, _ in targets)
        for _ in range(A_SECOND):
            datagram = pack(Numbered(self._edge, self._life, self._number))
            self._number += 1
            for target in targets:
                transport.sendto(datagram, target)

    def look(self) -> None:
        """See what has arrived of what was sent to us, and tell when that changes."""
        edges = {edge: life.site for edge, life in self._others().items()}
        lossy = self._paths.lossy(edges, self._clock.now().mono_s)
        if lossy != self.lossy:
            log.info("media_paths_changed", lossy=sorted(lossy), were=sorted(self.lossy))
            self.lossy = lossy
            self._on_change(lossy)


def _port_of(sip: str) -> tuple[str, int]:
    host, port = address(sip)
    above = port + PORT_ABOVE
    return host, above if above <= _LAST_PORT else port - PORT_ABOVE


def _socket(at: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in at[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind(at)
    except OSError:
        sock.close()
        raise
    return sock
