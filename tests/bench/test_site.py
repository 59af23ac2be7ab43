"""What a site keeps of its peak under overload, on cores that others use too."""

from __future__ import annotations

import math

import pytest

from loadtests.bench.ladder import Climb
from loadtests.bench.relay.sipp import SIPP
from loadtests.bench.site import PARTS, Effort, Overload, SiteFigures


def figures(*ms: float, peak_ms: float | None = 3.0) -> SiteFigures:
    parts = {} if peak_ms is None else {part: peak_ms / len(PARTS) for part in PARTS}
    overloads = tuple(
        Overload(
            offered_per_s=500.0,
            served_per_s=70.0,
            recovery_s=0.0,
            cores=dict.fromkeys((*PARTS, SIPP), 0.2),
            cpu_ms=each,
        )
        for each in ms
    )
    climb = Climb(highest=100.0, ended_by="125/s: 3 of 500 failed")
    return SiteFigures(effort=Effort(), climb=climb, cpu_ms=parts, overloads=overloads)


def test_what_is_kept_for_a_cpu_second_leaves_out_what_others_took() -> None:
    kept = figures(3.0, 4.0, 6.0).kept_per_cpu
    assert kept is not None
    assert (kept.least, kept.median, kept.most) == (0.5, 0.75, 1.0)


def test_an_overload_in_which_nothing_was_served_has_no_cost_of_a_call() -> None:
    kept = figures(4.0, math.nan).kept_per_cpu
    assert kept is not None
    assert kept.slices == 1
    assert figures(math.nan).kept_per_cpu is None


def test_without_a_clean_slice_at_the_peak_there_is_nothing_to_compare_with() -> None:
    assert figures(4.0, peak_ms=None).as_json()["overload"] == {
        "kept": 0.7,
        "kept_per_cpu": None,
        "recovery_s": 0.0,
        "times": 5.0,
        "times_placed": 5.0,
        "cores": dict.fromkeys((*PARTS, SIPP), pytest.approx(0.2)),
        "spread": {
            "kept": {"median": 0.7, "min": 0.7, "max": 0.7, "slices": 1},
            "recovery_s": {"median": 0.0, "min": 0.0, "max": 0.0, "slices": 1},
        },
    }
