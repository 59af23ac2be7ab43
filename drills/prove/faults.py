"""Which faults a run gets, and when: random, from its seed. PURE."""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec import Struct

from drills.prove.history import FaultKind

SITES = ("a", "b", "c")
EDGES = ("a1", "b1", "c1")
OF_EDGES = frozenset(
    {
        FaultKind.KILL_EDGE,
        FaultKind.FREEZE_EDGE,
        FaultKind.LOSE_EVENTS,
        FaultKind.LATE_EVENTS,
        FaultKind.WRONG_CLOCK,
    }
)
WEIGHTS = {
    FaultKind.KILL_EDGE: 4,
    FaultKind.FREEZE_EDGE: 5,
    FaultKind.KILL_ETCD: 2,
    FaultKind.FREEZE_ETCD: 2,
    FaultKind.SLOW_DISK: 1,
    FaultKind.CUT: 2,
    FaultKind.CUT_ONE_WAY: 2,
    FaultKind.CUT_OFF: 2,
    FaultKind.CUT_OFF_ONE_WAY: 2,
    FaultKind.LOSE_EVENTS: 2,
    FaultKind.LATE_EVENTS: 2,
    FaultKind.WRONG_CLOCK: 1,
    FaultKind.RESTART_PROXY: 2,
}
LONG_DEATH_S = 19.0
"""So long a dead edge lies alone, once in a long run: its calls have to be closed within 15 s."""
LOSS_S = 10.0
"""For so long one edge loses events, in other rounds of a long run..."""
AFTER_IT_S = 33.0
"""... and for so long after that nothing keeps its mirror from being put right."""


class Fault(Struct, frozen=True, kw_only=True):
    """One fault: when, what, where, for how long. Seconds from the beginning of the run."""

    at_s: float
    kind: FaultKind
    target: str
    """A site, an edge, or `a>b` for one direction."""
    for_s: float


def schedule(
    seed: int, seconds: float, kinds: Sequence[FaultKind] = tuple(FaultKind), every_s: float = 3.0
) -> tuple[Fault, ...]:
    """Return the faults of a run, in order; all are over when it is."""
    chance = random.Random(seed)  # noqa: S311 - no secret: to be repeated
    weights = [WEIGHTS[kind] for kind in kinds]
    faults = []
    at_s = chance.uniform(1.0, every_s)
    while at_s < seconds - 1.0:
        kind = chance.choices(kinds, weights)[0]
        for_s = min(_length(kind, chance), max(0.5, seconds - at_s - 0.5))
        faults.append(Fault(at_s=at_s, kind=kind, target=_target(kind, chance), for_s=for_s))
        at_s += chance.expovariate(1.0 / every_s)
    return tuple(_apart(faults))


def long_death(edge: str, at_s: float) -> Fault:
    """Return the death that must be cleared away in time."""
    return Fault(at_s=at_s, kind=FaultKind.KILL_EDGE, target=edge, for_s=LONG_DEATH_S)


def loss(edge: str, at_s: float) -> Fault:
    """Return the losing of events that must be made good in time."""
    return Fault(at_s=at_s, kind=FaultKind.LOSE_EVENTS, target=edge, for_s=LOSS_S)


def keeps_from_healing(fault: Fault, lost: Fault) -> bool:
    """Tell whether a fault may keep an edge from making good in time what it has lost."""
    if fault.at_s + fault.for_s < lost.at_s or fault.at_s > lost.at_s + lost.for_s + AFTER_IT_S:
        return False
    if fault.kind in {FaultKind.WRONG_CLOCK, FaultKind.RESTART_PROXY}:
        return False
    return fault.kind not in OF_EDGES or fault.target == lost.target


def _target(kind: FaultKind, chance: random.Random) -> str:
    if kind is FaultKind.CUT_ONE_WAY:
        source, target = chance.sample(SITES, 2)
        return f"{source}>{target}"
    if kind is FaultKind.CUT_OFF_ONE_WAY:
        site = chance.choice(SITES)
        return chance.choice((f"{site}>", f">{site}"))
    return chance.choice(EDGES if kind in OF_EDGES else SITES)


def _length(kind: FaultKind, chance: random.Random) -> float:
    """Return for how long: mostly short, now and then longer than any lease, at most a minute."""
    if kind is FaultKind.RESTART_PROXY:
        return 0.5
    if kind in {FaultKind.LOSE_EVENTS, FaultKind.LATE_EVENTS, FaultKind.WRONG_CLOCK}:
        return chance.uniform(5.0, 20.0)
    if kind in {FaultKind.CUT_OFF, FaultKind.CUT_OFF_ONE_WAY}:
        return chance.uniform(10.0, 20.0)
    roll = chance.random()
    if roll < 0.7:  # noqa: PLR2004 - seven in ten
        return chance.uniform(0.3, 3.0)
    return chance.uniform(9.5, 14.0) if roll < 0.97 else chance.uniform(14.0, 60.0)  # noqa: PLR2004


def _apart(faults: Sequence[Fault]) -> list[Fault]:
    """Leave out what would be done twice at once to the same thing."""
    busy: dict[tuple[str, str], float] = {}
    kept = []
    for fault in faults:
        key = (_process(fault.kind), fault.target)
        if busy.get(key, 0.0) <= fault.at_s:
            busy[key] = fault.at_s + fault.for_s + 1.0
            kept.append(fault)
    return kept


def _process(kind: FaultKind) -> str:
    if kind in {FaultKind.KILL_EDGE, FaultKind.FREEZE_EDGE}:
        return "edge"
    if kind in {FaultKind.KILL_ETCD, FaultKind.FREEZE_ETCD, FaultKind.SLOW_DISK}:
        return "etcd"
    return kind
