"""The listening socket, and what is done with clients that are slower than anybody has to be."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from asyncio.trsock import TransportSocket
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_USER_TIMEOUT
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from control_plane.api.metrics import Metrics
from control_plane.services import SERVICES
from control_plane.settings import Settings

KEEPALIVE_S: Final = 30.0
SHUTDOWN_S: Final = 3.0
LOOK_EVERY_S: Final = 1.0


class Listener:
    """Serves an application while it is entered."""

    def __init__(self, app: web.Application, settings: Settings) -> None:
        self._settings = settings
        self._metrics: Metrics = app[SERVICES].metrics
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=SHUTDOWN_S,
        )
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await self._site().start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self._watch = asyncio.create_task(self._cut_off_the_silent())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._runner.cleanup()

    def _site(self) -> web.BaseSite:
        settings, tls = self._settings, None
        if settings.tls_cert and settings.tls_key:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            tls.load_cert_chain(settings.tls_cert, settings.tls_key)
        if settings.listen is None:
            return web.UnixSite(self._runner, str(settings.listen_unix), ssl_context=tls)
        host, _, port = settings.listen.rpartition(":")
        return web.TCPSite(
            self._runner, host.strip("[]"), int(port), ssl_context=tls, reuse_address=True
        )

    async def _cut_off_the_silent(self) -> None:
        """Abort connections whose first request has not come whole in time.

        aiohttp itself cuts off what dribbles after the first request, and nothing before it.
        """
        server = self._runner.server
        since: dict[RequestHandler, float] = {}
        while server is not None:
            now = asyncio.get_running_loop().time()
            since = {each: since.get(each, now) for each in server.connections}
            for connection, began in since.items():
                if began == now:
                    self._limit_sending(connection)
                has_asked = connection._request_count > 0  # noqa: SLF001 - nobody else tells
                if not has_asked and now - began > self._settings.limits.header_s:
                    self._metrics.cut_off.labels("no_request").inc()
                    connection.force_close()
                    if connection.transport is not None:
                        connection.transport.abort()
            await asyncio.sleep(LOOK_EVERY_S)

    def _limit_sending(self, connection: RequestHandler) -> None:
        """Let the kernel end what a client does not take."""
        transport = connection.transport
        found: object = transport.get_extra_info("socket") if transport is not None else None
        if isinstance(found, TransportSocket) and found.family in (AF_INET, AF_INET6):
            ms = int(self._settings.limits.send_s * 1000)
            found.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, ms)
