"""What is told of a site that has no clean slice at one rate, or with one number of edges."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import ModuleType
from typing import Any

import pytest

from loadtests.bench import edges, report
from loadtests.bench.bridged import measure as bridged
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import TryRate
from loadtests.bench.site import PARTS

MS: Mapping[str, float] = dict.fromkeys(PARTS, 1.5)


class Site:
    """Stands for one that is up: its slices are clean with few enough edges, the tries named."""

    def __init__(self, unclean: frozenset[int]) -> None:
        self._unclean = unclean
        self._edges = 0
        self._slices = 0

    async def have_edges(self, count: int) -> None:
        """Have so many."""
        self._edges = count

    async def ready(self) -> None:
        """Be it."""

    def rung(self, _seconds: float) -> TryRate:
        """Hold whatever is tried."""

        async def held(_rate: float) -> str:
            return ""

        return held

    async def costs(self, *_: object) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Tell of a slice; with edges it is their number that decides, else which slice it is."""
        self._slices += 1
        return ({} if (self._edges or self._slices) in self._unclean else MS), {}


def stand_in(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *unclean: int) -> None:
    site = Site(frozenset(unclean))

    @contextlib.asynccontextmanager
    async def up(*_: object, **__: object) -> AsyncIterator[Site]:
        yield site

    monkeypatch.setattr(module, "site_up", up)
    monkeypatch.setattr(module, "costs", lambda _site, *more: site.costs(*more))


async def test_one_number_of_edges_without_a_clean_slice_does_not_lose_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, edges, 2)
    found: Any = report.edges(await edges.measure(edges.Effort(counts=(1, 2), rounds=2, climbs=1)))
    one, two = found["edges"]["1"], found["edges"]["2"]
    assert one["cpu_ms"]["median"] == sum(MS.values())
    assert two["cpu_ms"] is None
    assert two["parts_ms"] == dict.fromkeys(PARTS)
    assert two["calls_per_s"]["median"] > 0
    assert two["dirt"] == 2 * ["no clean slice at 100/s"]
    assert " - " in capsys.readouterr().out


async def test_with_no_clean_slice_at_all_there_are_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, edges, 1, 2)
    with pytest.raises(BenchError, match="no clean slice at 100/s"):
        await edges.measure(edges.Effort(counts=(1, 2), rounds=2, climbs=1))
    stand_in(monkeypatch, bridged, *range(1, 9))
    with pytest.raises(BenchError, match="no clean slice of bridged calls at 30/s"):
        await bridged.measure(bridged.Effort(slices=3))


async def test_a_slice_of_bridged_calls_that_is_not_clean_does_not_lose_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(monkeypatch, bridged, 2)
    found: Any = (await bridged.measure(bridged.Effort(slices=3))).as_json()
    assert found["cpu_ms"]["slices"] == 2
    assert found["calls_per_s"] > 0
