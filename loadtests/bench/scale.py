"""From what was measured to cells for a million agents: the arithmetic of docs/scale.md. PURE.

A cell is one etcd cluster with its sites, and one queue for all of them. Every edge of a cell sees
every call of it: the more edges, the more each of them looks on, and a cell has an upper end
whatever is added. More agents than a cell carries need more cells, each with DIDs and queues of its
own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from loadtests.bench.errors import BenchError

USE: Final = 0.6
"""Of a core, or of etcd's highest rate, so much is planned with: delays stay small below it."""
MILLION: Final = 1_000_000
EDGES: Final = (3, 6, 12)
"""In a cell."""
SITES: Final = 3
PLANNED: Final = 6
"""Edges of the cell that a million agents are reckoned with, as many at each site."""
TRANSACTIONS: Final = 4.0
"""Of etcd, a call: those that docs/architecture.md counts, whether or not they go together."""
IN_RESERVATION: Final = 3
"""Transactions of one reservation of `bench routing`."""
IN_TIME_MS: Final = 25.0
"""What 99 of 100 reservations take at most, at the rate that is planned with."""


class Measured(Struct, frozen=True, kw_only=True):
    """What one call takes."""

    agents: int
    """Of the center that it was measured with."""
    own_ms: float
    """CPU of the edge that has it."""
    onlooker_ms: float
    """CPU of each other edge of the cell."""
    writes: float = TRANSACTIONS
    """Transactions of etcd."""
    etcd_writes_per_s: float
    """Transactions that a cluster commits a second; three members."""
    agent_bytes: float
    """Memory that an agent takes in each edge."""


_OWN_MS: Final = 2.6
_MORE: Final = 6.6 / 4.8
"""So many times as much does a call take with 100,000 agents as with 100."""
PAGE: Final = Measured(
    agents=10_000,
    own_ms=_OWN_MS,
    onlooker_ms=round(0.22 * _OWN_MS, 2),
    etcd_writes_per_s=3_000.0,
    agent_bytes=5_000.0,
)
"""What the page reckons with, of centers that are not large: its table "What a call takes"."""
PAGE_LARGE: Final = Measured(
    agents=100_000,
    own_ms=round(_MORE * _OWN_MS, 2),
    onlooker_ms=round(0.47 * _MORE * _OWN_MS, 2),
    etcd_writes_per_s=PAGE.etcd_writes_per_s,
    agent_bytes=PAGE.agent_bytes,
)
"""The same with 100,000 agents, where an onlooker takes more of what the holder does."""


class Demand(Struct, frozen=True, kw_only=True):
    """What agents bring."""

    handling_s: float = 300.0
    """Talk and wrap-up of one call."""
    occupancy: float = 0.85

    def calls_per_s(self, agents: float) -> float:
        """Return how many calls a second keep so many agents so busy."""
        return agents * self.occupancy / self.handling_s

    def agents(self, calls_per_s: float) -> float:
        """Return how many agents so many calls a second keep busy."""
        return calls_per_s * self.handling_s / self.occupancy


DEMANDS: Final = (Demand(), Demand(handling_s=120.0))


class Cell(Struct, frozen=True, kw_only=True):
    """What one cell carries."""

    edges: int
    by_edges: float
    """Calls a second that the edges carry, at `USE` of a core each."""
    by_etcd: float
    """Calls a second that etcd carries, at `USE` of its highest rate."""

    @property
    def calls_per_s(self) -> float:
        """What is carried: by the narrower of the two."""
        return min(self.by_edges, self.by_etcd)


def cell(measured: Measured, edges: int) -> Cell:
    """Return what a cell of so many edges carries."""
    each_ms = measured.own_ms + (edges - 1) * measured.onlooker_ms
    return Cell(
        edges=edges,
        by_edges=edges * USE * 1e3 / each_ms,
        by_etcd=USE * measured.etcd_writes_per_s / measured.writes,
    )


def upper_end(measured: Measured) -> float:
    """Return the calls a second that no number of edges in one cell gets beyond; endless: none."""
    if measured.onlooker_ms <= 0:
        return math.inf
    return USE * 1e3 / measured.onlooker_ms


def cells_for(agents: int, measured: Measured, edges: int, demand: Demand) -> int:
    """Return how many cells so many agents need."""
    return math.ceil(demand.calls_per_s(agents) / cell(measured, edges).calls_per_s)


def without_a_site(measured: Measured) -> Cell:
    """Return what is left of the planned cell when it has lost one of its sites."""
    return cell(measured, PLANNED - PLANNED // SITES)


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """Return the table of the page: edges in a cell, calls/s by them, by etcd, and carried."""
    cells = [cell(measured, edges) for edges in EDGES]
    by_etcd = cells[0].by_etcd
    found = [
        (str(each.edges), *(f"{rate:,.0f}" for rate in (each.by_edges, by_etcd, each.calls_per_s)))
        for each in cells
    ]
    end = upper_end(measured)
    return [
        *found,
        ("any number", f"less than {end:,.0f}", f"{by_etcd:,.0f}", f"{min(end, by_etcd):,.0f}"),
    ]


def figures(measured: Measured) -> dict[str, object]:
    """Return all that follows for `--json`."""
    carried = cell(measured, PLANNED).calls_per_s
    cells = {edges: cell(measured, edges) for edges in EDGES}
    return {
        "own_ms": round(measured.own_ms, 3),
        "onlooker_ms": round(measured.onlooker_ms, 3),
        "transactions_per_call": measured.writes,
        "etcd_transactions_per_s": round(measured.etcd_writes_per_s, 1),
        "cells": {
            str(edges): {
                "by_edges": round(found.by_edges, 1),
                "by_etcd": round(found.by_etcd, 1),
                "calls_per_s": round(found.calls_per_s, 1),
            }
            for edges, found in cells.items()
        },
        "upper_end": round(upper_end(measured), 1),
        "without_a_site": round(without_a_site(measured).calls_per_s, 1),
        "million": {
            f"{demand.handling_s:g}": {
                "calls_per_s": round(demand.calls_per_s(MILLION), 1),
                "agents_per_cell": round(demand.agents(carried)),
                "cells": cells_for(MILLION, measured, PLANNED, demand),
            }
            for demand in DEMANDS
        },
        "memory_gb_per_edge": round(DEMANDS[0].agents(carried) * measured.agent_bytes / 1e9, 2),
    }


def measured_in(whole: Mapping[str, Any]) -> list[Measured]:
    """Return what files of figures hold, those of `bench all` and `bench routing` as one.

    One for each number of agents, the fewest first. A call costs what `bench edge` says at its high
    rate, and as many times more as `growth` says it costs more than with the fewest; an onlooker
    its share of that. Where there is no figure of `edge`, it is what `growth` says at its low rate.
    What no file has of etcd and of memory is the page's. BenchError: there is nothing of `growth`.
    """
    sizes = sorted((int(size), row) for size, row in (whole.get("growth") or {}).items())
    if not sizes:
        raise BenchError("no figures of `growth` in there: `./everline bench all` measures them")
    fewest_ms = sizes[0][1]["cpu_ms"]
    high_ms = (whole.get("edge") or {}).get("cpu_ms") or fewest_ms
    return [
        Measured(
            agents=size,
            own_ms=high_ms * row["cpu_ms"] / fewest_ms,
            onlooker_ms=max(0.0, high_ms * row["onlooker_ms"] / fewest_ms),
            etcd_writes_per_s=_committed_per_s(whole) or PAGE.etcd_writes_per_s,
            agent_bytes=(whole.get("memory") or {}).get("per_agent") or PAGE.agent_bytes,
        )
        for size, row in sizes
    ]


def _committed_per_s(whole: Mapping[str, Any]) -> float:
    """Return the highest rate of transactions at which reservations were in time; 0: none was."""
    loads = (whole.get("reserve") or {}).get("loads") or ()
    return IN_RESERVATION * max(
        (
            each["per_s"]
            for each in loads
            if each["sites"] == 1 and (each["p99_ms"] or math.inf) <= IN_TIME_MS
        ),
        default=0.0,
    )
