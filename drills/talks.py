"""What became of the talks that were going on when the first fault came. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from drills.blast import takes_edge
from drills.books import is_touched
from drills.demo.cut_off import GAP_MS
from drills.demo.ledger import Row
from drills.demo.scenario import Dialler
from drills.packets import longest_gap_ms
from drills.seen import Seen
from state.model import CallId, EdgeId, Outcome

AROUND_S: Final = (0.5, 5.0)
"""Audio is looked at from so long before the first fault to so long after it was mended."""
LAST_MS: Final = 200.0
"""The last moment of a talk is not looked at: whoever hangs up is silent before all know of it."""
_MS: Final = 1000.0


class Side(Enum):
    """Who hears."""

    CALLER = auto()
    AGENT = auto()


class Ear(Struct, frozen=True, kw_only=True):
    """What came to one side of a talk."""

    came_ns: Sequence[int]
    stalls: tuple[tuple[int, int], ...]
    """From when to when the other side's telephone stood still itself and had sent nothing, in
    milliseconds: that was not lost on the way."""


class Listened(Struct, frozen=True, kw_only=True):
    """One stretch of a talk, as one side heard it."""

    begin_ms: float
    end_ms: float
    gap_ms: float


def talks(seen: Seen, t0_ms: int) -> dict[str, float | None]:
    """Return what became of the calls that were connected when the first fault came."""
    talking = [row for row in seen.ledger.placed if _talked_at(row, t0_ms)]
    touched = [row for row in talking if is_touched(row, seen.course)]
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
        "cleared_s": max(cleared, default=0.0) if is_shown else None,
        "kept_gap_ms": _kept_gap_ms(seen, went_on, t0_ms) if is_shown else None,
        **_spared(seen, t0_ms),
    }


def _spared(seen: Seen, t0_ms: int) -> dict[str, float | None]:
    """Return the longest gap of calls that had nothing to lose, from the fault to the mending.

    Each side's is known only if somebody was listened to when it broke, and when it was mended.
    """
    healed_ms = max(t0_ms, seen.course.healed_ms or t0_ms)
    rows = [row for row in seen.ledger.placed if not is_touched(row, seen.course)]
    from_ms, until_ms = t0_ms - AROUND_S[0] * _MS, healed_ms + AROUND_S[1] * _MS
    sides: dict[Side, float | None] = {}
    for side in Side:
        heard = _listened(seen, rows, side, from_ms, until_ms)
        are_known = all(
            any(each.begin_ms <= at_ms < each.end_ms for each in heard)
            for at_ms in (t0_ms, healed_ms)
        )
        sides[side] = max(each.gap_ms for each in heard) if are_known else None
    known = [each for each in sides.values() if each is not None]
    return {
        "spared_gap_ms": max(known) if len(known) == len(sides) else None,
        "spared_agents_gap_ms": sides[Side.AGENT],
    }


def _kept_gap_ms(seen: Seen, went_on: Sequence[Row], t0_ms: int) -> float | None:
    """Return the longest gap, on either side, of talks that the fault hit and that went on.

    0 where none went on, or each had been over before anything could be called a gap.
    """
    over_ms = t0_ms + LAST_MS + GAP_MS
    later = [
        row
        for row in went_on
        if row.caller and (row.caller.hung_up_ms or row.caller.ended_ms or over_ms) >= over_ms
    ]
    from_ms, until_ms = t0_ms - AROUND_S[0] * _MS, t0_ms + AROUND_S[1] * _MS
    heard = [
        each
        for side in Side
        for each in _listened(seen, later, side, from_ms, until_ms)
        if each.end_ms > t0_ms
    ]
    return max((each.gap_ms for each in heard), default=None) if later else 0.0


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


def _ear(seen: Seen, row: Row, side: Side) -> Ear | None:
    """Return what came to one side of a talk, and what the other had not sent; None: unknown."""
    caller, agent = row.caller, row.agent
    if caller is None or agent is None:
        return None
    if side is Side.AGENT:
        at = None if seen.lines is None else seen.lines.ears.get(agent.sip_call_id)
        if seen.lines is None or at is None:
            return None
        return Ear(came_ns=seen.lines.audio_ns.get(at, ()), stalls=caller.stalls)
    # Of SIPp all calls hear at one port.
    is_phone = row.planned.dialler is Dialler.PHONE
    port = next(
        (e.audio_port for e in seen.wire.calls if e.sip_call_id == caller.sip_call_id), None
    )
    if not is_phone or port is None:
        return None
    stalls = tuple(stall for each in (agent, *row.earlier) for stall in each.stalls)
    return Ear(came_ns=seen.wire.audio_ns.get(port, ()), stalls=stalls)


def _stretches(row: Row, side: Side, from_ms: float, until_ms: float) -> list[tuple[float, float]]:
    """Return from when to when two talked, as far as is known, within what is looked at.

    From half a second after they were brought together, as phones are told of it one by one, until
    one of them hung up; without what was on hold: there is nothing to hear then.
    """
    caller, agent = row.caller, row.agent
    if caller is None or agent is None or caller.joined_ms is None:
        return []
    if caller.held and caller.first_held_ms is None:
        return []
    met_ms = caller.joined_ms
    if side is Side.AGENT and agent.answered_ms is not None:
        met_ms = max(met_ms, agent.answered_ms)
    over = (caller.hung_up_ms, caller.ended_ms, agent.busy_until_ms)
    ends_ms = min([until_ms, *(each - LAST_MS for each in over if each is not None)])
    begins_ms = max(from_ms, met_ms + AROUND_S[0] * _MS)
    if caller.first_held_ms is None:
        pieces = [(begins_ms, ends_ms)]
    else:
        pieces = [(begins_ms, min(ends_ms, caller.first_held_ms - LAST_MS))]
        if caller.resumed_ms is not None:
            pieces += [(max(begins_ms, caller.resumed_ms + AROUND_S[0] * _MS), ends_ms)]
    return [(begin, end) for begin, end in pieces if begin < end]


def _listened(
    seen: Seen, rows: Iterable[Row], side: Side, from_ms: float, until_ms: float
) -> list[Listened]:
    """Return each stretch of these talks in which one side could be listened to."""
    found = []
    for row in rows:
        ear = _ear(seen, row, side)
        if ear is None:
            continue
        for begin_ms, end_ms in _stretches(row, side, from_ms, until_ms):
            unsent = [(begin * 10**6, end * 10**6) for begin, end in ear.stalls]
            gap_ms = longest_gap_ms(ear.came_ns, round(begin_ms * 1e6), round(end_ms * 1e6), unsent)
            # They talked: not a packet is no call without audio, but one that was silent.
            silent_ms = end_ms - begin_ms if gap_ms is None else gap_ms
            found.append(Listened(begin_ms=begin_ms, end_ms=end_ms, gap_ms=silent_ms))
    return found


def _cleared_s(row: Row, t0_ms: int) -> float:
    """Return when both people of a lost call were free again."""
    ends = [row.caller.ended_ms if row.caller else None]
    if row.agent is not None:
        ends.append(row.agent.busy_until_ms)
    known = [each for each in ends if each is not None]
    return (max(known) - t0_ms) / _MS if len(known) == len(ends) else float("inf")
