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

USE: Final = 0.6
"""Of a core, or of etcd's highest rate, so much is planned with: delays stay small below it."""


class Measured(Struct, frozen=True, kw_only=True):
    """What one call takes."""

    own_ms: float
    """CPU of the edge that has it."""
    onlooker_ms: float
    """CPU of each other edge of the cell."""
    writes: float
    """Entries of etcd's log."""
    etcd_writes_per_s: float
    """What a cluster commits a second; three members."""


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
    """Return the calls a second that no number of edges in one cell gets beyond."""
    return USE * 1e3 / measured.onlooker_ms


def cells_for(agents: int, measured: Measured, edges: int, demand: Demand) -> int:
    """Return how many cells so many agents need."""
    return math.ceil(demand.calls_per_s(agents) / cell(measured, edges).calls_per_s)


def measured_in(figures: Mapping[str, Any], agents: str, etcd_writes_per_s: float) -> Measured:
    """Return what `bench all` has measured, with the center of so many agents.

    KeyError names what is missing.
    """
    growth = figures["growth"][agents]
    return Measured(
        own_ms=growth["cpu_ms"],
        onlooker_ms=growth["onlooker_ms"],
        writes=figures["etcd"]["writes_per_call"],
        etcd_writes_per_s=etcd_writes_per_s,
    )
