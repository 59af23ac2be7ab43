"""Which sites and edges served while something was broken, and after it. PURE.

That nothing was lost says nothing of a fault that did nothing. A site that drains, or whose trunk
is cut, serves nobody new; one that was gone serves again; an edge that starts without a majority of
etcd serves at all: these are the figures of that, by the edges' own records and logs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from drills.blast import killed_site
from drills.books import is_touched
from drills.course import Made
from drills.fault import Fault, FaultKind
from drills.seen import Seen
from state.model import CallRecord, EdgeId, SiteId

ON_ITS_WAY_S: Final = 0.5
"""Who dialled while it was just being broken may have come in before."""
HUNTS_FOR_S: Final = 2.0
"""Who dials so short before the mending may come in after it: a carrier asks more than once."""
_TRUNK, _EDGE = "carrier-", "edge-"
_MS: Final = 1000
_NS: Final = 1_000_000
"""In a millisecond."""


def served(seen: Seen) -> dict[str, float | None]:
    """Return how many calls were served by whom: of what was broken, and what was not."""
    made = seen.course.made
    answers: dict[str, float | None] = {"calls_met": _met(seen)}
    closed = [each for each in made if _closed(each.fault) is not None]
    if closed:
        answers |= _while_closed(seen, closed)
    gone = killed_site(seen.course.method)
    if gone is not None:
        answers["served_again"] = _again(seen, gone)
    killed = [each for each in made if each.fault.kind is FaultKind.KILL]
    edges = [each for each in killed if each.fault.target.startswith(_EDGE)]
    if edges:
        answers["served_by_next_life"] = _by_next_life(seen, edges)
        answers["takeover_s"] = _takeover_s(seen, edges)
    return answers


def _met(seen: Seen) -> int | None:
    """Return how many calls were on where it was broken while it was; None: it is not over."""
    began_ms, ends_ms = seen.course.began_ms, seen.course.healed_ms
    if began_ms is None or ends_ms is None:
        return None
    return sum(
        row.caller is not None
        and row.caller.invite_ms < ends_ms
        and (row.caller.ended_ms is None or row.caller.ended_ms > began_ms)
        and is_touched(row, seen.course)
        for row in seen.ledger.placed
    )


def _closed(fault: Fault) -> SiteId | None:
    """Return the site at which a fault leaves no way in for new callers; None: it is none such."""
    if fault.kind is FaultKind.DRAIN:
        return SiteId(fault.target)
    if fault.kind is FaultKind.CUT and fault.target.startswith(_TRUNK):
        return SiteId(fault.target.removeprefix(_TRUNK))
    return None


def _while_closed(seen: Seen, closed: Iterable[Made]) -> dict[str, float | None]:
    """Return how many of those whom the carrier tries there first were served there, and elsewhere.

    Neither is known where no such caller came.
    """
    there = elsewhere = 0
    for each in closed:
        site, until_ms = _closed(each.fault), each.healed_ms
        if site is None or until_ms is None:
            continue
        from_ms = each.at_ms + round(ON_ITS_WAY_S * _MS)
        for record in _answered(seen, from_ms, until_ms - round(HUNTS_FOR_S * _MS), site):
            # By way of a site that drains callers may come in, and be passed on at once.
            is_there = record.site == site
            if each.fault.kind is FaultKind.CUT:
                is_there = is_there or record.via == site
            there += is_there
            elsewhere += not is_there
    is_known = bool(there or elsewhere)
    return {
        "served_there": there if is_known else None,
        "served_elsewhere": elsewhere if is_known else None,
    }


def _again(seen: Seen, gone: SiteId) -> int | None:
    """Return how many callers of a site that was gone it has served itself, once it was let back.

    None: none of them came then.
    """
    ends_ms = [each.healed_ms for each in seen.course.made if each.fault.target == gone]
    known_ms = [each for each in ends_ms if each is not None]
    if not known_ms or len(known_ms) < len(ends_ms):
        return None
    came = list(_answered(seen, max(known_ms), None, gone))
    return sum(each.site == gone for each in came) if came else None


def _by_next_life(seen: Seen, killed: Iterable[Made]) -> int | None:
    """Return how many calls an edge answered that was killed, until the last fault was over.

    Who came after it was killed cannot have been answered by the life before. None: some fault is
    not known to be over.
    """
    until_ms = seen.course.healed_ms
    if until_ms is None:
        return None
    return sum(
        record.edge == each.fault.target.removeprefix(_EDGE)
        for each in killed
        for record in (
            *_answered(seen, each.at_ms, until_ms, None),
            *_short(seen, each.at_ms, until_ms),
        )
    )


def _short(seen: Seen, from_ms: int, until_ms: int) -> Iterator[CallRecord]:
    """Yield the records of short calls that were placed and answered then."""
    records = {each.sip_call_id: each for each in seen.short_records}
    for call in seen.short_calls:
        is_answered = call.setup_ms is not None and call.sip_call_id in records
        ends_ns = call.final_ns or 0
        if is_answered and from_ms <= call.invite_ns / _NS and ends_ns / _NS < until_ms:
            yield records[call.sip_call_id]


def _takeover_s(seen: Seen, killed: Iterable[Made]) -> float | None:
    """Return after how long the next lives of killed edges went on with all their calls.

    Infinite: one of them did not. None: none held a call.
    """
    took_s = []
    for each in killed:
        edge = EdgeId(each.fault.target.removeprefix(_EDGE))
        if not _held(seen, edge, each.at_ms):
            continue
        ends_ms = [at for other, at in seen.taken_over if other == edge and at >= each.at_ms]
        took_s.append((min(ends_ms) - each.at_ms) / _MS if ends_ms else math.inf)
    return max(took_s, default=None)


def _held(seen: Seen, edge: EdgeId, at_ms: int) -> bool:
    """Tell whether an edge held a caller whom it had answered."""
    return any(
        row.record is not None
        and row.record.edge == edge
        and row.caller is not None
        and row.caller.ok_ms is not None
        # Who was answered just then may not have acknowledged it: of them no journal tells.
        and row.caller.ok_ms < at_ms - ON_ITS_WAY_S * _MS
        and (row.caller.ended_ms is None or row.caller.ended_ms > at_ms)
        for row in seen.ledger.placed
    )


def _answered(
    seen: Seen, from_ms: int, until_ms: int | None, first_site: SiteId | None
) -> Iterator[CallRecord]:
    """Yield the records of answered calls that were placed then; of one site, or of all."""
    for row in seen.ledger.placed:
        caller, record = row.caller, row.record
        if caller is None or caller.ok_ms is None or record is None:
            continue
        is_then = caller.invite_ms >= from_ms and (until_ms is None or caller.ok_ms < until_ms)
        if is_then and first_site in {None, row.planned.first_site}:
            yield record
