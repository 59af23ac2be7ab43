"""What became of a flood of calls, and when service was as before it again. PURE.

Whoever refuses everybody loses nobody: so it is counted whom agents answered, and how soon those
are given one who come when the flood is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from drills.demo.ledger import Row
from drills.demo.reports import OfferChange
from drills.demo.scenario import Behaviour, Burst
from drills.seen import Seen
from state.model import CallId, Outcome

AS_BEFORE_S: Final = 1.0
"""An agent is given as soon as before if it takes no longer than the longest wait before, and so
much."""
_MS: Final = 1000.0


def flood(seen: Seen) -> dict[str, float | None]:
    """Return what is known of a flood that ended; nothing where there was none."""
    burst = seen.scenario.burst
    if burst is None or math.isinf(burst.for_s):
        return {}
    before, during, after = _parts(seen.ledger.placed, burst)
    rate, usual_rate = _per_s(during), _per_s(before, after)
    answered = sum(row.by_people is Outcome.ANSWERED for row in during)
    return {
        "flood_times": None if rate is None or not usual_rate else rate / usual_rate,
        "flood_s": _lasts_s(during),
        "flood_answered_share": answered / len(during) if during else None,
        "usual_again_s": _usual_again_s(seen, before, during, after),
    }


def _parts(rows: Iterable[Row], burst: Burst) -> tuple[list[Row], list[Row], list[Row]]:
    """Return who was to call before the flood, in it, and after it."""
    before, during, after = list[Row](), list[Row](), list[Row]()
    for row in rows:
        at_s = row.planned.at_s
        part = before if at_s < burst.from_s else during if at_s < burst.ends_s else after
        part.append(row)
    return before, during, after


def _lasts_s(rows: Iterable[Row]) -> float | None:
    """Return from when to when they called, by their telephones."""
    at_ms = [row.caller.invite_ms for row in rows if row.caller]
    return (max(at_ms) - min(at_ms)) / _MS if at_ms else None


def _per_s(*parts: list[Row]) -> float | None:
    """Return how fast calls came, over one or more stretches of time."""
    lasts_s = sum(_lasts_s(rows) or 0.0 for rows in parts)
    gaps = sum(max(0, len(rows) - 1) for rows in parts)
    return gaps / lasts_s if lasts_s else None


def _usual_again_s(
    seen: Seen, before: Iterable[Row], during: Iterable[Row], after: Iterable[Row]
) -> float | None:
    """Return when, after the last call of the flood, the first came from whom on all was as before.

    Infinite where the last caller still waited longer; None: nobody came later, or nobody before.
    """
    given_ms: dict[CallId, int] = {}
    for event in seen.offers:
        if event.change is OfferChange.PUT and event.call is not None:
            given_ms.setdefault(event.call, event.at_ms)
    waited_s = [_waited_s(row, given_ms) for row in before if not _leaves(row)]
    came_ms = [row.caller.invite_ms for row in during if row.caller]
    later = sorted(
        (row.caller.invite_ms, _waited_s(row, given_ms))
        for row in after
        if row.caller and not _leaves(row)
    )
    if not waited_s or not came_ms or not later:
        return None
    most_s = max(waited_s) + AS_BEFORE_S
    late = [at_ms for at_ms, wait_s in later if wait_s > most_s]
    good = [at_ms for at_ms, _ in later if at_ms > max(late, default=0)]
    return (good[0] - max(came_ms)) / _MS if good else math.inf


def _leaves(row: Row) -> bool:
    """Tell whether a caller meant to leave before they have an agent, and did."""
    means_to = row.planned.behaviour in {Behaviour.LEAVES_GREETING, Behaviour.IMPATIENT}
    return means_to and row.by_people is Outcome.ABANDONED


def _waited_s(row: Row, given_ms: dict[CallId, int]) -> float:
    """Return how long a caller waited until an agent was given to them; for ever: none was."""
    caller = row.caller
    if caller is None or caller.ok_ms is None or CallId(caller.call) not in given_ms:
        return math.inf
    return (given_ms[CallId(caller.call)] - caller.ok_ms) / _MS
