"""Why a past call got its agent, or none: the plain matcher, run again on what stood then. PURE.

The edge that made a decision notes in its log what it knew beside the snapshot: on that log the
rerun is exact. On another edge's log the decision itself tells it, unless it was much, and the
clock is another (that edge saw each record some milliseconds sooner or later). So the rerun is
compared with what the call's record keeps of the decision, and each difference is told.
"""

from __future__ import annotations

from collections import Counter
from math import isclose

from msgspec import Struct

from edge.acd.explain import Explanation, explain
from edge.acd.granting import about_to_be_written, as_it_came, with_tickets
from state.eventlog.past import Moment
from state.model import CallId, CallRecord, Decision, Now

NEAR = 1e-6


class PastAccount(Struct, frozen=True, kw_only=True):
    """Every agent's account at a past moment."""

    reader: str
    """Whose log it was read from."""
    at: Now
    """To that reader's clocks."""
    explanation: Explanation
    is_own: bool
    """The reader is who decided, and has noted what it knew."""
    differs: tuple[str, ...] = ()
    """In what the rerun does not come to what was decided."""


def revision_asked(record: CallRecord, ended_at: int) -> int:
    """Return at which revision to look at a call that is over; `ended_at` is its record's."""
    return ended_at - 1 if record.decision is None else record.decision.revision


def account_of(moment: Moment, record: CallRecord) -> PastAccount | None:
    """Return everybody's account when a call got its agent, or before it ended without one."""
    if record.decision is None:
        return account_of_end(moment, record.call)
    return account_of_decision(moment, record.call, record.decision)


def account_of_decision(moment: Moment, call: CallId, decision: Decision) -> PastAccount | None:
    """Return everybody's account when a call's agent was chosen; None: no ticket stood then."""
    noted = moment.decided
    at = _moment_of(moment, decision.wall_ms) if noted is None else noted.now
    known = noted or decision
    snapshot = moment.snapshot
    if call not in snapshot.tickets and moment.came is not None:
        # Decided as it came: by one transaction it got both its ticket and the agent.
        entry = about_to_be_written(as_it_came(moment.came), at)
        snapshot = with_tickets(snapshot, {call: entry})
    explanation = explain(
        snapshot, call, at, unreachable=frozenset(known.unreachable), asked=known.asked
    )
    if explanation is None:
        return None
    return PastAccount(
        reader=moment.reader,
        at=at,
        explanation=explanation,
        is_own=noted is not None,
        differs=differences(explanation, decision),
    )


def account_of_end(moment: Moment, call: CallId) -> PastAccount | None:
    """Return everybody's account just before a call ended; None: no ticket stood then."""
    at = moment.until or moment.since
    explanation = explain(moment.snapshot, call, at)
    if explanation is None:
        return None
    return PastAccount(reader=moment.reader, at=at, explanation=explanation, is_own=False)


def _moment_of(moment: Moment, wall_ms: int) -> Now:
    """Return when another edge decided, to this reader's monotonic clock.

    It had seen the snapshot and not yet what followed: whatever the wall clocks say, it was then.
    """
    after_s = max(0.0, (wall_ms - moment.since.wall_ms) / 1000.0)
    if moment.until is not None:
        after_s = min(after_s, moment.until.mono_s - moment.since.mono_s)
    return Now(mono_s=moment.since.mono_s + after_s, wall_ms=wall_ms)


def differences(explanation: Explanation, decision: Decision) -> tuple[str, ...]:
    """Return in what a rerun is other than what was decided; empty: in nothing."""
    if decision.passed_on_by is not None:
        # No match made it: there is nothing to compare.
        return ()
    found = []
    if explanation.best != decision.winner:
        found.append(f"the winner is {explanation.best}, and was {decision.winner}")
    scores = {each.agent: each.score for each in explanation.agents}
    score = scores.get(decision.winner)
    if score is not None and not isclose(score.total, decision.score, abs_tol=NEAR):
        found.append(
            f"the score of {decision.winner} is {score.total:.6f}, and was {decision.score:.6f}"
        )
    counts = Counter(each.excluded.value for each in explanation.agents if each.excluded)
    for reason in sorted(counts.keys() | decision.excluded.keys()):
        now, then = counts[reason], decision.excluded.get(reason, 0)
        if now != then:
            found.append(f"{now} are out as {reason}, and {then} were")
    if explanation.effective.step != decision.step:
        found.append(f"step {explanation.effective.step} is in force, and {decision.step} was")
    return tuple(found)
