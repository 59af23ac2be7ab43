"""Health, readiness, metrics and the OpenAPI document: what machines ask before anything else.

Whoever asks is not known, and there is no limit: a probe that is turned away takes a site out. So
none of these costs more for being asked often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from control_plane.api.answering import HEADERS
from control_plane.services import SERVICES, Services

T = TypeVar("T")
KEPT_S: Final = 1.0
"""How old an answer may be that is given once more."""


class Document:
    """The OpenAPI document, made when somebody first asks: that takes as long as much of a start.

    It is made in a thread, so that others are served meanwhile.
    """

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._made: bytes | None = None
        self._making = asyncio.Lock()

    async def read(self) -> bytes:
        """Return it as JSON."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
        return self._made


class Lately(Generic[T]):
    """What is made once a second at most, however many ask: the others wait for the same."""

    def __init__(self, make: Callable[[Services], Awaitable[T]]) -> None:
        self._make = make
        self._made: tuple[float, T] | None = None
        self._making = asyncio.Lock()

    async def read(self, services: Services) -> T:
        """Return it, `KEPT_S` old at most. Raise what making it does."""
        asked_s = services.clock.now().mono_s
        async with self._making:
            if self._made is None or self._made[0] <= asked_s - KEPT_S:
                made = await self._make(services)
                self._made = (services.clock.now().mono_s, made)
            return self._made[1]


OPENAPI = web.AppKey("openapi", Document)
UP = web.AppKey("up", Lately[bool])
FIGURES = web.AppKey("figures", Lately[bytes])


async def health(_request: web.Request) -> web.Response:
    """Answer: the process runs and its loop turns."""
    return _json(200, {"status": "up"})


async def ready(request: web.Request) -> web.Response:
    """Answer 200 when requests can be served, else 503 with what is missing."""
    services = request.app[SERVICES]
    has_database = await request.app[UP].read(services)
    parts = {"database": "up" if has_database else "down"}
    status = 200 if has_database else 503
    return _json(status, {"status": "ready" if has_database else "not_ready", "parts": parts})


async def metrics(request: web.Request) -> web.Response:
    """Answer with all figures. They name routes and words of ours, and nobody's data."""
    body = await request.app[FIGURES].read(request.app[SERVICES])
    return web.Response(body=body, headers={**HEADERS, "Content-Type": CONTENT_TYPE_LATEST})


async def openapi(request: web.Request) -> web.Response:
    """Answer with the document."""
    body = await request.app[OPENAPI].read()
    return web.Response(body=body, content_type="application/json", headers=HEADERS)


async def _has_database(services: Services) -> bool:
    return await services.database.is_up()


async def _figures(services: Services) -> bytes:
    return services.metrics.render()


def _json(status: int, content: dict[str, object]) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(content),
        content_type="application/json",
        headers=HEADERS,
    )


def add(app: web.Application) -> None:
    """Add them. They are outside the route table: no subject, no policy, no limit."""
    app[UP], app[FIGURES] = Lately(_has_database), Lately(_figures)
    for path, handler in (
        ("/health", health),
        ("/ready", ready),
        ("/metrics", metrics),
        ("/openapi.json", openapi),
    ):
        app.router.add_get(path, handler, allow_head=False)
