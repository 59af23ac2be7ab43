"""What tables of benchmarks have in common."""

from __future__ import annotations

from typing import Final

from rich.table import Table

from loadtests.bench.stats import Spread

HIGHEST: Final = "highest clean rate, calls/s"


def in_cell(found: Spread | None, digits: int = 2) -> str:
    """Return a median with its least and most; None: there is none."""
    if found is None:
        return "-"
    return f"{found.median:.{digits}f} ({found.least:.{digits}f} to {found.most:.{digits}f})"


def columns(table: Table, *names: str) -> None:
    """Add these columns: what a row is of to the left, figures to the right."""
    for name in names:
        is_name = name in {"", "step", "part"}
        table.add_column(name, justify="left" if is_name else "right")
