"""`bench scale`: reads files of figures, and prints what follows from them (docs/scale.md).

Measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from drills.cli.progress import console
from loadtests.bench.errors import BenchError
from loadtests.bench.scale import (
    DEMANDS,
    MILLION,
    PAGE,
    PAGE_LARGE,
    PLANNED,
    Measured,
    cell,
    cells_for,
    figures,
    measured_in,
    rows,
    without_a_site,
)
from loadtests.bench.together import QUICK


def show(files: Sequence[Path]) -> dict[str, object]:
    """Print what follows from these files; without any, from what the page reckons with.

    Returns it as JSON values, by number of agents. BenchError: a file holds no such figures.
    """
    found = _read(files) if files else [PAGE, PAGE_LARGE]
    for measured in found:
        console().print(_table(measured), *_lines(measured), sep="\n")
    return {"scale": {str(each.agents): figures(each) for each in found}}


def _read(files: Sequence[Path]) -> list[Measured]:
    whole: dict[str, Any] = {}
    for file in files:
        try:
            read = json.loads(file.read_text())
        except OSError as error:
            raise BenchError(f"{file} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise BenchError(f"{file} holds no figures: {error}") from error
        if not isinstance(read, dict):
            raise BenchError(f"{file} holds no figures")
        if read.get(QUICK):
            raise BenchError(f"{file}: its figures were measured with --quick, and mean little")
        whole |= read
    named = ", ".join(map(str, files))
    try:
        return measured_in(whole)
    except BenchError as error:
        raise BenchError(f"{named}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BenchError(f"{named}: no figures of `bench all`: {error!r}") from error


def _table(measured: Measured) -> Table:
    table = Table(
        title=f"{measured.agents:,} agents: a call takes {measured.own_ms:.2f} ms of its edge,"
        f" {measured.onlooker_ms:.2f} ms of each other, {measured.writes:g} of"
        f" {measured.etcd_writes_per_s:,.0f} transactions a second"
    )
    for name in ("edges in the cell", "calls/s by the edges", "by etcd", "carried"):
        table.add_column(name, justify="right")
    for row in rows(measured):
        table.add_row(*row)
    return table


def _lines(measured: Measured) -> list[str]:
    carried = cell(measured, PLANNED).calls_per_s
    left = without_a_site(measured)
    return [
        f"a cell of {PLANNED} edges that has lost a site carries {left.calls_per_s:,.0f} calls/s",
        *(
            f"a million agents with calls of {demand.handling_s:g} s:"
            f" {demand.calls_per_s(MILLION):,.0f} calls/s,"
            f" {cells_for(MILLION, measured, PLANNED, demand)} cells of {PLANNED} edges"
            f" and {demand.agents(carried):,.0f} agents"
            for demand in DEMANDS
        ),
    ]
