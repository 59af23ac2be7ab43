"""Whether a drill may begin: every guard decides, and each decision is kept as evidence. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from drills.experiment import Experiment, Fault, FaultKind
from state.model import SiteId

HEADROOM: Final = 1.2
"""What the survivors can take has to be so many times what comes."""
LIVE_MOST_SITES: Final = 1
_WHOLE_SITE: Final = frozenset({FaultKind.KILL_SITE, FaultKind.FREEZE_SITE})
_LIFE_OR_DEATH: Final = "etcd-"


class Facts(Struct, frozen=True, kw_only=True):
    """How things stand when somebody wants to begin."""

    sites: tuple[SiteId, ...]
    good_sites: frozenset[SiteId]
    """Serving, and reachable by the others."""
    members: frozenset[SiteId]
    """Sites whose member of etcd is in the quorum."""
    agents: Mapping[SiteId, int]
    """Ready, by home site."""
    erlangs: float
    """What comes at its peak: calls a second times how long an agent is busy with one."""
    other_drills: tuple[str, ...] = ()
    standing_faults: tuple[str, ...] = ()
    is_lever_pulled: bool = False
    """The safety lever, which stops all drills, and lets none begin."""
    is_live: bool = False
    """Real callers are there, and not only synthetic ones."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What one guard decided, and on what."""

    guard: str
    allows: bool
    why: str


def decide(experiment: Experiment, method: Iterable[Fault], facts: Facts) -> tuple[Verdict, ...]:
    """Return every guard's decision. `method` is the experiment's, aimed at sites."""
    faults = tuple(method)
    return (
        _lever(facts),
        _alone(facts),
        _last_good_site(faults, facts),
        _quorum(experiment, faults, facts),
        _headroom(experiment, faults, facts),
        _radius(faults, facts),
    )


def lost_sites(faults: Iterable[Fault]) -> frozenset[SiteId]:
    """Return the sites that serve nobody while these faults last."""
    return frozenset(SiteId(fault.target) for fault in faults if fault.kind in _WHOLE_SITE)


def _lever(facts: Facts) -> Verdict:
    why = "the safety lever is pulled: nothing may be broken" if facts.is_lever_pulled else "free"
    return Verdict(guard="safety lever", allows=not facts.is_lever_pulled, why=why)


def _alone(facts: Facts) -> Verdict:
    others = (*facts.other_drills, *facts.standing_faults)
    why = f"there is already: {', '.join(others)}" if others else "no other drill, nothing broken"
    return Verdict(guard="no other drill", allows=not others, why=why)


def _last_good_site(faults: tuple[Fault, ...], facts: Facts) -> Verdict:
    left = facts.good_sites - lost_sites(faults)
    why = f"good sites left: {', '.join(sorted(left)) or 'none'}"
    return Verdict(guard="never the last good site", allows=bool(left), why=why)


def _quorum(experiment: Experiment, faults: tuple[Fault, ...], facts: Facts) -> Verdict:
    """Allow the loss of a quorum only to a drill about that, where nobody real calls."""
    dead = lost_sites(faults) | {
        SiteId(fault.target.removeprefix(_LIFE_OR_DEATH))
        for fault in faults
        if fault.target.startswith(_LIFE_OR_DEATH)
        and fault.kind in {FaultKind.HOLD_DOWN, FaultKind.FREEZE}
    }
    left = facts.members - dead
    needed = len(facts.sites) // 2 + 1
    is_kept = len(left) >= needed
    is_meant = experiment.loses_quorum and not facts.is_live
    why = f"{len(left)} of {len(facts.sites)} members of etcd left, {needed} needed"
    if not is_kept and is_meant:
        why += "; the drill is about that"
    return Verdict(guard="quorum", allows=is_kept or is_meant, why=why)


def _headroom(experiment: Experiment, faults: tuple[Fault, ...], facts: Facts) -> Verdict:
    lost = lost_sites(faults)
    left = sum(count for site, count in facts.agents.items() if site not in lost)
    needed = HEADROOM * facts.erlangs if facts.is_live else facts.erlangs / HEADROOM
    # Synthetic callers may wait: then it is enough that the line does not grow for ever.
    why = f"{left} agents left for {facts.erlangs:.1f} erlangs, {needed:.1f} needed"
    is_meant = experiment.load.may_queue and not facts.is_live and left > 0
    if left < needed and is_meant:
        why += "; the drill is about those who wait"
    return Verdict(guard="headroom", allows=left >= needed or is_meant, why=why)


def _radius(faults: tuple[Fault, ...], facts: Facts) -> Verdict:
    lost = lost_sites(faults)
    most = LIVE_MOST_SITES if facts.is_live else len(facts.sites) - 1
    unknown = lost - frozenset(facts.sites)
    agents = sum(facts.agents.values())
    share = sum(facts.agents.get(site, 0) for site in lost) / agents if agents else 0.0
    why = f"{len(lost)} sites (at most {most}), {share:.0%} of the agents"
    if unknown:
        why = f"there is no site {', '.join(sorted(unknown))}"
    return Verdict(guard="blast radius", allows=len(lost) <= most and not unknown, why=why)
