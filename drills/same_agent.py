"""Who was cut off in talk and waited anew: whether they were given the same agent first. PURE.

They are called back, or they come again: they dial, or their carrier sends them in. Who comes again
is told by the history of tickets, by number and DID. An agent who could not be had is nobody's
fault; one who could is, and was:

- called back: free while they waited, or given to somebody who stood behind them;
- come again: the same, at a site that lives, in the time for which such a caller waits for one
  agent alone, whether somebody else was given to them sooner or not. Behind them is who stood
  behind the place that they lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from drills.blast import killed_site
from drills.calling_back import TOGETHER_MS, Turn, called_back_for, cut_off, had_talked, turns
from drills.demo.history import TicketSeen
from drills.demo.waiting import Free
from drills.seen import Seen
from state.model import AgentId, CallId, DidNumber

ALONE_MS: Final = 20_000
"""For so long who was cut off in talk waits for the same agent alone: docs/failure_modes.md."""


class _Lost(Struct, frozen=True, kw_only=True):
    """A call that was cut off in talk."""

    call: CallId
    revision: int
    """At which its ticket was created."""
    place: int


def same_agent(seen: Seen) -> dict[str, float | None]:
    """Return every figure of it; none where nobody is called back, or came again."""
    talked_with = _talked_with(seen)
    came_again = _came_again(seen, talked_with)
    if seen.calling_back is None and not came_again:
        return {}
    got = [
        *_of_called_back(seen),
        *_of_came_again(seen, talked_with, came_again),
    ]
    lost = {row.record.sip_call_id for row in cut_off(seen.ledger.placed) if row.record}
    return {
        "same_agent_share": sum(got) / len(got) if got else None,
        "talks_redialled": sum(
            each.had_talked and each.joined_ms is not None and each.lost_sip_call_id in lost
            for each in seen.redialled
        ),
    }


def _talked_with(seen: Seen) -> dict[CallId, AgentId]:
    """Return with whom those talked who were cut off in talk, by people and edges."""
    return {
        row.record.call: row.record.agent
        for row in cut_off(seen.ledger.placed)
        if row.record is not None and row.record.agent is not None and had_talked(row)
    }


def _of_called_back(seen: Seen) -> Iterable[bool]:
    """Yield, of each who was called back and could have the same agent first, whether they had."""
    talked_with = {
        row.record.call: row.record.agent
        for row in seen.ledger.placed
        if row.record is not None and row.record.agent is not None
    }
    for turn in turns(seen.tickets, called_back_for):
        agent = talked_with.get(turn.lost)
        if agent is None or turn.given_ms is None:
            continue
        if turn.agent == agent or _could_be_had(
            seen, agent, turn, seen.waiting.free, turn.given_ms - TOGETHER_MS
        ):
            yield turn.agent == agent


def _of_came_again(
    seen: Seen, talked_with: Mapping[CallId, AgentId], came_again: Mapping[CallId, _Lost]
) -> Iterable[bool]:
    """Yield the same of each who came again."""
    gone = killed_site(seen.course.method)
    free = [each for each in seen.waiting.free if each.site != gone]

    def lost_of(each: TicketSeen) -> CallId | None:
        lost = came_again.get(each.call)
        return None if lost is None else lost.call

    places = {lost.call: lost.place for lost in came_again.values()}
    for turn in turns(seen.tickets, lost_of):
        agent = talked_with[turn.lost]
        if turn.given_ms is None:
            continue
        stood = replace(turn, order=(turn.order[0], places[turn.lost]))
        if turn.agent == agent or _could_be_had(seen, agent, stood, free, turn.from_ms + ALONE_MS):
            yield turn.agent == agent


def _came_again(seen: Seen, talked_with: Mapping[CallId, AgentId]) -> dict[CallId, _Lost]:
    """Return by which call whoever was cut off in talk came again first."""
    lost: dict[tuple[str, DidNumber], _Lost] = {}
    found: dict[CallId, _Lost] = {}
    for each in seen.tickets:
        ticket = each.ticket
        if ticket is None:
            continue
        number = (ticket.caller, ticket.did)
        if each.call in talked_with:
            lost[number] = _Lost(
                call=each.call,
                revision=each.create_revision,
                place=ticket.place or each.create_revision,
            )
            continue
        before = lost.get(number)
        if before is None or ticket.callback_of is not None or before in found.values():
            continue
        if each.create_revision > before.revision:
            found[each.call] = before
    return found


def _could_be_had(
    seen: Seen, agent: AgentId, turn: Turn, free: Iterable[Free], to_ms: float
) -> bool:
    """Tell whether somebody who waits could have been given an agent until then, and was not."""
    from_ms = turn.from_ms
    is_free = any(
        each.agent == agent and max(each.from_ms, from_ms) < min(each.to_ms - TOGETHER_MS, to_ms)
        for each in free
    )
    orders = {each.call: each.order for each in seen.waiting.waits}
    return is_free or any(
        each.agent == agent
        and each.call in orders
        and orders[each.call] > turn.order
        and from_ms + TOGETHER_MS < each.at_ms < to_ms
        for each in seen.offers
        if each.call is not None
    )
