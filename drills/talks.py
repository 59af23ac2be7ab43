"""What became of the talks that were going on when the first fault came. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drills.blast import takes_edge
from drills.books import is_touched
from drills.demo.ledger import Row
from drills.demo.scenario import Dialler
from drills.packets import Dialled, Wire, longest_gap_ms
from drills.seen import Seen
from state.model import CallId, EdgeId, Outcome

AROUND_S: Final = (0.5, 5.0)
"""Audio is looked at from so long before the first fault to so long after it."""
_MS: Final = 1000.0


def talks(seen: Seen, t0_ms: int) -> dict[str, float | None]:
    """Return what became of the calls that were connected when the first fault came."""
    talking = [row for row in seen.ledger.placed if _talked_at(row, t0_ms)]
    touched = [row for row in talking if is_touched(row, seen.course)]
    spared = [row for row in talking if not is_touched(row, seen.course)]
    by_id = {each.sip_call_id: each for each in seen.wire.calls}

    def longest_ms(rows: Iterable[Row]) -> float | None:
        gaps = (
            _gap_ms(seen.wire, by_id.get(row.caller.sip_call_id), row, t0_ms)
            for row in rows
            if row.caller
        )
        return max((gap for gap in gaps if gap is not None), default=None)

    # Of an edge that is killed alone its sister's calls are touched, too, and show nothing of it.
    held = [row for row in touched if takes_edge(seen.course.method, _holder(seen, row, t0_ms))]
    is_shown = touched if takes_edge(seen.course.method, EdgeId("")) is None else held
    kept = [row for row in touched if row.by_people is Outcome.ANSWERED]
    went_on = [row for row in is_shown if row.by_people is Outcome.ANSWERED]
    cleared = [_cleared_s(row, t0_ms) for row in touched if row.by_people is Outcome.LOST]
    return {
        "talking": len(talking),
        "talking_touched": len(touched),
        "talking_kept": len(kept),
        "kept_share": len(kept) / len(touched) if is_shown else None,
        "cleared_s": max(cleared, default=0.0) if touched else None,
        "spared_gap_ms": longest_ms(spared),
        "kept_gap_ms": longest_ms(went_on),
    }


def _holder(seen: Seen, row: Row, at_ms: int) -> EdgeId:
    """Return which edge held a call then, by the history of tickets; empty: nobody knows."""
    call = CallId("" if row.caller is None else row.caller.call)
    known = [
        each.ticket.holder
        for each in seen.tickets
        if each.call == call and each.ticket is not None and each.at_ms <= at_ms
    ]
    return known[-1] if known else EdgeId("")


def _talked_at(row: Row, at_ms: int) -> bool:
    caller = row.caller
    if caller is None or caller.joined_ms is None:
        return False
    return caller.joined_ms < at_ms - AROUND_S[0] * _MS and (caller.ended_ms or at_ms + 1) > at_ms


def _gap_ms(wire: Wire, call: Dialled | None, row: Row, t0_ms: int) -> float | None:
    """Return the longest gap in what a caller of our telephones heard around the first fault.

    Up to when they put their agent on hold.
    What their agent's telephone did not send, as it stood still itself, was not lost on the way.
    """
    caller = row.caller
    if call is None or call.audio_port is None or caller is None:
        return None
    if caller.held and caller.first_held_ms is None:
        return None
    if row.planned.dialler is not Dialler.PHONE:
        return None
    ends_ms = min(t0_ms + AROUND_S[1] * _MS, (caller.ended_ms or t0_ms) - 200)
    if row.agent is not None and row.agent.busy_until_ms is not None:
        ends_ms = min(ends_ms, row.agent.busy_until_ms - 200)
    if caller.first_held_ms is not None:
        # Until then they talked; on hold there is nothing to hear, and from when on nobody knows.
        ends_ms = min(ends_ms, caller.first_held_ms - 200)
    begins_ms = t0_ms - AROUND_S[0] * _MS
    if ends_ms <= t0_ms:
        return None  # nothing is known of the time after it
    times = wire.audio_ns.get(call.audio_port, [])
    heard = () if row.agent is None else (row.agent, *row.earlier)
    unsent = [(begin * 10**6, end * 10**6) for each in heard for begin, end in each.stalls]
    found = longest_gap_ms(times, round(begins_ms * 1e6), round(ends_ms * 1e6), unsent)
    # They talked: not a packet is no call without audio, but one that was silent all the while.
    return ends_ms - begins_ms if found is None else found


def _cleared_s(row: Row, t0_ms: int) -> float:
    """Return when both people of a lost call were free again."""
    ends = [row.caller.ended_ms if row.caller else None]
    if row.agent is not None:
        ends.append(row.agent.busy_until_ms)
    known = [each for each in ends if each is not None]
    return (max(known) - t0_ms) / _MS if len(known) == len(ends) else float("inf")
