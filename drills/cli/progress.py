"""Progress for people and for logs: `with progress("sites", total=3) as task: task.advance("a")`.

On a terminal: a live bar. Elsewhere, or with NO_COLOR or CI set: a line at the start, one now and
then, one at the end. All on standard error; tables belong on `console()`.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from drills.setup.say import is_live, note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

QUIET_EVERY_S = 10.0
QUIET_WIDTH = 110


class Task(Protocol):
    """Something under way."""

    def advance(self, what: str = "", *, by: float = 1.0) -> None:
        """Say that `by` more units are done and what is at hand now."""


def console(*, aside: bool = False) -> Console:
    """Return the console for results: coloured on a terminal, plain and of one width elsewhere.

    `aside`: on standard error, for what is no result.
    """
    stream = sys.stderr if aside else sys.stdout
    plain = not stream.isatty() or bool(os.environ.get("NO_COLOR") or os.environ.get("CI"))
    width = QUIET_WIDTH if plain else None
    # What people have written may have brackets in it.
    return Console(stderr=aside, no_color=plain, markup=False, highlight=False, width=width)


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Task]:
    """Show `title` until the block ends. Without `total` it only shows that time passes."""
    if is_live():
        with _live_bar() as bar:
            yield _Live(bar, bar.add_task(title, total=total, what=""))
        return
    note(f"{title} ...")
    began = time.monotonic()
    task = _Quiet(title, total, began)
    try:
        yield task
    except BaseException:
        note(f"{title}: stopped after {time.monotonic() - began:.1f} s")
        raise
    note(f"{title}: done after {time.monotonic() - began:.1f} s")


def _live_bar() -> Progress:
    from rich.progress import (  # noqa: PLC0415 - 60 ms that a quiet run need not spend
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}", style="dim"),
        console=Console(stderr=True),
    )


class _Live:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, what: str = "", *, by: float = 1.0) -> None:
        self._bar.update(self._task, advance=by, what=what)


class _Quiet:
    def __init__(self, title: str, total: float | None, began: float) -> None:
        self._title = title
        self._total = total
        self._done = 0.0
        self._said = began

    def advance(self, what: str = "", *, by: float = 1.0) -> None:
        self._done += by
        if time.monotonic() - self._said < QUIET_EVERY_S:
            return
        self._said = time.monotonic()
        of = f" of {self._total:g}" if self._total is not None else ""
        note(f"{self._title}: {self._done:g}{of} {what}".rstrip())
