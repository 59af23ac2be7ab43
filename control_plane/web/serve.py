"""Where the wallboard is. A browser that asks for nothing in particular gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from control_plane import pages

HERE: Final = Path(__file__).parent
ROOT: Final = "/wallboard"
PAGE: Final = HERE / "wallboard.html"
OTHERS: Final = tuple(
    HERE / name
    for name in ("wallboard.css", "wallboard.js", "board.js", "session.js", "stream.js", "show.js")
)


def add(app: web.Application) -> None:
    """Add the page. It holds nothing of the center: all that it shows, it asks the API for."""
    pages.add(app, ROOT, PAGE, OTHERS)
    app.router.add_get("/", pages.leading_to(ROOT), allow_head=False)
