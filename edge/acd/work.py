"""What an agent has done so far: how one more offer adds to it.

Owns the sums of the work record. Durations come from the monotonic clock of the edge that held the
offer.
"""

from __future__ import annotations

from edge.acd.eligibility import rest_ends_s, rest_of_s
from state.model import AgentId, CallId, Entry, Now, Presence, Work, WorkEnd

WINDOW_S = 3600.0
"""Busy and idle time together never exceed this: older work fades, so that occupancy is that of
about the last hour, and a long shift does not freeze it."""


def idle_before_s(presence: Entry[Presence] | None, work: Entry[Work] | None, at: Now) -> float:
    """Return for how long the agent was free until now, as far as this process saw it."""
    begins = [rest_ends_s(work, presence)]
    if presence is not None:
        begins.append(presence.seen_s)
    return max(0.0, at.mono_s - max(begins)) if max(begins) > float("-inf") else 0.0


def idle_told_s(work: Entry[Work] | None, idle_s: float) -> float:
    """Return for how long an agent was free since their last talk, with `idle_s` up to now.

    What they waited before a call that they did not come to talk in is waiting, too.
    """
    return round(idle_s + (0.0 if work is None else max(0.0, work.value.idle_untold_s)), 3)


def rest_over_s(presence: Entry[Presence] | None, work: Entry[Work] | None) -> float:
    """Return by how much longer an agent rested after a talk than their work record says.

    Below 0: they ended it early. The record was written with the talk's end, and told the rest as
    it was to be.
    """
    if work is None or work.value.end is not WorkEnd.TALKED:
        return 0.0
    return rest_of_s(work, presence) - max(0.0, work.value.rest_s)


def work_after(  # noqa: PLR0913  the sums that one offer adds
    agent: AgentId,
    work: Work | None,
    *,
    end: WorkEnd,
    rest_s: float,
    idle_s: float,
    busy_s: float,
    at: Now,
    rest_over_s: float = 0.0,
    call: CallId | None = None,
) -> Work:
    """Return the record after one more offer, of `busy_s`, that came after `idle_s` of idling.

    Wrap-up counts as busy, as long as it is to be; what came of the one before, `rest_over_s`
    tells. The pause after a ring that was not answered counts as neither.
    """
    before = Work(agent=agent) if work is None else work
    talked = end is WorkEnd.TALKED
    worked_s = max(0.0, max(0.0, before.busy_s) + rest_over_s)
    busy = worked_s + max(0.0, busy_s) + (max(0.0, rest_s) if talked else 0.0)
    idle = max(0.0, before.idle_s) + max(0.0, idle_s)
    fade = min(1.0, WINDOW_S / (busy + idle)) if busy + idle > 0.0 else 1.0
    return Work(
        agent=agent,
        calls=before.calls + int(talked),
        busy_s=busy * fade,
        idle_s=idle * fade,
        unanswered=_unanswered(before.unanswered, end),
        recent_calls=(max(0.0, before.recent_calls) + int(talked)) * fade,
        end=end,
        rest_s=max(0.0, rest_s),
        ended_ms=at.wall_ms,
        call=call,
        idle_untold_s=0.0 if talked else before.idle_untold_s + max(0.0, idle_s),
    )


def _unanswered(before: int, end: WorkEnd) -> int:
    match end:
        case WorkEnd.NO_ANSWER:
            return before + 1
        case WorkEnd.WITHDRAWN | WorkEnd.UNREACHABLE:
            # Nothing the agent did.
            return before
        case WorkEnd.TALKED | WorkEnd.DECLINED:
            return 0
