"""That a fault was there, by whoever tried what it breaks. PURE.

Where calls have to go on, that they did says nothing of a fault that did nothing. So packets are
sent over the link that is broken, recordings opened with the keys that are gone, and etcd asked how
long its disk takes: apart from whatever makes the fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Final

from drills.fault import FaultKind
from drills.seen import Crossing, Felt, Opening, Seen, Synced

OUTAGE_MS: Final = 300.0
"""A link was gone if nothing sent in so long arrived, and something did before it and after it."""
_MS: Final = 1000.0


def felt(seen: Seen) -> dict[str, float | None]:
    """Return what was noticed of the faults while they stood; nothing where nobody tried."""
    began_ms, ends_ms = seen.course.began_ms, seen.course.healed_ms
    if began_ms is None or ends_ms is None or seen.felt == Felt():
        return {}
    answers: dict[str, float | None] = {}
    found = seen.felt
    if found.crossings:
        answers |= _link([e for e in found.crossings if began_ms <= e.sent_ms < ends_ms])
    if found.openings:
        answers |= _openings(seen, found.openings)
        answers["recorded_meanwhile"] = _recorded(seen, began_ms, ends_ms)
    if found.synced:
        slow = {
            each.fault.target.removeprefix("etcd-")
            for each in seen.course.made
            if each.fault.kind is FaultKind.SLOW_SYNC
        }
        meanwhile = [e for e in found.synced if began_ms <= e.at_ms <= ends_ms and e.site in slow]
        answers["sync_ms"] = _sync_ms(meanwhile)
    return answers


def _link(crossings: list[Crossing]) -> dict[str, float | None]:
    took = [each.took_ms for each in crossings if each.took_ms is not None]
    lines = defaultdict[tuple[str, str], list[Crossing]](list)
    for each in crossings:
        lines[each.source, each.target].append(each)
    return {
        "link_lost_share": 1.0 - len(took) / len(crossings) if crossings else None,
        "link_delay_ms": median(took) if took else None,
        # Of both directions that which was gone less often.
        "link_outages": min(map(_outages, lines.values())) if lines else None,
    }


def _outages(crossings: Iterable[Crossing]) -> int:
    """Return how often one direction was gone and came back."""
    found, last_ms, lost_from_ms = 0, None, None
    for each in sorted(crossings, key=lambda each: each.sent_ms):
        if each.took_ms is None:
            lost_from_ms = each.sent_ms if lost_from_ms is None else lost_from_ms
            last_ms = each.sent_ms
            continue
        if lost_from_ms is not None and last_ms is not None:
            found += last_ms - lost_from_ms >= OUTAGE_MS
        lost_from_ms = None
    return found


def _openings(seen: Seen, openings: Iterable[Opening]) -> dict[str, float | None]:
    """Return how many were refused, and how many were not, while that site's keys were gone."""
    gone = [each for each in seen.course.made if each.fault.kind is FaultKind.LOSE_KEYS]
    tried = [
        opening.is_open
        for opening in openings
        for each in gone
        if each.fault.target == opening.site
        and each.healed_ms is not None
        and each.at_ms <= opening.at_ms < each.healed_ms
    ]
    return {
        "openings_refused": len(tried) - sum(tried) if tried else None,
        "opened_meanwhile": sum(tried) if tried else None,
    }


def _recorded(seen: Seen, began_ms: int, ends_ms: int) -> int | None:
    """Return how many talks began while it was broken of which there is a whole recording."""
    if seen.recorded is None:
        return None
    whole = {each.call for each in seen.recorded if each.is_complete and not each.fault}
    return sum(
        row.caller is not None
        and row.caller.joined_ms is not None
        and began_ms <= row.caller.joined_ms < ends_ms
        and row.caller.call in whole
        for row in seen.ledger.placed
    )


def _sync_ms(synced: Iterable[Synced]) -> float | None:
    """Return how long a writing to disk took on average; None: there was none."""
    by_site = defaultdict[str, list[Synced]](list)
    for each in synced:
        by_site[each.site].append(each)
    means = [
        (last.took_s - first.took_s) / (last.times - first.times) * _MS
        for first, *_, last in (each for each in by_site.values() if len(each) > 1)
        # A member that was started anew counts from none.
        if last.times > first.times
    ]
    return min(means, default=None)
