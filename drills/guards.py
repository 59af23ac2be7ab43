"""Whether a drill may begin: every guard decides, and each decision is kept as evidence. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from drills.experiment import Experiment
from drills.facts import Facts
from drills.fault import Fault, FaultKind
from drills.toll import Toll, toll
from state.model import SiteId

HEADROOM: Final = 1.2
"""What the survivors can take has to be so many times what comes."""
APPROVAL: Final = "two people"
LIVE_MOST_SITES: Final = 1
LIVE_MOST_SHARE: Final = 0.5
"""Of the agents, of the calls that go on, and of the numbers that name a site of their own."""
_WHOLE_SITE: Final = frozenset({FaultKind.KILL_SITE, FaultKind.FREEZE_SITE})


class Verdict(Struct, frozen=True, kw_only=True):
    """What one guard decided, and on what."""

    guard: str
    allows: bool
    why: str


def decide(experiment: Experiment, method: Iterable[Fault], facts: Facts) -> tuple[Verdict, ...]:
    """Return every guard's decision. `method` is the experiment's, aimed at sites."""
    faults = tuple(method)
    taken = toll(faults, facts.sites, facts.edges)
    return (
        _lever(facts),
        _alone(facts),
        _incident(facts),
        _calendar(facts),
        _last_good_site(taken, facts),
        _quorum(experiment, taken, facts),
        _replicas(facts),
        _recordings(faults, facts),
        _headroom(experiment, faults, taken, facts),
        _radius(taken, facts),
        _approval(experiment, facts),
    )


def lost_sites(faults: Iterable[Fault]) -> frozenset[SiteId]:
    """Return the sites that are gone as a whole while these faults last."""
    return frozenset(SiteId(fault.target) for fault in faults if fault.kind in _WHOLE_SITE)


def _lever(facts: Facts) -> Verdict:
    why = "the safety lever is pulled: nothing may be broken" if facts.is_lever_pulled else "free"
    return Verdict(guard="safety lever", allows=not facts.is_lever_pulled, why=why)


def _alone(facts: Facts) -> Verdict:
    others = (*facts.other_drills, *facts.standing_faults)
    why = f"there is already: {', '.join(others)}" if others else "no other drill, nothing broken"
    return Verdict(guard="no other drill", allows=not others, why=why)


def _incident(facts: Facts) -> Verdict:
    """Forbid a drill where something is wrong already: nobody could tell the two apart."""
    why = f"there is one: {', '.join(facts.incidents)}" if facts.incidents else "none"
    return Verdict(guard="no incident", allows=not facts.incidents, why=why)


def _calendar(facts: Facts) -> Verdict:
    names = ", ".join(facts.blackouts)
    why = f"it would fall into: {names}" if names else "no blackout"
    return Verdict(guard="calendar", allows=not facts.blackouts, why=why)


def _last_good_site(taken: Toll, facts: Facts) -> Verdict:
    left = facts.good_sites - taken.service
    why = f"good sites left: {', '.join(sorted(left)) or 'none'}"
    return Verdict(guard="never the last good site", allows=bool(left), why=why)


def _quorum(experiment: Experiment, taken: Toll, facts: Facts) -> Verdict:
    """Allow the loss of a quorum only to a drill about that, where nobody real calls."""
    left = facts.members - taken.members
    needed = len(facts.sites) // 2 + 1
    is_kept = len(left) >= needed
    is_meant = experiment.loses_quorum and not facts.is_live
    why = f"{len(left)} of {len(facts.sites)} members of etcd left, {needed} needed"
    if not is_kept and is_meant:
        why += "; the drill is about that"
    return Verdict(guard="quorum", allows=is_kept or is_meant, why=why)


def _replicas(facts: Facts) -> Verdict:
    """Forbid a drill while a replica is behind: losing the others would lose what it lacks."""
    late = [each for each in facts.lags if each.behind is None or each.behind > each.at_most]
    # Where all are near, the furthest tells enough.
    told = late or sorted(facts.lags, key=lambda each: each.behind or 0.0)[-1:]
    why = ", ".join(
        f"{each.replica} "
        + ("does not tell" if each.behind is None else f"{each.behind:g} {each.unit} behind")
        + f" (at most {each.at_most:g})"
        for each in told
    )
    return Verdict(guard="replica lag", allows=not late, why=why or "no replica is known")


def _recordings(faults: tuple[Fault, ...], facts: Facts) -> Verdict:
    """Forbid the loss of a live site that has recordings which no other has, or may have some."""
    found = {site: _alone_at(site, facts) for site in sorted(facts.sites)}
    alone = {site: told for site, told in found.items() if told}
    lost = lost_sites(faults)
    at_risk = {site: told for site, told in alone.items() if site in lost}
    told = "; ".join((at_risk or alone).values())
    allows = not (at_risk and facts.is_live)
    return Verdict(guard="recordings replicated", allows=allows, why=told or "all are elsewhere")


def _alone_at(site: SiteId, facts: Facts) -> str:
    """Say what would be lost with a site, as far as that is known; empty: nothing."""
    count, is_late = facts.unreplicated.get(site), site in facts.copies_late
    if count is None:
        return f"{site} does not tell"
    if not (count or is_late):
        return ""
    return f"{count} at {site} alone" + (", copies late" if is_late else "")


def _headroom(
    experiment: Experiment, faults: tuple[Fault, ...], taken: Toll, facts: Facts
) -> Verdict:
    # Synthetic callers may wait for agents who are only away.
    lost = taken.agents if facts.is_live else lost_sites(faults)
    left = sum(count for site, count in facts.agents.items() if site not in lost)
    if facts.erlangs is None:
        why = f"{left} agents left, and nobody can tell for what: its calls cannot be read"
        return Verdict(guard="headroom", allows=False, why=why)
    needed = HEADROOM * facts.erlangs
    why = f"{left} agents left for {facts.erlangs:.1f} erlangs, {needed:.1f} needed"
    is_meant = experiment.load.may_queue and not facts.is_live and left > 0
    if left < needed and is_meant:
        why += "; the drill is about those who wait"
    return Verdict(guard="headroom", allows=left >= needed or is_meant, why=why)


def _radius(taken: Toll, facts: Facts) -> Verdict:
    out = taken.service
    most = LIVE_MOST_SITES if facts.is_live else len(facts.sites) - 1
    most_share = LIVE_MOST_SHARE if facts.is_live else 1.0
    if taken.unknown:
        why = f"nobody knows what {', '.join(sorted(taken.unknown))} is here"
        return Verdict(guard="blast radius", allows=False, why=why)
    shares = {
        "agents": _share(facts.agents, taken.agents),
        "calls": _share(facts.calls, taken.calls),
        "numbers": _share(facts.numbers, out),
    }
    told = ", ".join(f"{share:.0%} of the {what}" for what, share in shares.items())
    callers, is_spared = _callers(facts)
    allows = len(out) <= most and all(share <= most_share for share in shares.values())
    why = f"{len(out)} sites (at most {most}), {told} (at most {most_share:.0%}), {callers}"
    return Verdict(guard="blast radius", allows=allows and is_spared, why=why)


def _callers(facts: Facts) -> tuple[str, bool]:
    """Say who calls, and whether those may be touched."""
    if not facts.is_live:
        return "synthetic callers only: a lab has no others", True
    if not facts.is_synthetic_only:
        return "real callers", True
    if facts.real_calls is None:
        return "nobody can tell whether real callers are on, and these are to be spared", False
    if facts.real_calls:
        return f"{facts.real_calls} calls of real callers, and these are to be spared", False
    return "synthetic callers only: no other call is on", True


def _share(of: Mapping[SiteId, int], lost: frozenset[SiteId]) -> float:
    total = sum(of.values())
    return sum(of.get(site, 0) for site in lost) / total if total else 0.0


def _approval(experiment: Experiment, facts: Facts) -> Verdict:
    """Ask for two people's leave of exactly this plan where real people call."""

    def verdict(why: str, *, allows: bool = False) -> Verdict:
        return Verdict(guard=APPROVAL, allows=allows, why=why)

    permit = facts.permit
    if not facts.is_live:
        return verdict("a lab of its own needs no approval", allows=True)
    if permit is None:
        return verdict(
            f"nobody has approved plan {experiment.plan_hash[:12]}: ask by"
            f" ./everline drill ask {experiment.name} --why WHY; somebody of another team"
            " approves it"
        )
    if permit.plan_hash != experiment.plan_hash or permit.drill != experiment.name:
        return verdict(f"what was approved is plan {permit.plan_hash[:12]} of {permit.drill}")
    if permit.asked_by == permit.approved_by:
        return verdict(f"{permit.asked_by} has asked and approved")
    return verdict(permit.told(), allows=True)
