"""The arithmetic of docs/scale.md."""

from __future__ import annotations

import itertools

import pytest

from loadtests.bench.scale import (
    USE,
    Demand,
    Measured,
    cell,
    cells_for,
    measured_in,
    upper_end,
)

MEASURED = Measured(own_ms=3.0, onlooker_ms=0.5, writes=4.0, etcd_writes_per_s=4000.0)


def test_one_edge_carries_what_its_core_does() -> None:
    assert cell(MEASURED, 1).by_edges == pytest.approx(USE * 1000 / 3)


def test_each_further_edge_adds_less_than_the_one_before() -> None:
    rates = [cell(MEASURED, edges).by_edges for edges in range(1, 40)]
    gains = [more - less for less, more in itertools.pairwise(rates)]
    assert all(later < earlier for earlier, later in itertools.pairwise(gains))


def test_no_number_of_edges_gets_beyond_what_looking_on_costs() -> None:
    assert cell(MEASURED, 10_000).by_edges < upper_end(MEASURED)
    assert cell(MEASURED, 10_000).by_edges == pytest.approx(upper_end(MEASURED), rel=0.01)


def test_etcd_is_the_narrower_one_when_a_call_writes_much() -> None:
    found = cell(MEASURED, 1_000)
    assert found.calls_per_s == found.by_etcd == pytest.approx(USE * 1000)


def test_agents_and_calls_are_two_sides_of_the_same_load() -> None:
    demand = Demand(handling_s=300.0, occupancy=0.85)
    assert demand.calls_per_s(1_000_000) == pytest.approx(2833.3, abs=0.1)
    assert demand.agents(demand.calls_per_s(12_345)) == pytest.approx(12_345)


def test_twice_the_agents_never_need_fewer_cells() -> None:
    needed = [cells_for(agents, MEASURED, 12, Demand()) for agents in (1, 10**5, 10**6, 2 * 10**6)]
    assert needed == sorted(needed)
    assert needed[0] == 1


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="growth"):
        measured_in({}, "100", 4000.0)
