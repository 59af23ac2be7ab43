"""What the death of a site cost, and who noticed when. PURE.

Owns the formulas of recovery time and of needless loss, and the order of the timeline. All stamps
are wall-clock milliseconds of one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from drills.demo.ledger import Ledger, Row
from drills.demo.reports import OfferChange, OfferEvent
from drills.demo.scenario import Scenario
from state.model import AgentId, CallId, Outcome, SiteId

ANSWER_LIMIT_MS = 2000
"""A call set up within this time counts as served."""


class Kill(Struct, frozen=True, kw_only=True):
    """A site's death, by our hand."""

    site: SiteId
    at_ms: int


class Detector(StrEnum):
    """A party that has to notice by itself, each in its own way."""

    CARRIER = "carrier"
    EDGES = "edges"
    ETCD = "etcd"


class Sighting(Struct, frozen=True, kw_only=True):
    """One party noticing the death, or a step of the recovery."""

    at_ms: int
    who: str
    what: str
    detected_by: Detector | None = None
    """Set when with this the whole party has noticed."""


class Moment(Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    after_s: float
    """Since the kill."""
    who: str
    what: str


def rto_s(ledger: Ledger, kill: Kill) -> float | None:
    """Return the recovery time: None when service of the dead site's callers never came back.

    Over the calls whose first-choice site is the dead one: the time from the kill to the arrival of
    the first INVITE from which on every such INVITE got its 200 in time. None too when no such call
    came after the kill: what was not tried has not been shown.
    """
    first_good: int | None = None
    for row in _redirected(ledger, kill):
        if row.caller is None or not _is_prompt(row):
            first_good = None
        elif first_good is None:
            first_good = row.caller.invite_ms
    return None if first_good is None else (first_good - kill.at_ms) / 1000


def slow_after(ledger: Ledger, kill: Kill) -> tuple[Row, ...]:
    """Return the dead site's calls after the kill that did not get their 200 in time."""
    return tuple(row for row in _redirected(ledger, kill) if not _is_prompt(row))


def redirected(ledger: Ledger, kill: Kill) -> int:
    """Return how many calls came after the kill for which the dead site was the first choice."""
    return len(_redirected(ledger, kill))


def _redirected(ledger: Ledger, kill: Kill) -> list[Row]:
    """Return the calls of the dead site after the kill, in order of arrival."""
    rows = [
        (row.caller.invite_ms, row)
        for row in ledger.rows
        if row.caller and row.planned.first_site == kill.site and row.caller.invite_ms >= kill.at_ms
    ]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _is_prompt(row: Row) -> bool:
    caller = row.caller
    if caller is None or caller.ok_ms is None:
        return False
    return caller.ok_ms - caller.invite_ms <= ANSWER_LIMIT_MS


def lost_elsewhere(ledger: Ledger, kill: Kill) -> tuple[Row, ...]:
    """Return the calls that were lost though no leg and no media of theirs was on the dead site.

    Either word that a call was lost is enough: this is no place to believe the kinder one.
    """
    return tuple(
        row
        for row in ledger.placed
        if Outcome.LOST in (row.by_people, row.by_edges) and kill.site not in row.touched
    )


def noticed_s(sightings: Iterable[Sighting], kill: Kill) -> dict[Detector, float]:
    """Return after how many seconds each party had noticed; one that has not is left out."""
    found: dict[Detector, float] = {}
    for each in sightings:
        if each.detected_by is not None and each.at_ms >= kill.at_ms:
            after_s = (each.at_ms - kill.at_ms) / 1000
            found[each.detected_by] = min(after_s, found.get(each.detected_by, after_s))
    return found


def last_offer_s(
    scenario: Scenario, kill: Kill, offers: Iterable[OfferEvent], back: Mapping[AgentId, int]
) -> float:
    """Return when an agent was last offered a call at the dead site, in seconds after the kill.

    0 when nobody tried any more. A deletion or a change of an offer that stands is no trial; nor is
    one of an agent who is `back` by then, at another site.
    """
    tried_ms = _offered_after(scenario, kill, offers, back)
    return max(((at_ms - kill.at_ms) / 1000 for at_ms in tried_ms), default=0.0)


def back_s(scenario: Scenario, kill: Kill, back: Mapping[AgentId, int]) -> dict[AgentId, float]:
    """Return how long after the kill each agent of the dead site could be reached elsewhere."""
    homed = _homed(scenario, kill)
    return {agent: (at - kill.at_ms) / 1000 for agent, at in back.items() if agent in homed}


def _homed(scenario: Scenario, kill: Kill) -> frozenset[AgentId]:
    return frozenset(agent.id for agent in scenario.agents if agent.site == kill.site)


def timeline(  # noqa: PLR0913, PLR0917 - all that is told in it
    scenario: Scenario,
    ledger: Ledger,
    kill: Kill,
    sightings: Iterable[Sighting],
    offers: Iterable[OfferEvent],
    back: Mapping[AgentId, int],
) -> tuple[Moment, ...]:
    """Return what happened from the kill on, in order."""
    found = [Sighting(at_ms=kill.at_ms, who="drill", what=f"site {kill.site} killed")]
    found += [each for each in sightings if each.at_ms >= kill.at_ms]
    found += _first_answer(ledger, kill)
    found += _last_offer(scenario, kill, offers, back)
    found += _back(scenario, kill, back)
    found.sort(key=lambda each: each.at_ms)
    return tuple(
        Moment(after_s=(each.at_ms - kill.at_ms) / 1000, who=each.who, what=each.what)
        for each in found
    )


def _first_answer(ledger: Ledger, kill: Kill) -> list[Sighting]:
    answers = [
        row.caller.ok_ms
        for row in _redirected(ledger, kill)
        if row.caller is not None and row.caller.ok_ms is not None
    ]
    if not answers:
        return []
    what = f"first call meant for {kill.site} answered by another site"
    return [Sighting(at_ms=min(answers), who="caller", what=what)]


def _back(scenario: Scenario, kill: Kill, back: Mapping[AgentId, int]) -> list[Sighting]:
    """Find when the first and the last agent of the dead site were there at another."""
    homed = _homed(scenario, kill)
    came = sorted(at_ms for agent, at_ms in back.items() if agent in homed)
    if not came:
        return []
    what = f"an agent of {kill.site} takes calls at another site, the first"
    found = [Sighting(at_ms=came[0], who="routing", what=what)]
    if len(came) == len(homed):
        what = f"all {len(homed)} agents of {kill.site} take calls at other sites"
        found.append(Sighting(at_ms=came[-1], who="routing", what=what))
    return found


def _last_offer(
    scenario: Scenario, kill: Kill, offers: Iterable[OfferEvent], back: Mapping[AgentId, int]
) -> list[Sighting]:
    """Find the last time that somebody still tried an agent at the dead site."""
    tried = _offered_after(scenario, kill, offers, back)
    if not tried:
        what = f"no agent at {kill.site} is offered a call from here on"
        return [Sighting(at_ms=kill.at_ms, who="routing", what=what)]
    what = f"an agent at {kill.site} is offered a call for the last time"
    return [Sighting(at_ms=max(tried), who="routing", what=what)]


def _offered_after(
    scenario: Scenario, kill: Kill, offers: Iterable[OfferEvent], back: Mapping[AgentId, int]
) -> list[int]:
    """Return when agents were given to calls at the dead site after the kill."""
    homed = _homed(scenario, kill)
    given: set[tuple[AgentId, CallId | None]] = set()
    found = []
    for each in sorted(offers, key=lambda event: event.revision):
        if each.agent not in homed:
            continue
        if each.change is OfferChange.DELETED:
            given = {pair for pair in given if pair[0] != each.agent}
        elif (each.agent, each.call) not in given:
            given.add((each.agent, each.call))
            if kill.at_ms <= each.at_ms < back.get(each.agent, each.at_ms + 1):
                found.append(each.at_ms)
    return found
