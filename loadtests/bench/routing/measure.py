"""`bench routing`: index and reservations, as one set of figures."""

from __future__ import annotations

import math
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import asdict

from loadtests.bench.routing import index, reserve, whole
from loadtests.bench.routing.index import SizeFigures
from loadtests.bench.routing.reserve import Load
from loadtests.bench.routing.shared import SITES
from loadtests.bench.routing.whole import WholeFigures


class Part(StrEnum):
    """What to measure alone: the whole takes more than six minutes on a busy machine."""

    INDEX = "index"
    RESERVE = "reserve"


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    sizes: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    events: int = 10_000
    full: tuple[int, int] = (10_000, 5_000)
    repeats: int = 3
    baseline_matches: int = 3
    steady_matches: int = 10_000
    together: tuple[int, ...] = (1, 10, 100)
    """So many agents become free in one turn of the mirror."""
    whole_matches: int = 2_000
    rates: tuple[float, ...] = (50.0, 100.0, 200.0, 400.0, 600.0, 800.0, 1_000.0, 1_200.0)
    slice_s: float = 5.0
    agents: int = 300


QUICK = Effort(
    sizes=(100, 1_000),
    events=500,
    full=(500, 250),
    repeats=1,
    baseline_matches=1,
    steady_matches=200,
    whole_matches=100,
    rates=(20.0,),
    slice_s=1.0,
    agents=60,
)


class IndexFigures(Struct, frozen=True, kw_only=True):
    """What was found of the match index."""

    sizes: dict[int, SizeFigures]
    full_match_ms: float
    steady_per_s: dict[int, float]
    """By how many come together."""
    whole: WholeFigures
    baseline_matches_per_s: float

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`.

        `steady_matches_per_s` is each event alone: what an edge can count on, whether or not many
        come together.
        """
        return {
            "agents": {str(size): asdict(found) for size, found in self.sizes.items()},
            "full_match_ms": round(self.full_match_ms, 1),
            "steady_matches_per_s": round(self.steady_per_s[1], 1),
            "steady_together_per_s": {
                str(together): round(per_s, 1) for together, per_s in self.steady_per_s.items()
            },
            "whole_match": {
                "mirror_us": round(self.whole.mirror_us, 1),
                "index_us": round(self.whole.index_us, 1),
                "per_s": round(self.whole.per_s, 1),
            },
            "baseline_matches_per_s": round(self.baseline_matches_per_s, 2),
        }


class RoutingFigures(Struct, frozen=True, kw_only=True):
    """What was found; of a part that was not asked for, nothing."""

    effort: Effort
    index: IndexFigures | None
    loads: list[Load]

    @property
    def highest(self) -> Load:
        """The highest load that all sites together carried; failing that, the lowest asked."""
        together = [each for each in self.loads if each.sites == len(SITES)]
        carried = [each for each in together if each.is_carried]
        return max(carried, key=lambda each: each.per_s) if carried else together[0]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        found = {} if self.index is None else self.index.as_json()
        if not self.loads:
            return found
        best = self.highest
        return found | {
            "reserve": {
                "per_s": best.per_s,
                # NaN is no JSON.
                "p50_ms": None if math.isnan(best.p50_ms) else best.p50_ms,
                "p99_ms": None if math.isnan(best.p99_ms) else best.p99_ms,
                "wasted": best.wasted,
                "loads": [asdict(each) for each in self.loads],
            },
        }


async def measure(effort: Effort, part: Part | None = None) -> RoutingFigures:
    """Measure everything, or one part alone. BenchError: this machine cannot."""
    loads: list[Load] = []
    if part is not Part.INDEX:
        loads = await reserve.climb(effort.rates, effort.slice_s, effort.agents)
    found = None if part is Part.RESERVE else _of_index(effort)
    return RoutingFigures(effort=effort, index=found, loads=loads)


def _of_index(effort: Effort) -> IndexFigures:
    middle = effort.full[0]
    return IndexFigures(
        sizes={size: index.at_size(size, effort.events) for size in effort.sizes},
        full_match_ms=index.full_match_ms(*effort.full, effort.repeats),
        steady_per_s={
            together: index.steady_per_s(middle, effort.steady_matches, together)
            for together in effort.together
        },
        whole=whole.measure(middle, effort.whole_matches),
        baseline_matches_per_s=index.baseline_per_s(middle, effort.baseline_matches),
    )
