"""An answer on the terminal: as JSON, or as a person reads it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from drills.cli.progress import console
from drills.ctl import moves, published, show


def tell(told: Any, *, as_json: bool) -> None:  # noqa: ANN401 - JSON
    """Print an answer."""
    if as_json:
        if told is not None:
            text = msgspec.json.format(msgspec.json.encode(told)).decode()
            sys.stdout.write(text + "\n")
        return
    if not isinstance(told, Mapping):
        console().print(show.answer(told))
        return
    if move := told.get("move"):
        console().print(moves.shown(move))
    if rest := {name: each for name, each in told.items() if name not in _SHOWN}:
        console().print(show.answer(rest))
    if publication := told.get(published.PUBLICATION):
        is_there = publication["is_everywhere"]
        console().print(published.words(publication), style=None if is_there else "bold red")
    if told.get("next"):
        console().print(f"\nThere are more: --all, or --cursor {told['next']}")


_SHOWN: Final = frozenset({"move", published.PUBLICATION})
"""What is told in words or tables of its own."""
