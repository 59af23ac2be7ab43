"""How far the calls of `bench edge` go, and what was found of those that go so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from loadtests.bench import servers
from loadtests.bench.center import DID, GREETED, NOBODYS
from loadtests.bench.ladder import Climbs
from loadtests.bench.stage import Slice, counted
from loadtests.bench.stats import Spread, spread

NGS: Final = (servers.DIRECT, servers.NG)
"""Without media, with media."""


class Reach(Struct, frozen=True, kw_only=True):
    """Where a call ends."""

    name: str
    scene: Mapping[str, float | str]
    """What is other in the scene."""
    ngs: tuple[str, ...] = NGS
    """Which of these it can be measured with."""


ANSWERED: Final = Reach(
    name="answered", scene={"did": GREETED, "is_alone": True}, ngs=(servers.NG,)
)
"""The caller hangs up in the greeting. Without a relay it takes no time, and they are queued."""
QUEUED: Final = Reach(name="queued", scene={"did": NOBODYS, "is_alone": True})
"""There is no greeting, and nobody for them: they hang up in the queue."""
BRIDGED: Final = Reach(name="bridged", scene={"did": DID})
"""An agent is rung and answers, both talk, and one of them hangs up."""
REACHES: Final[Mapping[str, Reach]] = MappingProxyType(
    {each.name: each for each in (ANSWERED, QUEUED, BRIDGED)}
)


class Reached(Struct, frozen=True, kw_only=True):
    """What was found of calls that go so far; all by NG address."""

    costs: Mapping[str, Sequence[Slice]]
    """Slices at a rate that is no trouble."""
    climbs: Mapping[str, Climbs]
    at_highest_ms: Mapping[str, Sequence[float]]
    """CPU ms a call in each look's clean slice at its highest rate: work comes in bunches there."""

    def cpu_ms(self, ng: str) -> Spread | None:
        """Return CPU ms a call, of the clean slices: calls that fail cost something else.

        Of all, where none was clean; None: not measured.
        """
        slices = self.costs.get(ng)
        return spread(each.cpu_ms for each in counted(slices)) if slices else None

    def not_clean(self, ng: str) -> int:
        """Return how many of these slices were not clean."""
        return sum(not each.summary.is_clean for each in self.costs.get(ng, ()))

    def highest(self, ng: str) -> Spread | None:
        """Return the highest clean rate; None: not looked for."""
        return self.climbs[ng].highest if ng in self.climbs else None

    def cpu_ms_at_highest(self, ng: str) -> Spread | None:
        """Return CPU ms a call at that rate; None: no slice was clean there."""
        found = self.at_highest_ms.get(ng)
        return spread(found) if found else None

    def spreads(self) -> dict[str, Spread | None]:
        """Return every figure by its name; those that end in `_media` are with a media relay."""
        told: dict[str, Spread | None] = {}
        for ng, media in zip(NGS, ("", "_media"), strict=True):
            if ng in self.climbs:
                told[f"calls_per_s{media}"] = self.highest(ng)
                told[f"cpu_ms{media}"] = self.cpu_ms(ng)
                told[f"cpu_ms{media}_at_highest"] = self.cpu_ms_at_highest(ng)
        return told

    def as_json(self) -> dict[str, object]:
        """Return the medians for `--json`, and their spreads."""
        found = self.spreads()
        return {
            **{
                name: None if each is None else round(each.median, 3)
                for name, each in found.items()
            },
            "slices_not_clean": [self.not_clean(ng) for ng in NGS if ng in self.costs],
            "ended_the_ladder": [self.climbs[ng].ended_by for ng in NGS if ng in self.climbs],
            "spread": {name: each and each.as_json() for name, each in found.items()},
        }
