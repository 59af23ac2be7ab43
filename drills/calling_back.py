"""Who was cut off, did not dial again and was called back: how many, in which order. PURE.

By the callers' own telephones, the edges' records and the history of tickets. A ticket of a call
back stands in the line at the place that its caller had. Whether those who had talked got the same
agent is `same_agent`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.demo.history import TicketSeen
from drills.demo.ledger import Row
from drills.seen import CalledBack, CallingBack, Seen
from state.model import AgentId, CallId, Outcome, QueueId, TicketState

TOGETHER_MS: Final = 500
"""Agents who are free together are given by several edges, each to its own callers: whose write
comes first says nothing of the order."""
GOODBYES: Final = frozenset({"both_silent", "caller_unreachable", "goodbye_unheard"})
"""Causes of a loss after which nobody is called back: somebody had hung up, as far as one knows.

Not of who hung up into a line that was dead: `agent_unheard`, `caller_unheard`."""


class Turn(Struct, frozen=True, kw_only=True):
    """A caller who was cut off and waited anew, and when an agent was given to them."""

    lost: CallId
    queue: QueueId
    order: tuple[int, int]
    """The lower is served first: by priority, then by place."""
    prefers: AgentId | None
    from_ms: int
    given_ms: int | None
    """None: nobody was."""
    agent: AgentId | None
    """The first who was."""
    to_ms: float
    """Until when the ticket stood."""


def calling_back(seen: Seen) -> dict[str, float | None]:
    """Return every figure of it; none where nobody is called back."""
    back = seen.calling_back
    if back is None:
        return {}
    lost = tuple(cut_off(seen.ledger.placed))
    heard = {each.number for each in back.calls if each.joined_ms is not None}
    waited = [each for each in lost if not had_talked(each)]
    talked = [each for each in lost if had_talked(each)]
    reached = sum(each.planned.number in heard for each in waited)
    all_turns = turns(seen.tickets, called_back_for)
    return {
        "called_back": reached,
        "called_back_share": reached / len(waited) if waited else None,
        "called_back_twice": twice(back),
        "called_back_in_order": in_order(all_turns),
        "talks_called_back": sum(each.planned.number in heard for each in talked),
    }


def cut_off(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the calls that were cut off, by people and edges, whose callers are to be called."""
    for row in rows:
        record = row.record
        if record is None or record.outcome is not Outcome.LOST or record.cause in GOODBYES:
            continue
        if row.by_people is Outcome.LOST:
            yield row


def twice(back: CallingBack) -> int:
    """Return how many callers were called while they were, or again when they had been served.

    By their telephones, and by the edges' records of who was called back for one lost call.
    """
    by_number: dict[str, list[CalledBack]] = {}
    for each in sorted(back.calls, key=lambda each: each.came_ms):
        by_number.setdefault(each.number, []).append(each)
    numbers = sum(_is_twice(calls) for calls in by_number.values())
    served = [each.callback_of for each in back.records if each.outcome is Outcome.ANSWERED]
    return max(numbers, len(served) - len(set(served)))


def _is_twice(calls: list[CalledBack]) -> bool:
    """Tell whether a call came before one that had come earlier was over, or after a talk."""
    return any(
        first.joined_ms is not None or first.ended_ms is None or second.came_ms < first.ended_ms
        for first, second in combinations(calls, 2)
    )


def called_back_for(seen: TicketSeen) -> CallId | None:
    """Return the lost call for which a ticket calls somebody back; None: it does not."""
    return None if seen.ticket is None else seen.ticket.callback_of


def turns(
    tickets: Iterable[TicketSeen], lost_of: Callable[[TicketSeen], CallId | None]
) -> tuple[Turn, ...]:
    """Return how each waited who had lost a call, from the history of tickets.

    `lost_of`: for which lost call a ticket waits; None: for none.
    """
    return tuple(_turns(tickets, lost_of))


def _turns(
    tickets: Iterable[TicketSeen], lost_of: Callable[[TicketSeen], CallId | None]
) -> Iterator[Turn]:
    open_: dict[CallId, Turn] = {}
    for each in tickets:
        ticket, turn = each.ticket, open_.get(each.call)
        if ticket is None:
            if turn is not None:
                yield replace(open_.pop(each.call), to_ms=each.at_ms)
            continue
        lost = lost_of(each)
        if lost is None or ticket.state is TicketState.GREETING:
            continue
        if turn is None:
            turn = Turn(
                lost=lost,
                queue=ticket.queue,
                order=(-ticket.priority, ticket.place or each.create_revision),
                prefers=ticket.prefers,
                from_ms=each.at_ms,
                given_ms=None,
                agent=None,
                to_ms=math.inf,
            )
        if turn.given_ms is None and ticket.agent is not None:
            turn = replace(turn, agent=ticket.agent, given_ms=each.at_ms)
        open_[each.call] = turn
    yield from open_.values()


def in_order(all_turns: Iterable[Turn]) -> float | None:
    """Return which share of pairs who waited together were given agents by their places.

    Of one queue, and of those whom any of its agents suits: who is to have the agent with whom they
    were talking waits for that one. None: no two waited together.
    """
    alike = sorted(
        (each for each in all_turns if each.prefers is None), key=lambda each: each.order
    )
    found = [is_before(*pair) for pair in combinations(alike, 2)]
    known = [each for each in found if each is not None]
    return sum(known) / len(known) if known else None


def is_before(first: Turn, second: Turn) -> bool | None:
    """Tell whether the first of a pair was given an agent before the second; None: no such pair.

    They are none unless they waited for the same queue at one time.
    """
    if first.queue != second.queue or second.given_ms is None:
        return None
    was_gone = first.to_ms <= second.given_ms
    if first.given_ms is not None:
        was_gone = first.given_ms < second.from_ms
    if was_gone or first.from_ms > second.given_ms:
        return None
    if first.given_ms is not None and first.given_ms <= second.given_ms + TOGETHER_MS:
        return True
    # Whoever had only just come may not have been seen by who gave the other an agent.
    return None if second.given_ms - first.from_ms < TOGETHER_MS else False


def had_talked(row: Row) -> bool:
    """Tell whether a caller and an agent had heard each other, by the edges."""
    return row.record is not None and row.record.connected_ms is not None
