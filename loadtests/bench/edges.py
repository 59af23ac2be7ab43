"""`bench edges`: a site with one, two, four and eight edge processes, on this machine's cores.

The same site as in `bench site`; edge processes come and go. More of them cannot carry more here,
where all share the cores: what is measured is what each more of them costs, since every edge sees
every call of the center, and whether a site gets less for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from drills.cli.progress import progress
from loadtests.bench.errors import BenchError
from loadtests.bench.ladder import Climb, Rungs, one_more
from loadtests.bench.site import PARTS, costs, site_up
from loadtests.bench.stats import Spread, spread


class Effort(Rungs, frozen=True, kw_only=True):
    """How much is measured."""

    counts: tuple[int, ...] = (1, 2, 4, 8)
    rounds: int = 5
    """Of all counts, one after the other, each in another order."""
    climbs: int = 5
    """In so many rounds the highest clean rate is looked for, too."""
    rate: float = 100.0
    seconds: float = 2.0
    first_rate: float = 250.0
    growth: float = 1.3
    tries: int = 1
    rung_s: float = 1.5
    most: float = 1000.0


QUICK: Final = Effort(
    counts=(1, 2), rounds=1, climbs=1, rate=20.0, seconds=0.5, first_rate=20.0, growth=2.0,
    rung_s=0.5, most=20.0,
)  # fmt: skip
"""Shows that it works; the figures mean little."""


class Found(Struct, frozen=True, kw_only=True):
    """What was found with one number of edges, round by round."""

    parts_ms: tuple[Mapping[str, float], ...]
    """CPU ms a call by part, of the slices that were clean."""
    rates: tuple[float, ...]
    """Highest clean rates; 0: not even a fraction of the first was."""
    dirt: tuple[str, ...]

    def cpu_ms(self, part: str | None = None) -> Spread | None:
        """Return CPU ms a call, of one part or of all together; None: no slice was clean."""
        if not self.parts_ms:
            return None
        return spread(sum(each.values()) if part is None else each[part] for each in self.parts_ms)

    @property
    def highest(self) -> Spread:
        """Return the highest clean rate."""
        return spread(self.rates)


class EdgesFigures(Struct, frozen=True, kw_only=True):
    """What came out, by number of edges."""

    effort: Effort
    sites: Mapping[int, Found]

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "edges": {
                str(count): {
                    "cpu_ms": _or_none(found.cpu_ms()),
                    "parts_ms": {part: _or_none(found.cpu_ms(part)) for part in PARTS},
                    "calls_per_s": found.highest.as_json(1),
                    "dirt": [each for each in found.dirt if each],
                }
                for count, found in self.sites.items()
            },
            "rate": self.effort.rate,
            "runs": self.effort.rounds,
            "climbs": self.effort.climbs,
        }


def _or_none(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else found.as_json()


async def measure(effort: Effort) -> EdgesFigures:
    """Bring a site up and measure it with each number of edges."""
    parts: dict[int, list[Mapping[str, float]]] = {count: [] for count in effort.counts}
    looks: dict[int, list[Climb]] = {count: [] for count in effort.counts}
    dirt: dict[int, list[str]] = {count: [] for count in effort.counts}
    steps = len(effort.counts) * effort.rounds
    async with site_up() as site:
        with progress("bench edges", total=steps) as task:
            for turn in range(effort.rounds):
                at = turn % len(effort.counts)
                for count in (*effort.counts[at:], *effort.counts[:at]):
                    await site.have_edges(count)
                    await site.ready()
                    spent, _ = await costs(site, effort.rate, effort.seconds)
                    if spent:
                        parts[count].append(spent)
                    else:
                        dirt[count].append(f"no clean slice at {effort.rate:g}/s")
                    if turn < effort.climbs:
                        rung = site.rung(effort.rung_s)
                        looks[count].append(await one_more(looks[count], rung, effort))
                    task.advance(_told(count, spent, looks[count]))
    if not any(parts.values()):
        raise BenchError(f"no clean slice at {effort.rate:g}/s, with any number of edges")
    return EdgesFigures(
        effort=effort,
        sites={
            count: Found(
                parts_ms=tuple(parts[count]),
                rates=tuple(each.highest for each in looks[count]),
                dirt=tuple(dirt[count]),
            )
            for count in effort.counts
        },
    )


def _told(count: int, spent: Mapping[str, float], looks: Sequence[Climb]) -> str:
    rate = f", {looks[-1].highest:.0f}/s clean" if looks else ""
    return f"{count} edges: {sum(spent.values()):.2f} ms a call{rate}"
