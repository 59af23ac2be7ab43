"""The listening socket, and what is done with clients that are slower than anybody has to be."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from asyncio.trsock import TransportSocket
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_USER_TIMEOUT
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from control_plane.api import answering
from control_plane.api.metrics import Metrics
from control_plane.errors import BAD_REQUEST, ApiError
from control_plane.services import SERVICES
from control_plane.settings import Settings
from state.discreet import fault

log = structlog.get_logger()
KEEPALIVE_S: Final = 30.0
SHUTDOWN_S: Final = 3.0
LOOK_EVERY_S: Final = 1.0


class _Connection(RequestHandler):
    """Whoever sends what is no HTTP is told so by a problem, as of everything else."""

    __slots__ = ()

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ANN401 - as it is there
        """Write down a fault outside of any request; what a client sends behind its end is none."""
        error = kw.get("exc_info")
        if isinstance(error, (web.RequestPayloadError, ConnectionError)):
            log.info("rest_not_understood", **fault(error))
        else:
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what never became a request. aiohttp's own quotes what was sent."""
        super().handle_error(request, status, exc, message)  # writes down which fault it was
        request_id = secrets.token_hex(12)
        log.warning("not_understood", request=request_id)
        made = answering.problem(ApiError(BAD_REQUEST, "It is no HTTP/1.1."), request_id)
        answering.sign(made, request_id)
        made.force_close()
        return made


class Listener:
    """Serves an application while it is entered."""

    def __init__(self, app: web.Application, settings: Settings) -> None:
        self._settings = settings
        self._metrics: Metrics = app[SERVICES].metrics
        self._runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
        self._server: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            self._server = await self._listen()
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
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    async def _listen(self) -> asyncio.Server:
        settings, loop = self._settings, asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if settings.tls_cert and settings.tls_key:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
            # Whoever does not even greet is no connection yet that `_cut_off_the_silent` could see.
            tls = {"ssl": context, "ssl_handshake_timeout": settings.limits.header_s}
        if settings.listen is None:
            return await loop.create_unix_server(self._connected, str(settings.listen_unix), **tls)
        host, _, port = settings.listen.rpartition(":")
        return await loop.create_server(
            self._connected, host.strip("[]"), int(port), reuse_address=True, **tls
        )

    def _connected(self) -> RequestHandler:
        server = self._runner.server
        if server is None:
            raise RuntimeError("nobody serves any more")
        kept: dict[str, Any] = {"keepalive_timeout": KEEPALIVE_S, "access_log": None}
        return _Connection(server, loop=asyncio.get_running_loop(), **kept)

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
