"""The arithmetic of docs/scale.md."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from drills.cli.bench import bench
from drills.cli.errors import CommandError, Exit
from drills.lab import enter
from loadtests.bench.errors import BenchError
from loadtests.bench.scale import (
    DEMANDS,
    MILLION,
    PAGE,
    PAGE_LARGE,
    PLANNED,
    USE,
    Demand,
    Measured,
    cell,
    cells_for,
    measured_in,
    rows,
    upper_end,
    without_a_site,
)

MEASURED = Measured(
    agents=100, own_ms=3.0, onlooker_ms=0.5, etcd_writes_per_s=4000.0, agent_bytes=5000.0
)
THE_PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.fixture(autouse=True)
def everything_is_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pytest have its folders wherever it likes: no lab comes up here."""
    monkeypatch.setattr(enter, "COVERED", ())


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


ALL: dict[str, Any] = {
    "edge": {"cpu_ms": 2.0},
    "growth": {
        "100": {"cpu_ms": 4.0, "onlooker_ms": 0.4},
        "100000": {"cpu_ms": 6.0, "onlooker_ms": 3.0},
    },
    "memory": {"per_agent": 4000},
}
ROUTING: dict[str, Any] = {
    "reserve": {
        "loads": [
            {"sites": 1, "per_s": 600.0, "p99_ms": 21.0},
            {"sites": 1, "per_s": 900.0, "p99_ms": 25.0},
            {"sites": 1, "per_s": 1100.0, "p99_ms": 139.0},
            {"sites": 1, "per_s": 1200.0, "p99_ms": None},
            {"sites": 2, "per_s": 950.0, "p99_ms": 20.0},
        ]
    }
}


def test_a_call_of_a_large_center_takes_as_many_times_more_at_a_high_rate() -> None:
    few, many = measured_in(ALL | ROUTING)
    assert (few.agents, few.own_ms, few.onlooker_ms) == (100, 2.0, 0.2)
    assert (many.agents, many.own_ms, many.onlooker_ms) == (100_000, 3.0, 1.5)
    assert {each.agent_bytes for each in (few, many)} == {4000}


def test_etcd_carries_what_one_site_had_in_time() -> None:
    assert {each.etcd_writes_per_s for each in measured_in(ALL | ROUTING)} == {2700.0}


def test_what_a_file_does_not_have_is_the_pages() -> None:
    (found,) = measured_in({"growth": {"100": {"cpu_ms": 4.0, "onlooker_ms": -0.1}}})
    assert (found.own_ms, found.onlooker_ms) == (4.0, 0.0)
    assert found.etcd_writes_per_s == PAGE.etcd_writes_per_s
    assert found.agent_bytes == PAGE.agent_bytes
    assert upper_end(found) == math.inf


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(BenchError, match="growth"):
        measured_in(ROUTING)


@pytest.mark.parametrize("measured", [PAGE, PAGE_LARGE], ids=lambda each: f"{each.agents}")
def test_the_page_has_the_table(measured: Measured) -> None:
    page = THE_PAGE.read_text()
    for row in rows(measured):
        assert f"| {' | '.join(row)} |\n" in page


@pytest.mark.parametrize("measured", [PAGE, PAGE_LARGE], ids=lambda each: f"{each.agents}")
def test_the_page_has_the_cells(measured: Measured) -> None:
    page = THE_PAGE.read_text()
    carried = cell(measured, PLANNED).calls_per_s
    usual, short = DEMANDS
    for demand in DEMANDS:
        assert f"{demand.calls_per_s(MILLION):,.0f} calls/s" in page
    assert f"{1000 * round(usual.agents(carried) / 1000):,} agents" in page.replace("*", "")
    assert f"**{cells_for(MILLION, measured, PLANNED, usual)} cells**" in page
    number = cells_for(MILLION, measured, PLANNED, short)
    thousands = f"{1000 * round(short.agents(carried) / 1000):,}"
    assert f"{number} cells of {thousands} agents" in page or f"({number} of {thousands})" in page
    assert f"{without_a_site(measured).by_edges:.0f}" in page
    for ms in (measured.own_ms, measured.onlooker_ms):
        assert f"{ms:g} ms" in page


def test_the_page_tells_what_it_reckons_with() -> None:
    page = THE_PAGE.read_text()
    assert f"`{USE:g} x {PAGE.etcd_writes_per_s:,.0f} / {PAGE.writes:g} =` **450 calls/s**" in page
    assert cell(PAGE, 1).by_etcd == pytest.approx(450.0)
    memory = Demand().agents(450.0) * PAGE.agent_bytes / 1e9
    assert f"{memory:.1f} GB in *each* edge" in page
    assert f"{PAGE.agent_bytes / 1e3:.0f} KB an agent" in page


def test_the_command_reckons_with_files_of_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "all.json", tmp_path / "routing.json"]
    for file, figures in zip(files, (ALL, ROUTING), strict=True):
        file.write_text(json.dumps(figures))
    out = tmp_path / "scale.json"
    assert bench("scale", from_=files, json=out) == Exit.OK
    found = json.loads(out.read_text())["scale"]
    assert found.keys() == {"100", "100000"}
    assert found["100"]["etcd_transactions_per_s"] == 2700.0
    many = measured_in(ALL | ROUTING)[1]
    six = cell(many, 6)
    assert found["100000"]["cells"]["6"]["by_edges"] == pytest.approx(six.by_edges, abs=0.1)
    assert found["100000"]["million"]["300"]["cells"] == cells_for(MILLION, many, 6, Demand())
    printed = capsys.readouterr().out
    assert "100,000 agents" in printed
    assert f"{six.by_edges:,.0f}" in printed


def test_the_command_reckons_with_the_page_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("scale") == Exit.OK
    printed = capsys.readouterr().out
    for measured in (PAGE, PAGE_LARGE):
        for row in rows(measured):
            assert all(each in printed for each in row)


@pytest.mark.parametrize("text", ["[]", "{", '{"growth": {"100": {}}}', '{"growth": 5}', "{}"])
def test_a_file_without_such_figures_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text(text)
    with pytest.raises(CommandError, match=re.escape(str(file))):
        bench("scale", from_=[file])


def test_nothing_is_reckoned_from_figures_that_mean_little(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(ALL | ROUTING | {"quick": ["growth-100"]}))
    with pytest.raises(CommandError, match="were measured with --quick"):
        bench("scale", from_=[file])


def test_only_the_arithmetic_reckons_with_files_and_nothing_about_it_is_quick() -> None:
    with pytest.raises(CommandError, match="--from is for `bench scale`"):
        bench("edge", from_=[Path("figures.json")])
    with pytest.raises(CommandError, match="--quick"):
        bench("scale", quick=True)
