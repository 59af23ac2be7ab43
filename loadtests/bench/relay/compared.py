"""What comes out of comparing the three proxies: ratios slice by slice, and rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from loadtests.bench.ladder import Climbs
from loadtests.bench.relay.proxies import ALL, CONTROL, KEMI, PLAIN, Proxy
from loadtests.bench.stats import Spread, paired_ratio, spread


class Cost(Struct, frozen=True, kw_only=True):
    """One slice: CPU microseconds a call."""

    proxy_us: float
    """Of Kamailio, all its processes."""
    relay_us: float = 0.0
    """Of rtpengine; 0: there is none."""
    sipp_us: float
    """Of the carrier's SIPp."""
    dirt: str = ""
    """What was not clean; nothing if all was."""

    @property
    def both_us(self) -> float:
        """Of Kamailio and rtpengine together."""
        return self.proxy_us + self.relay_us


def _proxy_us(cost: Cost) -> float:
    return cost.proxy_us


def _both_us(cost: Cost) -> float:
    return cost.both_us


class Compared(Struct, frozen=True, kw_only=True):
    """The three proxies side by side; lists by round."""

    rate: float
    """Calls a second at which CPU is measured."""
    has_media: bool
    costs: Mapping[str, Sequence[Cost]]
    """By proxy."""
    climbs: Mapping[str, Climbs]
    """By proxy, but for the control."""

    def cpu_us(self, proxy: Proxy) -> Spread:
        """Return CPU microseconds a call of one proxy."""
        return spread(each.proxy_us for each in self.costs[proxy.name])

    def relay_us(self, proxy: Proxy) -> Spread:
        """Return those of rtpengine while this proxy had the calls."""
        return spread(each.relay_us for each in self.costs[proxy.name])

    def sipp_us(self) -> Spread:
        """Return those of the carrier's SIPp, whichever proxy had the calls."""
        return spread(cost.sipp_us for each in self.costs.values() for cost in each)

    def ratio(self, over: Proxy) -> Spread:
        """Return the ratio of a proxy's cost to the native one's, round by round."""
        return self._ratio(over, _proxy_us)

    def ratio_with_relay(self, over: Proxy) -> Spread:
        """Return the same with what rtpengine took on either side."""
        return self._ratio(over, _both_us)

    def _ratio(self, over: Proxy, of: Callable[[Cost], float]) -> Spread:
        return paired_ratio(*([of(cost) for cost in self.costs[p.name]] for p in (over, PLAIN)))

    @property
    def dirt(self) -> dict[str, list[str]]:
        """Return by proxy what was not clean in its slices."""
        return {
            name: [each.dirt for each in costs if each.dirt] for name, costs in self.costs.items()
        }

    def as_json(self) -> dict[str, object]:
        """Return the figures under the names that others read."""
        told: dict[str, object] = {
            "cpu_ratio": round(self.ratio(KEMI).median, 3),
            "control_ratio": round(self.ratio(CONTROL).median, 3),
            "clean_rate": {
                proxy.name: round(self.climbs[proxy.name].highest.median, 1)
                for proxy in (KEMI, PLAIN)
            },
            "spread": {
                "cpu_ratio": self.ratio(KEMI).as_json(),
                "control_ratio": self.ratio(CONTROL).as_json(),
                "clean_rate": {name: each.highest.as_json(1) for name, each in self.climbs.items()},
            },
            "cpu_us": {proxy.name: self.cpu_us(proxy).as_json(1) for proxy in ALL},
            "sipp_us": self.sipp_us().as_json(1),
            "rate": self.rate,
            "climbs": len(self.climbs[KEMI.name].each),
            "ended_the_ladder": {name: each.ended_by for name, each in self.climbs.items()},
            "not_clean": {name: found for name, found in self.dirt.items() if found},
        }
        if self.has_media:
            told["rtpengine_us"] = {proxy.name: self.relay_us(proxy).as_json(1) for proxy in ALL}
            told["cpu_ratio_with_rtpengine"] = self.ratio_with_relay(KEMI).as_json()
        return told
