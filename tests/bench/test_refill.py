"""How soon all are rung again who are freed at once."""

from __future__ import annotations

import math

import pytest

from loadtests.bench.queue.generator import Refill, Told
from loadtests.bench.queue.measure import Effort, QueueFigures


def figures(*refills: Refill) -> QueueFigures:
    runs = tuple(
        Told(efficiency=0.99, idles=[], refills=[each], calls=9, failures={}) for each in refills
    )
    return QueueFigures(effort=Effort(agents=2), runs=runs, steps=())


ALL = Refill(freed=2, rung_ms=[120.0, 340.0])


def test_it_took_as_long_as_the_last_waited() -> None:
    assert figures(ALL).refill_s.median == pytest.approx(0.34)


@pytest.mark.parametrize(
    "other",
    [Refill(freed=2, rung_ms=[]), Refill(freed=2, rung_ms=[90.0]), Refill(freed=0, rung_ms=[])],
    ids=["nobody was rung", "one was not", "nobody was freed"],
)
def test_where_not_all_were_rung_again_it_did_not_end(other: Refill) -> None:
    assert math.isinf(figures(other).refill_s.median)
    found = figures(ALL, other, ALL).refill_s
    assert found.median == pytest.approx(0.34)
    assert math.isinf(found.most)
    assert figures(other).as_json()["refill_2_s"] == math.inf
