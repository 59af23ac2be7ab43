"""Serves the page's files. It loads nothing from outside, and may not: its policy says so.

No script, style or address stands in the text of the page, so that the policy needs no exception;
trusted types keep the scripts from writing markup out of what the API answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from control_plane.api.answering import HEADERS

HERE: Final = Path(__file__).parent
FILES: Final = {
    "/docs": ("page.html", "text/html"),
    "/docs/page.css": ("page.css", "text/css"),
    "/docs/page.js": ("page.js", "text/javascript"),
    "/docs/schema.js": ("schema.js", "text/javascript"),
    "/docs/trial.js": ("trial.js", "text/javascript"),
    "/docs/elements.js": ("elements.js", "text/javascript"),
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE_HEADERS: Final = {
    **HEADERS,
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}


def add(app: web.Application) -> None:
    """Add the page. Whoever opens it sees what /openapi.json tells anybody; the rest takes a token.

    The files are read once: what is served is what was there at the start.
    """
    for path, (name, media_type) in FILES.items():
        app.router.add_get(path, _giving((HERE / name).read_bytes(), media_type), allow_head=False)
    app.router.add_get("/", _to_page, allow_head=False)
    app.router.add_get("/docs/", _to_page, allow_head=False)


async def _to_page(_request: web.Request) -> web.Response:
    return web.Response(status=308, headers={**PAGE_HEADERS, "Location": "/docs"})


def _giving(body: bytes, media_type: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def docs_page(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=body, content_type=media_type, charset="utf-8", headers=PAGE_HEADERS
        )

    return docs_page
