"""Health, readiness, metrics and the OpenAPI document: what machines ask before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from control_plane.api.answering import HEADERS
from control_plane.services import SERVICES


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


OPENAPI = web.AppKey("openapi", Document)


async def health(_request: web.Request) -> web.Response:
    """Answer: the process runs and its loop turns."""
    return _json(200, {"status": "up"})


async def ready(request: web.Request) -> web.Response:
    """Answer 200 when requests can be served, else 503 with what is missing."""
    services = request.app[SERVICES]
    has_database = await services.database.is_up()
    parts = {"database": "up" if has_database else "down"}
    status = 200 if has_database else 503
    return _json(status, {"status": "ready" if has_database else "not_ready", "parts": parts})


async def metrics(request: web.Request) -> web.Response:
    """Answer with all figures. They name routes and words of ours, and nobody's data."""
    body = request.app[SERVICES].metrics.render()
    return web.Response(body=body, headers={**HEADERS, "Content-Type": CONTENT_TYPE_LATEST})


async def openapi(request: web.Request) -> web.Response:
    """Answer with the document."""
    body = await request.app[OPENAPI].read()
    return web.Response(body=body, content_type="application/json", headers=HEADERS)


def _json(status: int, content: dict[str, object]) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(content),
        content_type="application/json",
        headers=HEADERS,
    )


def add(app: web.Application) -> None:
    """Add them. They are outside the route table: no subject, no policy, no limit."""
    for path, handler in (
        ("/health", health),
        ("/ready", ready),
        ("/metrics", metrics),
        ("/openapi.json", openapi),
    ):
        app.router.add_get(path, handler, allow_head=False)
