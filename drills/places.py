"""Who was cut off as they waited and came again: whether they had their old place back. PURE.

By the number in their ticket, and by whom the agents were given to: a number that nobody goes by is
no place. Whether those who are called back were, in order, is `calling_back`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from drills.calling_back import Turn, is_before, turns
from drills.seen import Redialled, Seen
from state.model import CallId


def places(seen: Seen) -> dict[str, float | None]:
    """Return how many came again who had waited, and what became of their places.

    Who had been given the agent whom they then heard before the lost ticket was closed had no place
    to get back, and lost nothing.
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
    waited = [each for each in seen.redialled if not each.had_talked]
    had_one = [each for each in waited if each.lost_sip_call_id in created]
    back = 0
    for each in had_one:
        lost_ms = closed_ms.get(calls[each.lost_sip_call_id])
        given_ms = _given_ms(seen, each)
        was_served_first = given_ms is not None and lost_ms is not None and given_ms <= lost_ms
        back += was_served_first or (each.sip_call_id, created[each.lost_sip_call_id]) in given
    answered = [each for each in seen.redialled if each.joined_ms is not None]
    return {
        "redialled": len(had_one),
        "sent_again": sum(each.by_carrier for each in had_one),
        "redial_answered": sum(each.joined_ms is not None for each in had_one),
        "redial_answered_share": len(answered) / len(seen.redialled) if seen.redialled else None,
        "places_regained": back / len(had_one) if had_one else None,
        "ranks_lost": _ranks_lost(seen, had_one),
    }


def _ranks_lost(seen: Seen, came_again: Iterable[Redialled]) -> int | None:
    """Return how many who stood behind somebody's old place, at most, were served before them.

    Of one queue, from when who came again stands in the line; None: nobody of them stood there.
    """
    stood = _old_places(seen)
    found = [
        replace(each, order=stood.get(each.lost, each.order))
        for each in turns(seen.tickets, lambda each: each.call)
        if each.prefers is None
    ]
    again = {each.call for each in came_again}
    ranks = [
        sum(_is_passed_by(turn, other) for other in found) for turn in found if turn.lost in again
    ]
    return max(ranks, default=None)


def _is_passed_by(turn: Turn, other: Turn) -> bool:
    """Tell whether somebody behind was given an agent before who stands in this turn."""
    return other.order > turn.order and is_before(turn, other) is False


def _old_places(seen: Seen) -> Mapping[CallId, tuple[int, int]]:
    """Return where each stood who came again, by their new call: before they were cut off."""
    orders = {
        each.ticket.sip_call_id: (-each.ticket.priority, each.ticket.place or each.create_revision)
        for each in seen.tickets
        if each.ticket is not None
    }
    return {
        each.call: orders[each.lost_sip_call_id]
        for each in seen.redialled
        if each.lost_sip_call_id in orders and not each.had_talked
    }


def _given_ms(seen: Seen, caller: Redialled) -> int | None:
    """Return when somebody who came again was given the agent whom they heard."""
    if caller.joined_ms is None:
        return None
    given_ms = None
    for each in seen.tickets:
        ticket = each.ticket
        if ticket is None or ticket.sip_call_id != caller.sip_call_id:
            continue
        if each.at_ms > caller.joined_ms:
            break
        if ticket.agent is None:
            given_ms = None
        elif given_ms is None:
            given_ms = each.at_ms
    return caller.joined_ms if given_ms is None else given_ms
