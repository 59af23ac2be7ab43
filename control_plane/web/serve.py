"""Where the wallboard and the recordings are. Who asks for nothing in particular gets the first.

What both have (head, signing in, footer) is `frame.html`; a page of its own is its main part.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final, NamedTuple

from aiohttp import web

from control_plane import pages

HERE: Final = Path(__file__).parent


class Served(NamedTuple):
    """A page, and what lies below its root; one page may load what lies below another's."""

    root: str
    page: str
    others: tuple[Path, ...]


def _served(name: str, *others: str) -> Served:
    frame = Template((HERE / "frame.html").read_text())
    page = frame.substitute(name=name, main=(HERE / f"{name}.html").read_text())
    own = (f"{name}.css", f"{name}.js", *others)
    return Served(f"/{name}", page, tuple(HERE / each for each in own))


PAGES: Final = (
    _served(
        "wallboard",
        "actions.js",
        "along.js",
        "board.js",
        "entrance.js",
        "frame.css",
        "oidc.js",
        "session.js",
        "show.js",
        "stream.js",
    ),
    _served("recordings", "marks.js", "sound.js", "waveform.js"),
)


def add(app: web.Application) -> None:
    """Add the pages. They hold nothing of the center: all that they show, they ask the API for."""
    for root, page, others in PAGES:
        pages.add(app, root, page, others)
    app.router.add_get("/", pages.leading_to(PAGES[0].root), allow_head=False)
