"""`bench all` as it is carried out: one piece after the other, whatever becomes of each.

What is measured is written at once. A piece that goes wrong is named with its reason, and the
others are measured all the same; who goes on with the file tries it again, after those that have
not been tried yet.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from drills.cli.errors import Exit
from drills.figures_file import write_figures
from drills.lab.errors import LabError
from drills.setup.say import note
from loadtests.bench import together
from loadtests.bench.errors import BenchError
from loadtests.bench.together import Piece

Measure = Callable[[Piece], Awaitable[Mapping[str, Any]]]


class Order(Struct, frozen=True, kw_only=True):
    """What is asked for."""

    pieces: tuple[Piece, ...]
    file: Path | None
    """Of figures."""
    is_resumed: bool
    """Go on with what the file has."""
    minutes: float
    """After which no piece is begun; 0: however long it takes."""
    is_quick: bool = False
    """How long a piece takes otherwise says nothing then."""


class Kept(Struct, frozen=True, kw_only=True):
    """What there is so far; both by piece, and no piece is in both."""

    found: dict[str, Mapping[str, Any]]
    failed: dict[str, str]
    """With the reason."""

    def measured(self, piece: Piece, figures: Mapping[str, Any]) -> None:
        """Take in what a piece has come to."""
        self.found[piece.name] = figures
        self.failed.pop(piece.name, None)


async def carry_out(order: Order, measure: Measure) -> Exit:
    """Measure what is left to measure; say at the end what went wrong, and what is left.

    FAILED: a piece went wrong. UNFINISHED: none did, and time was up before all had been begun.
    BenchError: the file of figures cannot be gone on with, or not be written.
    """
    kept = _taken_up(order) if order.is_resumed else Kept(found={}, failed={})
    todo = together.left(order.pieces, kept.found, kept.failed)
    ends_s = time.monotonic() + 60.0 * (order.minutes or math.inf)
    begun: list[Piece] = []
    for piece in todo:
        if time.monotonic() > ends_s:
            break
        begun.append(piece)
        note(_at_hand(order, kept, todo, piece))
        await _one(kept, piece, measure)
        _write(order.file, kept)
    _write(order.file, kept)
    wrong = [piece.name for piece in begun if piece.name in kept.failed]
    if left := todo[len(begun) :]:
        names = ", ".join(piece.name for piece in left)
        note(f"time is up; left: {names}; `--resume` goes on with the file of figures")
    for name in wrong:
        note(f"failed: {name}: {kept.failed[name].partition(chr(10))[0]}")
    if wrong:
        return Exit.FAILED
    return Exit.UNFINISHED if left else Exit.OK


def _at_hand(order: Order, kept: Kept, todo: Sequence[Piece], piece: Piece) -> str:
    """Return which piece is begun, and about how long it and all that are left will take."""
    number = todo.index(piece)
    told = f"piece {piece.name}: {number + 1} of {len(todo)}"
    took_s = {
        name: float(each[together.TOOK])
        for name, each in kept.found.items()
        if isinstance(each.get(together.TOOK), int | float)
    }
    mine_s, all_s = (together.still_s(some, took_s) for some in ((piece,), todo[number:]))
    if not order.is_quick and (mine_s is None or all_s is None):
        mine_s, all_s = (together.usually_s(some) for some in ((piece,), todo[number:]))
    if mine_s is None or all_s is None:
        return told
    return f"{told}; it takes about {_minutes(mine_s)}, all that is left {_minutes(all_s)}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"  # noqa: PLR2004


async def _one(kept: Kept, piece: Piece, measure: Measure) -> None:
    began_s = time.monotonic()
    try:
        figures = await measure(piece)
    except Exception as error:  # noqa: BLE001 - the others are measured whatever went wrong in it
        kept.failed[piece.name] = reason(error)
        note(f"piece {piece.name} failed: {kept.failed[piece.name]}")  # with the end of a log
    else:
        kept.measured(piece, {**figures, together.TOOK: round(time.monotonic() - began_s, 1)})


def reason(error: Exception) -> str:
    """Return why a piece failed; of what nobody has foreseen, also where it came up."""
    if isinstance(error, BenchError | LabError):
        return str(error)
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    what = ": ".join(filter(None, (type(error).__name__, str(error))))
    if trace is None:
        return what
    return f"{what} ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"


def _taken_up(order: Order) -> Kept:
    """Return what is gone on with: what was measured with less effort than now is not."""
    kept = _read(order.file)
    hurried = [name for name, each in kept.found.items() if each.get(together.QUICK)]
    if order.is_quick or not hurried:
        return kept
    note(f"measured with --quick, and left out: {', '.join(hurried)}")
    found = {name: each for name, each in kept.found.items() if name not in hurried}
    return Kept(found=found, failed=kept.failed)


def _read(file: Path | None) -> Kept:
    """Return what the file of figures has. BenchError: there is no such file."""
    if file is None:
        raise BenchError("--resume goes on with a file of figures: name it by --json")
    try:
        whole = json.loads(file.read_text()) if file.exists() else {together.KEPT: {}}
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{file} holds no figures of `bench all`: {error}") from error
    found = whole.get(together.KEPT) if isinstance(whole, dict) else None
    if not (isinstance(found, dict) and all(isinstance(each, dict) for each in found.values())):
        raise BenchError(f"{file} holds no figures of `bench all`: it has no {together.KEPT!r}")
    failed = whole.get(together.FAILED)
    told = failed.items() if isinstance(failed, dict) else ()
    return Kept(found=found, failed={name: str(why) for name, why in told if name not in found})


def _write(file: Path | None, kept: Kept) -> None:
    if file is None:
        return
    try:
        write_figures(file, together.figures(kept.found, kept.failed))
    except OSError as error:
        raise BenchError(f"{file} cannot be written: {error.strerror}") from error
