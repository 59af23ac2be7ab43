"""`bench growth`: what a call costs one edge as the center grows, and what etcd is asked for it.

For each number of agents a center of its own, three etcd members, one edge, no media, the same low
rate; and a second edge that gets no calls, which shows what others' calls cost. The same slices
tell the writes and bytes of etcd for each call: what there is at that rate, less what there is
while nothing goes on (leases, probes, the edges' own life).
"""

from __future__ import annotations

import asyncio
import math
import re
from typing import Final

from msgspec import Struct

from drills.cli.progress import Task, progress
from drills.lab.probes import http_get
from loadtests.bench import servers
from loadtests.bench.awake import awake
from loadtests.bench.stage import Slice, Stage, counted, staged
from loadtests.bench.stats import Spread, spread

METRICS_PORT: Final = 2381
_COUNTED: Final = {
    "writes": ("etcd_server_proposals_committed_total",),
    "keys": ("etcd_mvcc_put_total", "etcd_mvcc_delete_total"),
    "log_bytes": ("etcd_disk_wal_write_bytes_total",),
    "sent_bytes": ("etcd_network_client_grpc_sent_bytes_total",),
    "received_bytes": ("etcd_network_client_grpc_received_bytes_total",),
}
"""What is counted, and of which metrics it is the sum. A write is an entry of the members' common
log, a transaction: each costs a round of the quorum and its share of an fsync."""
_OF_ALL: Final = frozenset({"sent_bytes", "received_bytes"})
"""Clients are spread over the members; all of these commit the same proposals."""
IDLE_S: Final = 2.0


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    sizes: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    slices: int = 5
    seconds: float = 2.0
    rate: float = 50.0


QUICK: Final = Effort(sizes=(20, 60), slices=1, seconds=0.5, rate=20.0)
"""Shows that it works; the figures mean little."""


class Size(Struct, frozen=True, kw_only=True):
    """What was found with so many agents."""

    agents: int
    slices: tuple[Slice, ...]
    idle_ms: float
    """CPU milliseconds a second of the edge that looks on, without calls."""
    memory_kb: int
    """What the edge held at the end."""
    etcd: dict[str, float]
    """What etcd did for each call, by the names of `_COUNTED`."""

    @property
    def onlooker_ms(self) -> Spread:
        """Return what a call costs an edge that has no part in it: the watch's fan-out."""
        return spread(
            (1e3 * each.second_s - self.idle_ms * each.summary.took_s) / each.summary.offered
            for each in counted(self.slices)
        )

    @property
    def cpu_ms(self) -> Spread:
        """Return the edge's CPU milliseconds a call."""
        return spread(each.cpu_ms for each in counted(self.slices))


class GrowthFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    sizes: tuple[Size, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`: by number of agents, and of etcd with the fewest."""
        by_size = {
            str(size.agents): {
                "cpu_ms": round(size.cpu_ms.median, 3),
                "onlooker_ms": round(size.onlooker_ms.median, 3),
                "memory_kb": size.memory_kb,
                "spread": size.cpu_ms.as_json(),
                "dirt": [each.summary.dirt for each in size.slices if each.summary.dirt],
            }
            for size in self.sizes
        }
        return {"growth": by_size, "rate": self.effort.rate, "etcd": self.etcd()} | {
            "bytes_per_agent": _or_none(self.bytes_per_agent)
        }

    @property
    def bytes_per_agent(self) -> float:
        """Return what one more agent takes of an edge's memory, from the largest two centers."""
        if len(self.sizes) < 2:  # noqa: PLR2004
            return math.nan
        few, many = self.sizes[-2:]
        return 1024 * (many.memory_kb - few.memory_kb) / (many.agents - few.agents)

    def etcd(self) -> dict[str, float]:
        """Return what etcd does for a call, in the smallest center."""
        return {f"{name}_per_call": round(each, 2) for name, each in self.sizes[0].etcd.items()}


def _or_none(value: float) -> int | None:
    return None if math.isnan(value) else round(value)


async def measure(effort: Effort) -> GrowthFigures:
    """Bring up a center of each size and measure."""
    found = []
    with awake(), progress("bench growth: CPU a call", len(effort.sizes) * effort.slices) as task:
        for agents in effort.sizes:
            async with staged(agents, media=False) as stage:
                found.append(await _size(stage, effort, agents, task))
    return GrowthFigures(effort=effort, sizes=tuple(found))


async def _size(stage: Stage, effort: Effort, agents: int, task: Task) -> Size:
    await stage.edge_up(servers.DIRECT)
    await stage.onlooker_up()
    idle_ms = 1e3 * await stage.onlookers_idle_s(IDLE_S) / IDLE_S
    idle = await _counts()
    await asyncio.sleep(IDLE_S)
    before = await _counts()
    slices = []
    for _ in range(effort.slices):
        slices.append(await stage.measure(effort.rate, effort.seconds))
        task.advance(f"{agents} agents {slices[-1].cpu_ms:.2f} ms {slices[-1].summary.dirt}")
    after = await _counts()
    memory_kb = stage.edge_memory_kb()
    await stage.onlookers_down()
    await stage.edge_down()
    calls = sum(each.summary.offered for each in slices)
    took_s = sum(each.summary.took_s for each in slices)
    return Size(
        agents=agents,
        slices=tuple(slices),
        idle_ms=idle_ms,
        memory_kb=memory_kb,
        etcd={
            name: (after[name] - before[name] - took_s * (before[name] - idle[name]) / IDLE_S)
            / calls
            for name in _COUNTED
        },
    )


async def _counts() -> dict[str, float]:
    """Return what the members have counted since they began."""
    texts = [
        (await http_get(None, address, METRICS_PORT, "/metrics")).decode()
        for address in servers.MEMBERS.values()
    ]
    return {
        name: sum(
            _value(text, metric)
            for metric in metrics
            for text in (texts if name in _OF_ALL else texts[:1])
        )
        for name, metrics in _COUNTED.items()
    }


def _value(text: str, metric: str) -> float:
    """Return the sum of a metric over its labels."""
    lines = re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(float(line) for line in lines)
