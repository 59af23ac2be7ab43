"""The ledger of a drill: what its calls came to, and whether all accounts of them agree. PURE.

Two accounts are kept apart: what people's telephones and the edges say (the ledger), and what was
on the wire before the callers (the capture). Where both can say something, both do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from drills.blast import touches
from drills.course import Course
from drills.demo.ledger import Ledger, Row
from drills.demo.reports import End
from drills.demo.scenario import Dialler
from drills.packets import Wire
from drills.seen import Seen
from state.model import Outcome

SETTLED_AFTER_S: Final = 5.0
"""From so long after the first fault on, every call has to be answered."""
_MS: Final = 1000.0


def counts(seen: Seen) -> dict[str, float | None]:
    """Return how many calls came to what, and whether everybody says the same."""
    book, wire = seen.ledger, seen.wire
    people = Counter(row.by_people for row in book.placed)
    edges = Counter(record.outcome for row in book.rows for record in row.records)
    by_sipp = [row for row in book.placed if row.planned.dialler is Dialler.SIPP]
    placed = {row.caller.sip_call_id for row in book.placed if row.caller}
    found: dict[str, int] = {
        "offered": len(book.placed),
        "answered": people[Outcome.ANSWERED],
        "abandoned": people[Outcome.ABANDONED],
        "refused": people[Outcome.REFUSED],
        "lost": people[Outcome.LOST],
        "not_placed": len(seen.scenario.calls) - len(book.placed),
        "mismatches": len(book.mismatches()),
        "sipp_calls": len(by_sipp),
        "captured_calls": len(wire.calls),
        "wire_differs": len(wire_differs(book, wire))
        + len({e.sip_call_id for e in wire.calls} ^ placed),
    }
    sums = found["offered"] == sum(
        found[each] for each in ("answered", "abandoned", "refused", "lost")
    )
    is_exact = (
        sums
        and people == edges
        and not (found["mismatches"] or found["wire_differs"] or found["not_placed"])
    )
    return {
        **found,
        "capture_dropped": seen.dropped,
        "ledger_exact": float(is_exact),
        "ledger_exact_elsewhere": float(is_exact or _is_exact_elsewhere(seen, found)),
    }


def _is_exact_elsewhere(seen: Seen, found: Mapping[str, int]) -> bool:
    """Tell whether only calls that had something where it was broken are told in two ways.

    Of each of them, too, there is one word of the people and one record, and all accounts know the
    same calls.
    """
    book = seen.ledger
    unknown = found["wire_differs"] or found["not_placed"] or len(book.unclaimed_records)
    return not (unknown or book.unclaimed_answers) and all(
        row.by_people is not None and row.by_edges is not None and is_touched(row, seen.course)
        for row in book.differing
    )


def wire_differs(book: Ledger, wire: Wire) -> tuple[str, ...]:
    """Return the calls of which the wire tells another final answer than their callers do."""
    by_id = {each.sip_call_id: each for each in wire.calls}
    found = []
    for row in book.placed:
        caller = row.caller
        if caller is None or caller.sip_call_id not in by_id:
            continue
        was_answered = by_id[caller.sip_call_id].setup_ms is not None
        if was_answered != (caller.ok_ms is not None) and caller.end is not End.CANCELLED:
            found.append(caller.sip_call_id)
    return tuple(found)


def failed_after(book: Ledger, t0_ms: int) -> int | None:
    """Return how many calls of `SETTLED_AFTER_S` and later got no 200; None: none was placed."""
    placed = [
        row.caller
        for row in book.placed
        if row.caller and row.caller.invite_ms >= t0_ms + SETTLED_AFTER_S * _MS
    ]
    failed = [each for each in placed if each.ok_ms is None and each.end is not End.CANCELLED]
    return len(failed) if placed else None


def lost_elsewhere(seen: Seen) -> tuple[Row, ...]:
    """Return the calls that were lost though nothing of theirs was where something was broken."""
    return tuple(
        row
        for row in seen.ledger.placed
        if Outcome.LOST in (row.by_people, row.by_edges) and not is_touched(row, seen.course)
    )


def is_touched(row: Row, course: Course) -> bool:
    """Tell whether something of a call was where something was broken."""
    return any(touches(fault, row.touched) for fault in course.method)


def moved(book: Ledger) -> Mapping[str, int]:
    """Return who was moved where: calls by the site they were meant for and the one that served."""
    moves = Counter(
        f"{row.planned.first_site} -> {row.record.site}"
        for row in book.placed
        if row.record is not None and row.record.site != row.planned.first_site
    )
    return dict(sorted(moves.items()))
