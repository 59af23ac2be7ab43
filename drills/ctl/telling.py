"""An answer on the terminal: as JSON, or as a person reads it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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
    if changes := told.get("changes"):
        _tell_changes(changes)
    if publication := told.get(published.PUBLICATION):
        is_there = publication["is_everywhere"]
        console().print(published.words(publication), style=None if is_there else "bold red")
    if told.get("next"):
        console().print(f"\nThere are more: --all, or --cursor {told['next']}")


def _tell_changes(changes: Sequence[Mapping[str, Any]]) -> None:
    """Print of each table that changed the fields that did."""
    for each in changes[:MOST]:
        before, after = each.get("before") or {}, each.get("after") or {}
        how = "" if before and after else " (added)" if after else " (deleted)"
        console().print(f"\n{each['section']} {each['id']}{how}", style="bold")
        console().print(show.differences(before, after))
    if len(changes) > MOST:
        console().print(f"\nAnd {len(changes) - MOST} more: --json tells all.", style="dim")


MOST: Final = 30
"""So many changed tables are shown one by one."""
_SHOWN: Final = frozenset({"changes", "move", published.PUBLICATION})
"""What is told in words or tables of its own."""
