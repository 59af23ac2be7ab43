"""How often `bench all` measures what it tells medians of."""

from __future__ import annotations

import importlib
from typing import get_args

import pytest
from msgspec.structs import replace

from drills.cli.bench import Quick
from loadtests.bench import growth
from loadtests.bench.__main__ import MODULES
from loadtests.bench.distance import measure as distance
from loadtests.bench.edges import EdgesFigures
from loadtests.bench.edges import Effort as EdgesEffort
from loadtests.bench.ladder import Climb, Climbs
from loadtests.bench.queue import measure as queue
from loadtests.bench.queue.generator import Refill, Told
from loadtests.bench.relay.compared import Compared, Cost
from loadtests.bench.relay.proxies import ALL, KEMI, PLAIN
from loadtests.bench.together import PIECES, Piece

FEWEST = 5
FEWER = {
    "relay": {"climbs": 3},
    "relay-rtpengine": {"climbs": 3},
    "edge": {"climbs": 3},
    "edge-answered": {"climbs": 3},
    "edges": {"climbs": 3},
    "distance-here": {"rounds": 3},
    "distance-elsewhere": {"rounds": 3},
}
"""What would take some two minutes more, or longer: the figures say how many there were."""


@pytest.mark.parametrize("piece", PIECES, ids=lambda each: each.name)
def test_a_median_is_one_of_five_runs_or_is_known_to_be_of_fewer(piece: Piece) -> None:
    module = importlib.import_module(f"loadtests.bench.{MODULES[piece.bench]}")
    effort = replace(module.Effort(), **piece.effort)
    counts = {
        name: count
        for name in ("slices", "rounds", "runs", "climbs")
        if (count := getattr(effort, name, None)) is not None
    }
    assert counts
    assert {name: n for name, n in counts.items() if n < FEWEST} == FEWER.get(piece.name, {})


def test_figures_say_of_how_many_runs_they_are() -> None:
    far = distance.DistanceFigures(effort=distance.Effort(rounds=3), slices={})
    assert far.as_json()["runs"] == 3
    edges = EdgesFigures(effort=EdgesEffort(rounds=5, climbs=3), sites={}).as_json()
    assert (edges["runs"], edges["climbs"]) == (5, 3)


def test_the_proxies_clean_rates_are_medians_with_their_spread() -> None:
    looks = Climbs(
        each=tuple(Climb(highest=rate, ended_by="a stall") for rate in (900.0, 1000.0, 1300.0))
    )
    found = Compared(
        rate=1000.0,
        has_media=False,
        costs={each.name: [Cost(proxy_us=200.0, sipp_us=70.0)] for each in ALL},
        climbs={KEMI.name: looks, PLAIN.name: looks},
    ).as_json()
    assert found["climbs"] == 3
    assert found["clean_rate"] == {KEMI.name: 1000.0, PLAIN.name: 1000.0}
    assert isinstance(found["spread"], dict)
    assert found["spread"]["clean_rate"][KEMI.name] == {
        "median": 1000.0, "min": 900.0, "max": 1300.0, "slices": 3,
    }  # fmt: skip


def test_the_help_names_the_keys_that_are_others_when_it_is_quick() -> None:
    told = get_args(Quick)[1].help
    ran = Told(
        efficiency=0.9, idles=[], refills=[Refill(freed=0, rung_ms=[])], calls=1, failures={}
    )
    for effort in (queue.QUICK, queue.Effort()):
        found = queue.QueueFigures(effort=effort, runs=(ran,), steps=()).as_json()
        (key,) = (each for each in found if each.startswith("refill_"))
        assert key in told
    for size in growth.QUICK.sizes:
        assert f"growth.{size}" in told
