"""The figures of a drill, each by its formula. PURE.

Two accounts are kept apart: what people's telephones and the edges say (the ledger), and what was
on the wire before the callers (the capture). Where both can say something, both do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from drills.blast import killed_site, touches
from drills.course import Course
from drills.demo import routing
from drills.demo.ledger import Ledger, Row
from drills.demo.reports import End
from drills.demo.scenario import Dialler
from drills.experiment import FaultKind
from drills.packets import Dialled, Wire, longest_gap_ms, rto_s
from drills.seen import Seen, Written
from drills.truth import untrue_agent_s
from state.model import Outcome, SiteId

ANSWER_LIMIT_S: Final = 2.0
"""A call set up within this time counts as served."""
SETTLED_AFTER_S: Final = 5.0
"""From so long after the first fault on, every call has to be answered."""
AROUND_S: Final = (0.5, 5.0)
"""Audio is looked at from so long before the first fault to so long after it."""
DATA_S: Final = 20.0
_MS: Final = 1000.0


def figures(seen: Seen) -> dict[str, float | None]:
    """Return every figure by its name; None: it could not be measured."""
    course = seen.course
    t0_ms = course.began_ms
    answers: dict[str, float | None] = dict(_counts(seen))
    answers["double_offers"] = len(routing.double_offers(seen.agents, seen.offers))
    answers["left_behind"] = sum(stock.left for stock in seen.stocks) + len(seen.silent)
    answers["back_s"] = course.back_s
    if seen.recorded is not None:
        whole = [each for each in seen.recorded if each.is_complete and not each.fault]
        answers["recordings_due"] = len(seen.recorded)
        answers["recordings_lost"] = len(seen.recorded) - len(whole)
    if seen.clocks_meanwhile:
        # What is certain: both ends of a bound are on one side of right.
        sure_ms = (min(abs(e.least_ms), abs(e.most_ms)) for e in seen.clocks_meanwhile)
        answers["clock_off_s"] = max(sure_ms) / _MS
    answers["stores_away"] = seen.said.get("store_away", 0)
    answers["members_away"] = seen.said.get("etcd_member_benched", 0)
    if t0_ms is None:
        return answers
    first_site = killed_site(course.method)
    answers["rto_s"] = ledger_rto_s(seen.ledger, t0_ms, first_site)
    answers["rto_capture_s"] = rto_s(seen.wire, t0_ms * 1_000_000, ANSWER_LIMIT_S, first_site)
    answers["rto_error_ms"] = _difference_ms(answers["rto_s"], answers["rto_capture_s"])
    answers["failed"] = len(failed_after(seen.ledger, t0_ms))
    answers["lost_elsewhere"] = len(lost_elsewhere(seen))
    answers["recording_rto_s"] = recording_rto_s(seen, t0_ms, first_site)
    answers["untrue_agent_s"] = untrue_agent_s(seen, t0_ms)
    answers["ttl_overrun_s"] = _overrun_s(course)
    answers["drained_s"] = drained_s(seen, t0_ms)
    answers["media_rto_s"] = media_rto_s(seen.ledger, t0_ms, first_site)
    answers["data_rto_s"] = data_rto_s(seen.writes_ms, t0_ms)
    answers["sign_in_rto_s"] = sign_in_rto_s(seen.sign_ins, t0_ms)
    merged = [at_ms for at_ms in seen.merged_ms if at_ms >= t0_ms]
    healed_ms = course.healed_ms
    is_known = merged and healed_ms is not None
    answers["reconciled_s"] = (max(merged) - (healed_ms or 0)) / _MS if is_known else None
    answers["abort_back_s"] = _abort_back_s(seen)
    if seen.written is not None:
        answers |= writes(seen.written, t0_ms, healed_ms)
    answers |= places(seen)
    answers |= _setup(seen.wire, t0_ms)
    if any(_is_unanswered(row, t0_ms) for row in seen.ledger.placed):
        answers["final_answer_s"] = float("inf")
    answers |= _cut_off(seen, t0_ms)
    return answers


def writes(written: Written, t0_ms: int, healed_ms: int | None) -> dict[str, float | None]:
    """Return what became of writes to the database through the API.

    The longest time without an acknowledged one counts from the first fault on, and to the end if
    none came after it.
    """
    acknowledged = sorted(written.acknowledged_ms)
    before = [at_ms for at_ms in acknowledged if at_ms < t0_ms]
    after = [at_ms for at_ms in acknowledged if at_ms >= t0_ms]
    edges_ms = [max(before, default=t0_ms), *after]
    gap_ms = max((late - early for early, late in pairwise(edges_ms)), default=None)
    is_back = healed_ms is not None and written.whole_ms is not None
    whole_s = max(0, (written.whole_ms or 0) - (healed_ms or 0)) / _MS
    return {
        "writes": len(acknowledged),
        "writes_after": len(after),
        "writes_unanswered": written.unanswered,
        "writes_lost": len(written.missing),
        "write_gap_s": None if gap_ms is None else gap_ms / _MS,
        "database_whole_s": whole_s if is_back else None,
        "replica_lag_bytes": written.most_lag_bytes,
    }


# ---- the ledger ----------------------------------------------------------------------------------


def _counts(seen: Seen) -> dict[str, float]:
    book, wire = seen.ledger, seen.wire
    people = Counter(row.by_people for row in book.placed)
    edges = Counter(record.outcome for row in book.rows for record in row.records)
    by_sipp = [row for row in book.placed if row.planned.dialler is Dialler.SIPP]
    placed = {row.caller.sip_call_id for row in book.placed if row.caller}
    found = {
        "offered": len(book.placed),
        "answered": people[Outcome.ANSWERED],
        "abandoned": people[Outcome.ABANDONED],
        "refused": people[Outcome.REFUSED],
        "lost": people[Outcome.LOST],
        "not_placed": len(seen.scenario.calls) - len(book.placed),
        "mismatches": len(book.mismatches()),
        "sipp_calls": len(by_sipp),
        "captured_calls": len(wire.calls),
        "capture_dropped": seen.dropped,
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
    return {**found, "ledger_exact": float(is_exact)}


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


def ledger_rto_s(book: Ledger, t0_ms: int, first_site: SiteId | None) -> float | None:
    """Return when service was back by the callers' telephones; see `drills.packets.rto_s`."""
    first_good: int | None = None
    rows = [row for row in book.placed if row.caller and row.caller.invite_ms >= t0_ms]
    for row in sorted(rows, key=lambda each: each.caller.invite_ms if each.caller else 0):
        caller = row.caller
        if caller is None or first_site not in {None, row.planned.first_site}:
            continue
        if caller.ok_ms is None or caller.ok_ms - caller.invite_ms > ANSWER_LIMIT_S * _MS:
            first_good = None
        elif first_good is None:
            first_good = caller.invite_ms
    return None if first_good is None else (first_good - t0_ms) / _MS


def media_rto_s(book: Ledger, t0_ms: int, first_site: SiteId | None) -> float | None:
    """Return when the first caller who came after the first fault heard an agent."""
    heard = [
        row.caller.joined_ms
        for row in book.placed
        if row.caller
        and row.caller.joined_ms is not None
        and row.caller.invite_ms >= t0_ms
        and first_site in {None, row.planned.first_site}
    ]
    return (min(heard) - t0_ms) / _MS if heard else None


def recording_rto_s(seen: Seen, t0_ms: int, first_site: SiteId | None) -> float | None:
    """Return when the first talk began of which, in the end, there is a whole recording.

    Of callers who came after the first fault; None: there is none, or nobody listened.
    """
    whole = {each.call for each in seen.recorded or () if each.is_complete and not each.fault}
    begun = [
        row.caller.joined_ms
        for row in seen.ledger.placed
        if row.caller
        and row.caller.joined_ms is not None
        and row.caller.invite_ms >= t0_ms
        and row.caller.call in whole
        and first_site in {None, row.planned.first_site}
    ]
    return (min(begun) - t0_ms) / _MS if begun else None


def data_rto_s(writes_ms: Iterable[int], t0_ms: int) -> float | None:
    """Return for how long, at most, nothing could be written in the `DATA_S` after the fault."""
    inside = [at for at in sorted(writes_ms) if t0_ms <= at <= t0_ms + DATA_S * _MS]
    if not inside:
        return None
    return max(later - earlier for earlier, later in pairwise([t0_ms, *inside])) / _MS


def sign_in_rto_s(sign_ins: Iterable[tuple[int, str, bool]], t0_ms: int) -> float | None:
    """Return when the last agent's telephone that lost its registrar was registered again."""
    out: set[str] = set()
    worst_ms = t0_ms
    for at_ms, agent, is_registered in sorted(sign_ins):
        if at_ms < t0_ms:
            continue
        if not is_registered:
            out.add(agent)
        elif agent in out:
            out.remove(agent)
            worst_ms = max(worst_ms, at_ms)
    return None if out else (worst_ms - t0_ms) / _MS


def places(seen: Seen) -> dict[str, float | None]:
    """Return how many dialled again, and what share of them had their place back.

    Who was served before the lost ticket was closed had no place to get back, and lost nothing.
    """
    created = {
        each.ticket.sip_call_id: each.create_revision
        for each in seen.tickets
        if each.ticket is not None
    }
    given = {
        (each.ticket.sip_call_id, each.ticket.place)
        for each in seen.tickets
        if each.ticket is not None and each.ticket.place is not None
    }
    closed_ms = {each.call: each.at_ms for each in seen.tickets if each.ticket is None}
    calls = {each.ticket.sip_call_id: each.call for each in seen.tickets if each.ticket is not None}
    had_one = [each for each in seen.redialled if each.lost_sip_call_id in created]
    back = 0
    for each in had_one:
        lost_ms = closed_ms.get(calls[each.lost_sip_call_id])
        was_served_first = (
            each.joined_ms is not None and lost_ms is not None and each.joined_ms <= lost_ms
        )
        back += was_served_first or (each.sip_call_id, created[each.lost_sip_call_id]) in given
    return {
        "redialled": len(had_one),
        "redial_answered": sum(each.joined_ms is not None for each in had_one),
        "places_regained": back / len(had_one) if had_one else None,
    }


def failed_after(book: Ledger, t0_ms: int) -> tuple[Row, ...]:
    """Return the calls placed later than `SETTLED_AFTER_S` that got no 200."""
    return tuple(
        row
        for row in book.placed
        if row.caller
        and row.caller.invite_ms >= t0_ms + SETTLED_AFTER_S * _MS
        and row.caller.ok_ms is None
        and row.caller.end is not End.CANCELLED
    )


def lost_elsewhere(seen: Seen) -> tuple[Row, ...]:
    """Return the calls that were lost though nothing of theirs was where something was broken."""
    return tuple(
        row
        for row in seen.ledger.placed
        if Outcome.LOST in (row.by_people, row.by_edges) and not _is_touched(row, seen.course)
    )


def drained_s(seen: Seen, t0_ms: int) -> float | None:
    """Return when the last call came that a site with bad lines still served; None: none came."""
    gray = {each.target for each in seen.course.method if each.kind is FaultKind.SHAPE}
    ends_ms = seen.course.healed_ms or t0_ms
    meant = [
        row
        for row in seen.ledger.placed
        if row.caller
        and row.planned.first_site in gray
        and t0_ms <= row.caller.invite_ms <= ends_ms
    ]
    if not meant:
        return None
    served = [
        row.caller.invite_ms
        for row in meant
        if row.caller and row.record is not None and row.record.site in gray
    ]
    return (max(served, default=t0_ms) - t0_ms) / _MS


def _is_touched(row: Row, course: Course) -> bool:
    return any(touches(fault, row.touched) for fault in course.method)


# ---- the wire ------------------------------------------------------------------------------------


def _setup(wire: Wire, t0_ms: int) -> dict[str, float | None]:
    t0_ns = t0_ms * 1_000_000
    before = [ms for call in wire.calls if call.invite_ns < t0_ns and (ms := call.setup_ms)]
    after = [ms for call in wire.calls if call.invite_ns >= t0_ns and (ms := call.setup_ms)]
    finals = [call.final_s for call in wire.calls if call.invite_ns >= t0_ns]
    # Of a call without one the callers' telephones tell whether it was withdrawn.
    known = [final for final in finals if final is not None]
    return {
        "final_answer_s": max(known) if known else None,
        "setup_before_ms": median(before) if before else None,
        "setup_after_ms": median(after) if after else None,
        "setup_max_ms": max(after) if after else None,
        "setup_delay_ms": median(after) - median(before) if before and after else None,
    }


def _is_unanswered(row: Row, t0_ms: int) -> bool:
    """Tell whether an INVITE of after the first fault never got a final answer."""
    caller = row.caller
    if caller is None or caller.invite_ms < t0_ms or caller.ok_ms is not None:
        return False
    return caller.end in {End.SILENCE, End.UNFINISHED}


def _cut_off(seen: Seen, t0_ms: int) -> dict[str, float | None]:
    """Return what became of the calls that were connected when the first fault came."""
    talking = [row for row in seen.ledger.placed if _talked_at(row, t0_ms)]
    touched = [row for row in talking if _is_touched(row, seen.course)]
    spared = [row for row in talking if not _is_touched(row, seen.course)]
    by_id = {each.sip_call_id: each for each in seen.wire.calls}
    gaps = [
        gap
        for row in spared
        if row.caller and (gap := _gap_ms(seen.wire, by_id.get(row.caller.sip_call_id), row, t0_ms))
    ]
    kept = [row for row in touched if row.by_people is Outcome.ANSWERED]
    cleared = [_cleared_s(row, t0_ms) for row in touched if row.by_people is Outcome.LOST]
    return {
        "talking": len(talking),
        "talking_touched": len(touched),
        "talking_kept": len(kept),
        "kept_share": len(kept) / len(touched) if touched else None,
        "cleared_s": max(cleared) if cleared else 0.0,
        "spared_gap_ms": max(gaps) if gaps else None,
    }


def _talked_at(row: Row, at_ms: int) -> bool:
    caller = row.caller
    if caller is None or caller.joined_ms is None:
        return False
    return caller.joined_ms < at_ms - AROUND_S[0] * _MS and (caller.ended_ms or at_ms + 1) > at_ms


def _gap_ms(wire: Wire, call: Dialled | None, row: Row, t0_ms: int) -> float | None:
    """Return the longest gap in what an undisturbed caller heard around the first fault."""
    caller = row.caller
    if call is None or call.audio_port is None or caller is None or caller.held:
        return None
    if row.planned.dialler is not Dialler.PHONE:
        return None
    ends_ms = min(t0_ms + AROUND_S[1] * _MS, (caller.ended_ms or t0_ms) - 200)
    if row.agent is not None and row.agent.busy_until_ms is not None:
        ends_ms = min(ends_ms, row.agent.busy_until_ms - 200)
    begins_ms = t0_ms - AROUND_S[0] * _MS
    if ends_ms <= begins_ms:
        return None
    times = wire.audio_ns.get(call.audio_port, [])
    return longest_gap_ms(times, round(begins_ms * 1e6), round(ends_ms * 1e6))


def _cleared_s(row: Row, t0_ms: int) -> float:
    """Return when both people of a lost call were free again."""
    ends = [row.caller.ended_ms if row.caller else None]
    if row.agent is not None:
        ends.append(row.agent.busy_until_ms)
    known = [each for each in ends if each is not None]
    return (max(known) - t0_ms) / _MS if len(known) == len(ends) else float("inf")


def _overrun_s(course: Course) -> float:
    """Return by how much a fault outlived its time."""
    late = [
        (each.healed_ms - each.until_ms) / _MS if each.healed_ms is not None else float("inf")
        for each in course.made
    ]
    return max([0.0, *late])


def _difference_ms(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else abs(one - other) * _MS


def _abort_back_s(seen: Seen) -> float | None:
    """Return when, after it was aborted, the steady state was back; None: never, or nobody did."""
    course = seen.course
    if seen.aborted_ms is None or course.healed_ms is None or course.back_s is None:
        return None
    return (course.healed_ms - seen.aborted_ms) / _MS + course.back_s


def moved(book: Ledger) -> Mapping[str, int]:
    """Return who was moved where: calls by the site they were meant for and the one that served."""
    moves = Counter(
        f"{row.planned.first_site} -> {row.record.site}"
        for row in book.placed
        if row.record is not None and row.record.site != row.planned.first_site
    )
    return dict(sorted(moves.items()))


def sums(values: Sequence[Mapping[str, float | None]], figure: str) -> float | None:
    """Return the largest of a figure over runs; None when any run could not measure it."""
    found = [each.get(figure) for each in values]
    known = [each for each in found if each is not None]
    return max(known) if known and len(known) == len(found) else None
