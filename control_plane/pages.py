"""Serves pages: files of ours that load nothing from outside, and may not, by their policy.

No script, style or address stands in the text of a page, so that the policy needs no exception;
trusted types keep the scripts from writing markup out of what the API answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

from control_plane.api.answering import HEADERS

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
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def add(app: web.Application, root: str, page: str, others: Iterable[Path]) -> None:
    """Serve a page (its HTML) at `root`, and what it loads below that.

    The files are read once: what is served is what was there at the start.
    """
    app.router.add_get(root, _giving(page.encode(), ".html", root), allow_head=False)
    app.router.add_get(f"{root}/", leading_to(root), allow_head=False)
    for file in others:
        giving = _giving(file.read_bytes(), file.suffix, root)
        app.router.add_get(f"{root}/{file.name}", giving, allow_head=False)


def leading_to(path: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return a handler that sends a browser on."""

    async def onward(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=308, headers={**PAGE_HEADERS, "Location": path})

    return onward


def _giving(
    body: bytes, suffix: str, root: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    media_type = _TYPES[suffix]

    async def give(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=body, content_type=media_type, charset="utf-8", headers=PAGE_HEADERS
        )

    give.__name__ = f"{root.removeprefix('/')}_page"
    return give
