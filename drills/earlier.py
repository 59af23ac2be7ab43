"""The earlier runs of a drill that one can be compared with, from the shelf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drills.charts import LAST_RUNS
from drills.comparison import is_comparable
from drills.evidence import Evidence
from drills.sealing import TamperedError
from drills.shelf import Shelf

MOST_LOOKED_AT: Final = 200
"""Back from this one: comparable ones may be rare (live runs among those of labs)."""


def comparable_before(
    shelf: Shelf, evidence: Evidence, doubt: Callable[[str], None] = lambda _: None
) -> list[Evidence]:
    """Return the last comparable runs before one that stand, the oldest first: a chart's worth.

    `doubt` is told of each run that it came by and that does not stand. Captures are read of those
    alone that are comparable: to read all of hundreds would take longer with every run.
    """
    runs = [run for run in shelf.runs(evidence.experiment.name) if run < evidence.run]
    found: list[Evidence] = []
    for run in reversed(runs[-MOST_LOOKED_AT:]):
        try:
            if is_comparable(evidence, shelf.peek(run)):
                found.append(shelf.read(run))
        except (TamperedError, OSError):
            doubt(run)
        if len(found) == LAST_RUNS - 1:
            break
    return found[::-1]
