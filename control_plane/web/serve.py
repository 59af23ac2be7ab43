"""Where the wallboard and the recordings are. Who asks for nothing in particular gets the first."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from control_plane import pages

HERE: Final = Path(__file__).parent


class Served(NamedTuple):
    """A page, and what lies below its root; one page may load what lies below another's."""

    root: str
    page: Path
    others: tuple[Path, ...]


def _served(name: str, *others: str) -> Served:
    return Served(f"/{name}", HERE / f"{name}.html", tuple(HERE / each for each in others))


PAGES: Final = (
    _served(
        "wallboard",
        "wallboard.css",
        "wallboard.js",
        "board.js",
        "session.js",
        "stream.js",
        "show.js",
        "actions.js",
        "oidc.js",
    ),
    _served("recordings", "recordings.css", "recordings.js", "marks.js", "sound.js", "waveform.js"),
)


def add(app: web.Application) -> None:
    """Add the pages. They hold nothing of the center: all that they show, they ask the API for."""
    for root, page, others in PAGES:
        pages.add(app, root, page, others)
    app.router.add_get("/", pages.leading_to(PAGES[0].root), allow_head=False)
