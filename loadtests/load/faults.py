"""What a load breaks and when: reviewed drills, drawn by its seed. PURE.

A soak plays the methods of drills (`drills/experiments`) as they were reviewed, one after the
other, all before any of them comes again, with a pause between two that is as random as their
order. Its end is left quiet: what they left has to be gone by then, and what grows to show. What a
drill needs before it begins (`ready`) its fault waits for, and without it is not made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.scenario import Dice
from drills.experiment import Bound
from drills.fault import Fault, FaultKind, aimed
from loadtests.load.plan import Request, ShapeName

DRILLS: Final = (
    "edge_killed",
    "etcd_leader_lost",
    "etcd_partition",
    "failback",
    "kamailio_restarted",
    "link_flaps",
    "link_slow",
    "partition_full",
    "partition_one_way",
    "rtpengine_killed",
    "site_drained",
    "site_frozen",
    "site_gray",
    "site_killed",
    "trunk_lost",
    "waiting_redial",
    "witness_lost",
)
"""Those after which a center of three sites serves on by its quorum. Not drawn: what loses the
quorum or two sites, what takes keys, stores, certificates, clocks or all control planes away (their
errors are meant), what needs a lab of its own kind, what moves the agents' network, and drills that
are about drills."""
PAUSE_S: Final = (30.0, 60.0)
"""From a drill's end to the next one."""
PUT_OFF_S: Final = 25.0
"""So long at most a fault waits for what it needs: the next one comes no sooner than that."""
FIRST_S, FIRST_SHARE = 20.0, 0.25
"""The first comes after so many seconds, or this share of a soak that is shorter."""
REST_S, REST_SHARE = 600.0, 0.25
"""So long nothing is broken at the end, or this share: a process that the last drill ended lives
long enough to be followed (`growth`), and every call of that time has its record."""
_LOST_AT, _LOST_FOR = 0.45, 0.2
_LOST_MOST_S: Final = 60.0
_LOST: Final = Fault(kind=FaultKind.KILL_SITE, target="{site}")

FILE: Final = "faults.json"
"""Has what is planned, for the master."""
Methods: TypeAlias = Mapping[str, Sequence[Fault]]
"""By the name of the drill."""
Needs: TypeAlias = Mapping[str, Sequence[Bound]]
"""Likewise."""
NOTHING: Final[Needs] = {}


class Planned(Struct, frozen=True, kw_only=True):
    """One fault that is to be made."""

    at_s: float
    """After the load's time has begun."""
    drill: str
    fault: Fault
    """Its target may name a part: the leader is who leads when it is made."""
    sites: tuple[str, ...]
    """In the order in which they get the other parts."""
    needs: tuple[Bound, ...] = ()

    def aimed(self, leader: str | None) -> Fault:
        """Return it with names for parts; where nobody leads the first site stands in."""
        return aimed(self.fault, leader or self.sites[0], self.sites)

    def lacks(self, measured: Mapping[str, float]) -> str:
        """Return what is needed and not there; empty: nothing."""
        return ", ".join(
            f"{each.told()}, not {each.missed_by(value)}"
            for each in self.needs
            if not each.holds(value := measured.get(each.figure))
        )


class Done(Struct, frozen=True, kw_only=True):
    """What became of one."""

    at_s: float
    drill: str
    fault: Fault
    problem: str = ""
    """Why it could not be made; empty: it was."""
    from_ms: int = 0
    until_ms: int = 0
    """By its time to live. Wall clock."""
    put_off_s: float = 0.0
    """So long it waited for what its drill needs."""
    lacked: str = ""
    """What it has waited for in vain: it was not begun, which is nobody's fault."""

    def told(self) -> str:
        """Return it in a line."""
        late = f", put off by {self.put_off_s:.1f} s" if self.put_off_s else ""
        text = f"at {self.at_s:g} s{late}: {self.drill}: {self.fault.told()}"
        return f"{text}: {self.problem}" if self.problem else text


def plan_faults(
    request: Request, sites: Sequence[str], methods: Methods, needs: Needs = NOTHING
) -> tuple[Planned, ...]:
    """Return what is broken when, in order; always the same for the same seed."""
    dice = Dice(request.seed)
    if request.shape is ShapeName.SITE_LOST:
        ttl_s = min(_LOST_MOST_S, request.seconds * _LOST_FOR)
        order = tuple(dice.shuffled(list(sites), "lost"))
        fault = replace(_LOST, target=order[0], ttl_s=ttl_s)
        at_s = request.seconds * _LOST_AT
        return (Planned(at_s=at_s, drill=request.shape, fault=fault, sites=order),)
    if request.shape is not ShapeName.SOAK:
        return ()
    drawn = _drawn(request, sites, methods, dice)
    return tuple(replace(each, needs=tuple(needs.get(each.drill, ()))) for each in drawn)


def _drawn(request: Request, sites: Sequence[str], methods: Methods, dice: Dice) -> list[Planned]:
    found: list[Planned] = []
    deck: list[str] = []
    at_s = min(FIRST_S, FIRST_SHARE * request.seconds)
    ends_s = request.seconds - min(REST_S, REST_SHARE * request.seconds)
    drawn = 0
    while fitting := {name for name, each in methods.items() if at_s + _lasts_s(each) <= ends_s}:
        if not fitting.intersection(deck):
            deck += dice.shuffled(sorted(methods), "deck", drawn)
        name = next(each for each in deck if each in fitting)
        deck.remove(name)
        order = tuple(dice.shuffled(list(sites), "sites", drawn))
        found += [
            Planned(at_s=round(at_s + each.at_s, 1), drill=name, fault=each, sites=order)
            for each in methods[name]
        ]
        at_s += _lasts_s(methods[name]) + dice.between(*PAUSE_S, "pause", drawn)
        drawn += 1
    return found


def _lasts_s(method: Sequence[Fault]) -> float:
    return max((each.at_s + each.ttl_s for each in method), default=0.0)


def figures(planned: Sequence[Planned], done: Sequence[Done]) -> dict[str, float]:
    """Return how many were made, by name."""
    made = sum(1 for each in done if not each.problem)
    not_begun = sum(1 for each in done if each.lacked)
    meant = len(planned) - not_begun
    return {
        "faults.made": float(made),
        "faults.made_share": made / meant if meant else 1.0,
        "faults.put_off": float(sum(1 for each in done if each.put_off_s and not each.lacked)),
        "faults.not_begun": float(not_begun),
    }
