"""Where the page of the API is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from control_plane import pages

HERE: Final = Path(__file__).parent
ROOT: Final = "/docs"
PAGE: Final = (HERE / "page.html").read_text()
OTHERS: Final = tuple(
    HERE / name
    for name in ("page.css", "page.js", "schema.js", "trial.js", "elements.js", "octets.js")
)


def add(app: web.Application) -> None:
    """Add the page: it shows what /openapi.json tells anybody; the rest takes a token."""
    pages.add(app, ROOT, PAGE, OTHERS)
