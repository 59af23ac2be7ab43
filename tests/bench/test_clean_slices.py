"""What a call costs is told by slices in which calls did not fail: those that do cost less."""

from __future__ import annotations

from typing import Any

from loadtests.bench.breadth import Breadth, Found
from loadtests.bench.growth import Effort, GrowthFigures, Size
from loadtests.bench.ledger import Summary
from loadtests.bench.sites import Sites
from loadtests.bench.stage import Slice

OFFERED = 100


def measured(cost_ms: float, *, refused: int = 0) -> Slice:
    """Return a slice of which each call took so much of the edge, and half of an onlooker."""
    spent_s = OFFERED * cost_ms / 1e3
    summary = Summary(
        offered=OFFERED,
        done=OFFERED - refused,
        failures={"INVITE got 503": refused} if refused else {},
        repeated=0,
        late_first_answers=0,
        to_agent_p50_ms=10 * cost_ms,
        to_agent_p99_ms=20.0,
        to_agent_max_ms=30.0,
        answered_p99_ms=5.0,
        lag_ms=0.0,
        behind_s=0.0,
        took_s=1.0,
    )
    return Slice(
        summary=summary,
        edge_s=spent_s,
        edge_loop_s=spent_s,
        second_s=spent_s / 2,
        generator_s=0.0,
        etcd_s=0.0,
        relay_s=0.0,
    )


CLEAN, FAILED = measured(4.0), measured(0.5, refused=90)
SOME = (FAILED, CLEAN, FAILED)


def size(*slices: Slice) -> Size:
    return Size(agents=100, slices=slices, idle_ms=0.0, memory_kb=1, etcd={})


def test_of_a_center_that_grows_failed_calls_cost_nobody_less() -> None:
    found = size(*SOME)
    assert (found.cpu_ms.median, found.cpu_ms.slices) == (4.0, 1)
    assert found.onlooker_ms.median == 2.0
    told: Any = GrowthFigures(effort=Effort(), sizes=(found,)).as_json()
    assert len(told["growth"]["100"]["dirt"]) == 2


def test_where_no_slice_was_clean_all_are_told_with_what_was_not() -> None:
    assert size(FAILED, FAILED).cpu_ms.slices == 2


def test_so_it_is_of_more_sites_and_of_broader_centers() -> None:
    sites = Sites(edge_idle_ms=0.0, idle_ms=0.0, slices={20.0: SOME, 80.0: (FAILED,)})
    assert sites.cpu_ms.median == 4.0
    assert sites.onlookers_ms.median == 2.0
    assert sites.to_agent_ms(20.0).median == 40.0
    assert sites.to_agent_ms(80.0).median == 5.0, "there was none that was clean"
    assert Found(breadth=Breadth(), slices=SOME, idle_ms=0.0).cpu_ms.median == 4.0
