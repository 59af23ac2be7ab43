"""`bench edge`: looks for the highest clean rate, without media and with it in turn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loadtests.bench import edge, report, servers
from loadtests.bench.center import GREETED, NOBODYS
from loadtests.bench.ledger import Summary
from loadtests.bench.reach import Reached
from loadtests.bench.stage import Slice

LIMITS = {servers.DIRECT: 450.0, servers.NG: 220.0}


class Stage:
    """Stands for an edge that is clean up to a rate, which is lower with media."""

    def __init__(self) -> None:
        self.edges: list[str] = []
        self.asked: list[dict[str, float | str]] = []
        """What was other in each slice's scene."""

    async def edge_up(self, ng: str) -> None:
        """Start one."""
        self.edges.append(ng)

    async def edge_down(self) -> None:
        """End it."""

    async def settle(self) -> None:
        """Have nothing left."""

    async def measure(self, rate: float, seconds: float, **scene: float | str) -> Slice:
        """Say how a slice went."""
        self.asked.append(scene)
        calls = round(rate * seconds)
        lost = 0 if rate <= LIMITS[self.edges[-1]] else 3
        summary = Summary(
            offered=calls,
            done=calls - lost,
            failures={"lost": lost} if lost else {},
            repeated=0,
            late_first_answers=0,
            to_agent_p50_ms=5.0,
            to_agent_p99_ms=20.0,
            to_agent_max_ms=30.0,
            answered_p99_ms=9.0,
            lag_ms=0.0,
            behind_s=0.0,
            took_s=seconds,
        )
        return Slice(
            summary=summary,
            edge_s=0.002 * calls,
            edge_loop_s=0.001 * calls,
            second_s=0.0,
            generator_s=0.1,
            etcd_s=0.1,
            relay_s=0.1,
        )


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return what stands for the servers."""
    made = Stage()

    @contextlib.asynccontextmanager
    async def staged(*_: object, **__: object) -> AsyncIterator[Stage]:
        yield made

    monkeypatch.setattr(edge, "staged", staged)
    monkeypatch.setattr(edge, "awake", contextlib.nullcontext)
    return made


async def test_both_rates_are_looked_for_in_turn_each_time_with_a_fresh_edge(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    effort = edge.Effort(reaches=("bridged",), slices=1, climbs=3, growth=2.0, rate=100.0)
    figures = await edge.measure(effort)
    costs, looks, (low, *waits) = stage.edges[:2], stage.edges[2:8], stage.edges[8:]
    assert costs == [servers.DIRECT, servers.NG]
    assert looks == 3 * costs
    assert [low, *waits] == 2 * [servers.DIRECT]
    found: Any = report.edge(figures)
    assert (found["calls_per_s"], found["calls_per_s_media"]) == (400.0, 200.0)
    assert found["spread"]["calls_per_s"] == {
        "median": 400.0, "min": 400.0, "max": 400.0, "slices": 3,
    }  # fmt: skip
    assert found["climbs"] == 3
    assert found["cpu_ms_at_highest"] == found["cpu_ms_media_at_highest"] == 2.0
    assert found["to_agent_rate"] == 200.0
    # The middle one of three that found the same.
    assert [each.partition("/s: ")[2] for each in found["ended_the_ladder"]] == 2 * ["3 lost"]
    printed = capsys.readouterr().out
    assert "3 looks" in printed
    assert "400 (400 to 400)" in printed
    assert found["bridged"]["calls_per_s"] == found["calls_per_s"]


async def test_calls_that_end_sooner_have_figures_of_their_own(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    effort = edge.Effort(reaches=("answered", "queued"), slices=2, climbs=1, growth=2.0, rate=100.0)
    found: Any = report.edge(await edge.measure(effort))
    assert set(found) == {"answered", "queued"}
    # Without a relay a greeting takes no time: there is no call that is only answered.
    assert "calls_per_s" not in found["answered"]
    assert found["answered"]["calls_per_s_media"] == 200.0
    assert (found["queued"]["calls_per_s"], found["queued"]["calls_per_s_media"]) == (400.0, 200.0)
    assert found["queued"]["cpu_ms"] == found["answered"]["cpu_ms_media"] == 2.0
    assert found["queued"]["spread"]["cpu_ms"]["slices"] == 2
    assert found["queued"]["slices_not_clean"] == [0, 0]
    assert all(scene["is_alone"] for scene in stage.asked)
    assert {scene["did"] for scene in stage.asked} == {GREETED, NOBODYS}
    assert "answered" in capsys.readouterr().out


async def test_a_slice_of_calls_that_fail_is_told_of() -> None:
    stage = Stage()
    await stage.edge_up(servers.NG)
    slices = [await stage.measure(rate, 1.0) for rate in (100.0, 900.0)]
    reached = Reached(costs={servers.NG: slices}, climbs={}, at_highest_ms={})
    assert reached.not_clean(servers.NG) == 1
    assert reached.highest(servers.NG) is None
    assert reached.cpu_ms(servers.DIRECT) is None
    cpu = reached.cpu_ms(servers.NG)
    assert cpu is not None
    assert cpu.slices == 1
