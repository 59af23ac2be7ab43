"""`bench bridged`: calls that reach an agent, through the whole of a site on this machine's cores.

The site of `bench site`, and agents whose telephones are one SIPp: INVITE, queue, reservation,
the gate, INVITE to the agent, 200, re-INVITE to the caller, a moment of talk, BYE. Both SIPps take
their part of the cores: what comes out is what this machine carries, not what a site could.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from drills.cli.progress import progress
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Climbs, Rungs, one_more
from loadtests.bench.site import PARTS, costs, site_up
from loadtests.bench.stats import Spread, spread

SCENARIOS: Final = Path(__file__).parent


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    agents: int = 200
    rate: float = 30.0
    """At which CPU is measured."""
    slices: int = 5
    seconds: float = 3.0
    first_rate: float = 40.0
    growth: float = 1.25
    rung_s: float = 3.0
    most: float = 400.0
    climbs: int = 5
    """Looks for the highest clean rate."""


QUICK: Final = Effort(
    agents=10, rate=5.0, slices=1, seconds=1.0, first_rate=5.0, growth=2.0, rung_s=1.0, tries=1,
    most=5.0, climbs=1,
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class BridgedFigures(Struct, frozen=True, kw_only=True):
    """What came out."""

    effort: Effort
    parts_ms: tuple[Mapping[str, float], ...]
    """CPU ms a call by part, of the slices that were clean."""
    climbs: Climbs

    def cpu_ms(self, part: str | None = None) -> Spread:
        """Return CPU ms a call, of one part or of all together."""
        return spread(sum(each.values()) if part is None else each[part] for each in self.parts_ms)

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "calls_per_s": round(self.climbs.highest.median, 1),
            "ended_the_ladder": self.climbs.ended_by,
            "spread": {"calls_per_s": self.climbs.highest.as_json(1)},
            "cpu_ms": self.cpu_ms().as_json(),
            "parts_ms": {part: self.cpu_ms(part).as_json() for part in PARTS},
            "rate": self.effort.rate,
            "agents": self.effort.agents,
        }


async def measure(effort: Effort) -> BridgedFigures:
    """Bring the site up with its agents; measure what a call costs, then climb."""
    parts: list[Mapping[str, float]] = []
    async with site_up(
        effort.agents, answering=SCENARIOS / "agent.xml", calling=SCENARIOS / "caller.xml"
    ) as site:
        with progress("bench bridged: CPU a call", total=effort.slices) as task:
            for _ in range(effort.slices):
                spent, _ = await costs(site, effort.rate, effort.seconds)
                if spent:
                    parts.append(spent)
                task.advance(f"{sum(spent.values()):.2f} ms" if spent else "not clean")
        if not parts:
            raise BenchError(f"no clean slice of bridged calls at {effort.rate:g}/s")
        looks: list[Climb] = []
        with progress("bench bridged: highest clean rate") as task:
            for _ in range(effort.climbs):
                looks.append(await one_more(looks, site.rung(effort.rung_s), effort, task.advance))
    return BridgedFigures(effort=effort, parts_ms=tuple(parts), climbs=Climbs(each=tuple(looks)))
