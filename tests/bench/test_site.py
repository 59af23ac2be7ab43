"""What a site keeps of its peak under overload, on cores that others use too."""

from __future__ import annotations

import math
from typing import cast

import pytest
from msgspec.structs import replace

from loadtests.bench import report
from loadtests.bench.cpu import Look
from loadtests.bench.ladder import Climb, Climbs
from loadtests.bench.relay.sipp import SIPP, Run, Span, Tally
from loadtests.bench.site import (
    PARTS,
    Effort,
    Overload,
    Site,
    SiteFigures,
    costs,
    overload,
)


def figures(*ms: float, peak_ms: float | None = 3.0) -> SiteFigures:
    parts = {} if peak_ms is None else {part: peak_ms / len(PARTS) for part in PARTS}
    overloads = tuple(
        Overload(
            offered_per_s=500.0,
            served_per_s=70.0,
            recovery_s=0.0,
            drained_s=8.5,
            cores=dict.fromkeys((*PARTS, SIPP), 0.2),
            cpu_ms=each,
        )
        for each in ms
    )
    rates = {50.0: "a stall", 100.0: "125/s: 3 of 500 failed", 125.0: "156/s: 1 of 600 failed"}
    looks = tuple(Climb(highest=rate, ended_by=why) for rate, why in rates.items())
    return SiteFigures(
        effort=Effort(), climbs=Climbs(each=looks), cpu_ms=parts, peak_cores={}, overloads=overloads
    )


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
        "drained_s": 8.5,
        "times": 5.0,
        "times_placed": 5.0,
        "cores": dict.fromkeys((*PARTS, SIPP), pytest.approx(0.2)),
        "spread": {
            "kept": {"median": 0.7, "min": 0.7, "max": 0.7, "slices": 1},
            "recovery_s": {"median": 0.0, "min": 0.0, "max": 0.0, "slices": 1},
        },
    }


def test_the_highest_clean_rate_is_the_median_of_looks_and_tells_their_spread() -> None:
    assert figures(4.0).as_json()["site"] == {
        "calls_per_s": 100.0,
        "cpu_ms": dict.fromkeys(PARTS, 0.75),
        "cores": {},
        "ended_the_ladder": "125/s: 3 of 500 failed",
        "spread": {"calls_per_s": {"median": 100.0, "min": 50.0, "max": 125.0, "slices": 3}},
    }


def test_people_read_the_rate_with_its_spread(capsys: pytest.CaptureFixture[str]) -> None:
    report.site(figures(4.0))
    printed = capsys.readouterr().out
    assert "100 (50 to 125)" in printed
    assert "5 looks" in printed
    assert "125/s: 3 of 500 failed" in printed


class Overloaded:
    """A site that has been overloaded, and is clean again in the slice of that number."""

    def __init__(self, clean_at: float) -> None:
        self.clean_at = clean_at
        self.slices = 0

    async def paid_slice(self, rate: float, seconds: float) -> tuple[Run, dict[str, float]]:
        """Say what SIPp has counted."""
        steady = Span(first_s=1.0, last_s=seconds - 1.0, placed=round(4 * rate), succeeded=400)
        tally = Tally(created=9, succeeded=4, failed=5, retransmissions=0, steady=steady)
        looks = tuple(
            Look(at_s=at_s, spent_s=dict.fromkeys((*PARTS, SIPP), at_s / 9)) for at_s in (1.0, 5.0)
        )
        return Run(tally=tally, own_s=1.0, looks=looks, took_s=13.0), dict.fromkeys(PARTS, 0.5)

    async def slice(self, rate: float, seconds: float) -> Tally:
        """Say how one slice went."""
        assert rate * seconds > 0
        self.slices += 1
        failed = 0 if self.slices >= self.clean_at else 1
        return Tally(created=5, succeeded=5 - failed, failed=failed, retransmissions=0)


async def overloaded(clean_at: float) -> Overload:
    return await overload(cast("Site", Overloaded(clean_at)), 100.0, Effort())


async def test_a_site_that_is_never_clean_again_has_not_recovered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtests.bench.site.RECOVERS_WITHIN_S", 0.02)
    found = await overloaded(math.inf)
    assert found.recovery_s == math.inf
    assert (await overloaded(2)).recovery_s < 0.02


async def test_how_long_sipp_waited_for_its_last_answers_is_told_beside() -> None:
    assert (await overloaded(1)).drained_s == 8.0


class Clean(Overloaded):
    """A site that serves all of a slice."""

    async def paid_slice(self, rate: float, seconds: float) -> tuple[Run, dict[str, float]]:
        """Say that all went well."""
        run, spent = await super().paid_slice(rate, seconds)
        whole = Tally(created=5, succeeded=5, failed=0, retransmissions=0, steady=run.tally.steady)
        return replace(run, tally=whole), spent


async def test_the_cores_at_the_peak_are_told_with_the_generator_s() -> None:
    ms, cores = await costs(cast("Site", Clean(1)), 100.0, 6.0)
    assert ms == dict.fromkeys(PARTS, 100.0)
    assert cores == dict.fromkeys((*PARTS, SIPP), pytest.approx(1 / 9))
