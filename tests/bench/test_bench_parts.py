"""Each benchmark once, as small as it can be: that it runs, and what its JSON holds."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.parts
PROJECT = Path(__file__).parents[2]


def run(name: str, folder: Path, *more: str) -> dict[str, float | dict[str, float]]:
    file = folder / "figures.json"
    command = [sys.executable, "-m", "loadtests.bench", name, "--quick", "--json", str(file), *more]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, float | dict[str, float]] = json.loads(file.read_text())
    return found


def test_the_relay_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found: Any = run("relay", tmp_path)
    managed: Any = found["rtpengine"]
    for each in (found, managed):
        assert {"kemi", "native"} <= each["clean_rate"].keys()
        for name in ("cpu_ratio", "control_ratio"):
            assert isinstance(each[name], float)
            assert math.isfinite(each[name])
    assert min(each["median"] for each in managed["rtpengine_us"].values()) > 0


def test_the_edge_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found = run("edge", tmp_path)
    for name in ("cpu_ms", "cpu_ms_media"):
        assert float(str(found[name])) > 0
    for name in ("calls_per_s", "calls_per_s_media"):
        assert float(str(found[name])) >= 0
    assert isinstance(found["to_agent_ms"], dict)
    assert {"p50", "p99"} <= found["to_agent_ms"].keys()
    for name in ("answered", "queued", "bridged"):
        each: Any = found[name]
        assert each["cpu_ms_media"] > 0
        assert each["calls_per_s_media"] >= 0


def test_the_profile_of_the_edge_has_shares_steps_and_a_flame_graph(tmp_path: Path) -> None:
    flame = tmp_path / "edge.svg"
    both: Any = run("edge", tmp_path, "--profile", "--flame", str(flame))
    assert both.keys() >= {"direct", "rtpengine"}
    for found in (both["direct"], both["rtpengine"]):
        assert math.isclose(sum(found["shares"].values()), 1.0)
        for way in found["ways"]:
            beside = {each["step"]: each for each in way["beside"]}
            ringing = beside["INVITE in to the agent's telephone ringing"]
            assert 0 < ringing["p50_ms"] <= ringing["p99_ms"]
            assert math.isclose(sum(each["share"] for each in way["steps"]), 1.0)
    ET.parse(flame)  # noqa: S314 - written just now


def test_the_routing_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found = run("routing", tmp_path)
    agents, reserve = found["agents"], found["reserve"]
    assert isinstance(agents, dict)
    assert set(agents) == {"100", "1000"}
    assert isinstance(reserve, dict)
    assert reserve["per_s"] > 0
    assert 0 < reserve["p50_ms"] <= reserve["p99_ms"]
    assert 0 <= reserve["wasted"] < 1
    for name in ("full_match_ms", "steady_matches_per_s", "baseline_matches_per_s"):
        assert float(str(found[name])) > 0
    together = found["steady_together_per_s"]
    assert isinstance(together, dict)
    assert list(together) == ["1", "10", "100"]
    whole = found["whole_match"]
    assert isinstance(whole, dict)
    assert whole["per_s"] == pytest.approx(1e6 / (whole["mirror_us"] + whole["index_us"]), rel=0.01)
    assert together["1"] == found["steady_matches_per_s"]


def test_the_recording_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found = run("recording", tmp_path)
    assert float(str(found["calls_per_core"])) > 0
    assert float(str(found["sealed_mb_per_s"])) > 0
    assert float(str(found["overhead"])) > 0
    assert isinstance(found["first_audio_ms"], dict)
    assert found["first_audio_ms"]["p99"] > 0


def test_the_media_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found = run("media", tmp_path)
    assert isinstance(found["by_calls"], dict)
    assert set(found["by_calls"]) == {"4", "8"}
    rung: Any = found["by_calls"]["8"]
    assert 0 < rung["delay_ms"]["p50"]["median"] <= rung["delay_ms"]["p99"]["median"]
    assert rung["cores"]["median"] > 0
    assert rung["lost_share"] < 1


def test_the_breadth_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found: Any = run("breadth", tmp_path)
    assert found["breadth"].keys() == {"1 queues", "3 queues", "5 waiting", "0.4 s of talk"}
    for each in found["breadth"].values():
        assert each["idle_ms_per_s"] > 0
        assert each["dirt"] == []


def test_the_sites_benchmark_writes_its_figures(tmp_path: Path) -> None:
    found: Any = run("sites", tmp_path)
    alone, two = found["sites"]["1"], found["sites"]["2"]
    assert alone["onlookers_ms"]["median"] == 0.0
    assert two["onlookers_idle_ms"] > 0
    for each in (alone, two):
        assert each["cpu_ms"]["median"] > 0
        assert each["to_agent_p50_ms"]["20"]["median"] >= 20.0
