"""When what a fault took away was back, service by service. PURE.

By the ledger: the callers' telephones, the shared state, the recordings. What the capture says of
the same is `drills.packets`'s.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final

from drills.blast import killed_site
from drills.demo.ledger import Ledger, Row
from drills.demo.reports import OfferChange
from drills.demo.scenario import Dialler
from drills.fault import Fault, FaultKind
from drills.seen import Seen, Written
from state.model import CallId, Outcome, SiteId

ANSWER_LIMIT_S: Final = 2.0
"""A call set up within this time counts as served."""
DATA_S: Final = 20.0
MOVED_S: Final = 20.0
_MS: Final = 1000.0


def came_after(seen: Seen, t0_ms: int) -> frozenset[str]:
    """Return the Call-IDs of who came after the first fault, by their telephone or by the wire.

    A telephone's stamp and the packet are milliseconds apart: a call of that very instant is one
    of the two accounts' calls only if it is one of both.
    """
    t0_ns = t0_ms * 1_000_000
    by_phone = {
        row.caller.sip_call_id
        for row in seen.ledger.placed
        if row.caller and row.caller.invite_ms >= t0_ms
    }
    return frozenset(by_phone | {e.sip_call_id for e in seen.wire.calls if e.invite_ns >= t0_ns})


def ledger_rto_s(
    book: Ledger, t0_ms: int, after: Collection[str], sites: Collection[SiteId]
) -> float | None:
    """Return when service was back by the callers' telephones; see `drills.packets.rto_s`."""
    first_good: int | None = None
    callers = [
        row.caller
        for row in book.placed
        if row.caller and row.caller.sip_call_id in after and _is_meant_for(row, sites)
    ]
    for caller in sorted(callers, key=lambda each: each.invite_ms):
        if caller.ok_ms is None or caller.ok_ms - caller.invite_ms > ANSWER_LIMIT_S * _MS:
            first_good = None
        elif first_good is None:
            first_good = max(caller.ok_ms, t0_ms)
    if first_good is None:
        return math.inf if callers else None
    return (first_good - t0_ms) / _MS


def _is_meant_for(row: Row, sites: Collection[SiteId]) -> bool:
    """Tell whether the carrier tries a call at one of these sites first; at any, if none is."""
    return not sites or row.planned.first_site in sites


def is_listened_to(row: Row, sites: Collection[SiteId]) -> bool:
    """Tell whether a caller of one of these sites can say when they heard their agent.

    SIPp cannot listen: it goes by the re-INVITE.
    """
    return row.planned.dialler is Dialler.PHONE and _is_meant_for(row, sites)


def media_rto_s(
    book: Ledger, t0_ms: int, after: Collection[str], sites: Collection[SiteId]
) -> float | None:
    """Return when the first caller who came after the first fault heard an agent."""
    heard = [
        row.caller.joined_ms
        for row in book.placed
        if row.caller
        and row.caller.joined_ms is not None
        and row.caller.sip_call_id in after
        and is_listened_to(row, sites)
    ]
    return (min(heard) - t0_ms) / _MS if heard else None


def wholly_recorded(seen: Seen) -> frozenset[str]:
    """Return the calls of which there is a whole recording."""
    return frozenset(
        each.call for each in seen.recorded or () if each.is_complete and not each.fault
    )


def recording_rto_s(
    seen: Seen, t0_ms: int, after: Collection[str], sites: Collection[SiteId]
) -> float | None:
    """Return when the first talk began of which, in the end, there is a whole recording.

    Of callers who came after the first fault; None: there is none, or nobody listened.
    """
    whole = wholly_recorded(seen)
    begun = [
        row.caller.joined_ms
        for row in seen.ledger.placed
        if row.caller
        and row.caller.joined_ms is not None
        and row.caller.sip_call_id in after
        and row.caller.call in whole
        and is_listened_to(row, sites)
    ]
    return (min(begun) - t0_ms) / _MS if begun else None


def recording_lost_s(seen: Seen) -> float | None:
    """Return for how long people talked, in answered calls, of which there is no recording.

    Gaps of those that open, and the whole talk of those that do not; None: nobody listened,
    or there was none to listen to.
    """
    if not seen.recorded:
        return None
    talked_s: dict[str, float] = {
        row.caller.call: (row.caller.ended_ms - row.caller.joined_ms) / _MS
        for row in seen.ledger.placed
        if row.caller and row.caller.joined_ms is not None and row.caller.ended_ms is not None
    }
    return sum(
        talked_s.get(each.call, 0.0) if each.fault else each.missing_s for each in seen.recorded
    )


def cut_off_talk(seen: Seen) -> dict[str, float | None]:
    """Return how long people talked in calls that were lost, and how much of it is not recorded.

    Until the other one was heard last: what nobody says any more cannot be recorded. None: nobody
    listened.
    """
    if seen.recorded is None:
        return {}
    kept_s = {
        each.call: 0.0 if each.fault else max(0.0, each.seconds - each.missing_s)
        for each in seen.recorded_lost
    }
    talked_s = {
        str(row.caller.call): _talked_until_lost_s(row)
        for row in seen.ledger.placed
        if row.caller and row.caller.joined_ms is not None and row.by_people is Outcome.LOST
    }
    return {
        "cut_off_talk_s": sum(talked_s.values()),
        "cut_off_unrecorded_s": sum(
            max(0.0, talk_s - kept_s.get(call, 0.0)) for call, talk_s in talked_s.items()
        ),
    }


def _talked_until_lost_s(row: Row) -> float:
    caller = row.caller
    if caller is None or caller.joined_ms is None:
        return 0.0
    heard = [caller.last_heard_ms, None if row.agent is None else row.agent.last_heard_ms]
    known = [at_ms for at_ms in heard if at_ms is not None]
    ends_ms = max(known) if known else (caller.ended_ms or caller.joined_ms)
    return max(0.0, (ends_ms - caller.joined_ms) / _MS)


def offer_wait_s(seen: Seen, t0_ms: int) -> float | None:
    """Return how long, at most, an answered caller waited until an agent was given to them.

    Of those who came within `DATA_S` of the first fault, or waited when it came; who left before
    is not among them, and who never had an agent waited for ever. A site that serves alone says
    nothing of whom it gives: who heard an agent had been given one by then.
    """
    given_ms: dict[CallId, int] = {}
    for event in seen.offers:
        if event.change is OfferChange.PUT and event.call is not None:
            given_ms.setdefault(event.call, event.at_ms)
    for row in seen.ledger.placed:
        if row.caller and row.caller.call and row.caller.joined_ms is not None:
            call, joined_ms = CallId(row.caller.call), row.caller.joined_ms
            given_ms[call] = min(given_ms.get(call, joined_ms), joined_ms)
    waits_ms = [
        given_ms.get(call, math.inf) - row.caller.ok_ms
        for row in seen.ledger.placed
        if row.caller
        and row.caller.ok_ms is not None
        and row.caller.ok_ms <= t0_ms + DATA_S * _MS
        and row.by_people is not Outcome.ABANDONED
        and given_ms.get(call := CallId(row.caller.call), t0_ms) >= t0_ms
    ]
    return max(waits_ms) / _MS if waits_ms else None


def data_rto_s(writes_ms: Iterable[int], t0_ms: int) -> float | None:
    """Return for how long, at most, nothing could be written from some time in `DATA_S` on."""
    found = unwritten_ms(writes_ms, t0_ms)
    return None if found is None else (found[1] - found[0]) / _MS


def unwritten_ms(writes_ms: Iterable[int], t0_ms: int) -> tuple[int, int] | None:
    """Return from when to when nothing could be written: the longest stretch from `DATA_S` on.

    To the first write after these, if there is one: else nobody may have had anything to write.
    """
    after = [at for at in sorted(writes_ms) if at >= t0_ms]
    inside = [at for at in after if at <= t0_ms + DATA_S * _MS]
    if not inside:
        return None
    known = [t0_ms, *after[: len(inside) + 1]]
    return max(pairwise(known), key=lambda each: each[1] - each[0])


def sign_in_rto_s(sign_ins: Iterable[tuple[float, str, bool]], t0_ms: float) -> float | None:
    """Return when the last agent's telephone that lost its registrar was registered again.

    Infinite where one never was; None: none lost its own.
    """
    out: set[str] = set()
    worst_ms = None
    for at_ms, agent, is_registered in sorted(sign_ins):
        if at_ms < t0_ms:
            continue
        if not is_registered:
            out.add(agent)
        elif agent in out:
            out.remove(agent)
            worst_ms = at_ms
    if out:
        return math.inf
    return None if worst_ms is None else (worst_ms - t0_ms) / _MS


def long_dead(method: Iterable[Fault]) -> SiteId | None:
    """Return the site that is dead for so long that its agents can be moved; None: none is."""
    faults = tuple(method)
    gone = killed_site(faults)
    dead_s = max((each.ttl_s for each in faults if each.target == gone), default=0.0)
    return gone if dead_s >= MOVED_S else None


def agents_back_s(seen: Seen, t0_ms: int) -> float | None:
    """Return within which time 95 of 100 agents of a dead site could be rung through another.

    The nearest rank: of ten it is the last. Infinite where too few ever could; None: no site was
    dead for `MOVED_S`, which is less than it would take.
    """
    gone = long_dead(seen.course.method)
    if gone is None:
        return None
    homed = [agent.id for agent in seen.scenario.agents if agent.site == gone]
    back_s = sorted(
        (seen.moved_ms[each] - t0_ms) / _MS if each in seen.moved_ms else math.inf for each in homed
    )
    return back_s[math.ceil(0.95 * len(back_s)) - 1] if back_s else None


_GRAY: Final = frozenset({FaultKind.SHAPE, FaultKind.MUTE})


def drained_s(seen: Seen, t0_ms: int) -> float | None:
    """Return when the last call came that a site with bad lines still served; None: none came."""
    gray = {each.target for each in seen.course.method if each.kind in _GRAY}
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


def abort_back_s(seen: Seen) -> float | None:
    """Return when, after it was aborted, the steady state was back; None: never, or nobody did."""
    course = seen.course
    if seen.aborted_ms is None or course.healed_ms is None or course.back_s is None:
        return None
    return (course.healed_ms - seen.aborted_ms) / _MS + course.back_s


def writes(written: Written, t0_ms: int, healed_ms: int | None) -> dict[str, float | None]:
    """Return what became of writes to the database through the API.

    The longest time without an acknowledged one counts from the last before the first fault on,
    and after the last one until nobody tried any more.
    """
    acknowledged = sorted(written.acknowledged_ms)
    before = [at_ms for at_ms in acknowledged if at_ms < t0_ms]
    after = [at_ms for at_ms in acknowledged if at_ms >= t0_ms]
    end_ms = () if written.until_ms is None else (written.until_ms,)
    edges_ms = [max(before, default=t0_ms), *after, *end_ms]
    gap_ms = max((late - early for early, late in pairwise(edges_ms)), default=None)
    is_back = healed_ms is not None and written.whole_ms is not None
    whole_s = max(0, (written.whole_ms or 0) - (healed_ms or 0)) / _MS
    return {
        "writes": len(acknowledged),
        "writes_after": len(after),
        "writes_unanswered": written.unanswered,
        "writes_lost": len(written.missing) if acknowledged else None,
        "write_gap_s": None if gap_ms is None else gap_ms / _MS,
        "database_whole_s": whole_s if is_back else None,
        "replica_lag_bytes": written.most_lag_bytes,
    }
