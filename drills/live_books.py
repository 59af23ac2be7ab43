"""What became of the calls and agents of sites that are up while a drill went on. PURE.

Callers there are real, and nobody asks them: a call is what the sites' own records say of it. It is
in the ledger from the first look at the calls until the last one, and has there exactly one of: an
end, still being on, or no account at all. No clock decides which calls these are.

Owns the ledger's sums, and who was moved where; what test calls say is for `live_evidence`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from drills.desk.answers import AgentRow
from drills.desk.call_answers import CallRow, Calls
from drills.evidence import AgentsMoved, CountRow, LedgerRow
from drills.onlookers import Recorded
from edge.acd.agent_state import AgentState
from state.model import AgentId, CallId, Outcome, SiteId

ENDS: Final[Mapping[Outcome, str]] = {
    Outcome.ANSWERED: "answered",
    Outcome.ABANDONED: "abandoned",
    Outcome.REFUSED: "refused",
    Outcome.LOST: "lost",
    Outcome.CALLBACK: "to_call_back",
}
"""How a call can end, and under which name the ledger counts it."""
ON: Final = "on"
"""In place of an end: the call went on at the last look."""
UNKNOWN: Final = "unknown"
"""There was neither a record nor a ticket of it."""
PRESENT: Final = frozenset(AgentState) - {AgentState.SIGNED_OUT, AgentState.UNREACHABLE}
"""Of an agent who can be rung."""
SHARED_STATE: Final = "the shared state"
MOST_NAMED: Final = 5


class Counted(Struct, frozen=True, kw_only=True):
    """What was heard of calls: a first and a last look, with all records, and those between."""

    first: Calls
    seen: Mapping[CallId, CallRow]
    """Calls that any look found on, as they were then."""
    last: Calls

    def of_drill(self) -> Mapping[CallId, CallRow]:
        """Return the calls that were on at the first look, or came until the last one."""
        before = {each.call for each in self.first.calls if each.state is None}
        last = {each.call: each for each in self.last.calls}
        came = {call: row for call, row in last.items() if call not in before}
        return came | {call: last.get(call, row) for call, row in self.seen.items()}

    def came_ms(self) -> Mapping[CallId, int]:
        """Return when those of them came that have ended, by the clocks of their edges."""
        ended = (row for row in self.of_drill().values() if row.state is None)
        return {row.call: row.arrived_ms for row in ended}

    def without_account(self) -> frozenset[CallId]:
        """Return the calls that were on, and are neither on nor recorded at the last look."""
        return frozenset(self.seen) - {each.call for each in self.last.calls}


class Books(Struct, frozen=True, kw_only=True):
    """The ledger."""

    rows: tuple[LedgerRow, ...]
    figures: Mapping[str, float | None]
    findings: tuple[str, ...]
    by: tuple[str, ...]
    """By whose word."""
    counts: tuple[CountRow, ...] = ()
    """In place of rows, where sums are all that was told (`live_counts`)."""


def books(counted: Counted, recorded: Sequence[Recorded], t0_ms: int) -> Books:
    """Return the ledger of a drill that broke something at `t0_ms`.

    `recorded`: what control planes have recorded of the same calls, beside the shared state.
    """
    calls, unknown = counted.of_drill(), counted.without_account()
    found = (_row(row, t0_ms, is_known=call not in unknown) for call, row in calls.items())
    rows = tuple(sorted(found, key=lambda each: (each.came_s, each.call)))
    ends = Counter(each.outcome for each in rows)
    differing = tuple(_differing(rows, recorded))
    is_compared = any(_both(row, each) for row in rows for each in recorded)
    unreadable = len(set(counted.last.bad_records) - set(counted.first.bad_records))
    figures: dict[str, float | None] = {name: ends[end] for end, name in ENDS.items()}
    figures |= {
        "offered": len(rows),
        "still_on": ends[ON],
        "unaccounted": ends[UNKNOWN],
        # Where no control plane has told of any of these calls, nothing was compared.
        "records_differ": len(differing) if is_compared else None,
    }
    sums = sum(ends[end] for end in ENDS) + ends[ON] == len(rows)
    figures["ledger_sums"] = float(sums and not (differing or unreadable))
    return Books(
        rows=rows,
        figures=figures,
        findings=(*_findings(rows, recorded, unreadable), *differing[:MOST_NAMED]),
        by=(SHARED_STATE, *(f"{each.site} control plane" for each in recorded if not each.why_not)),
    )


def _row(row: CallRow, t0_ms: int, *, is_known: bool) -> LedgerRow:
    end = ON if row.outcome is None else str(row.outcome)
    return LedgerRow(
        call=row.call,
        site=row.site,
        agent_at=row.agent_site,
        came_s=round((row.arrived_ms - t0_ms) / 1000, 3),
        ended_s=None if row.ended_ms is None else round((row.ended_ms - t0_ms) / 1000, 3),
        outcome=end if is_known else UNKNOWN,
        cause=row.cause,
    )


def _differing(rows: Iterable[LedgerRow], recorded: Sequence[Recorded]) -> Iterable[str]:
    """Yield each call of which a control plane has recorded another end than the shared state."""
    for row in rows:
        for each in recorded:
            theirs = each.calls.get(row.call, "")
            if _both(row, each) and row.outcome != theirs:
                yield (
                    f"two records of call {row.call}: {row.outcome} in the shared state,"
                    f" {theirs} at the control plane of {each.site}"
                )


def _both(row: LedgerRow, recorded: Recorded) -> bool:
    """Tell whether the shared state and a control plane both tell how a call ended."""
    return row.outcome != ON and bool(recorded.calls.get(row.call))


def _findings(
    rows: Sequence[LedgerRow], recorded: Sequence[Recorded], unreadable: int
) -> Iterable[str]:
    lost = [each for each in rows if each.outcome == Outcome.LOST]
    if lost:
        yield lost_calls(Counter(each.cause for each in lost))
    unknown = [each.call for each in rows if each.outcome == UNKNOWN]
    if unknown:
        named = ", ".join(unknown[:MOST_NAMED])
        more = "" if len(unknown) <= MOST_NAMED else ", and more"
        yield f"calls that were on, of which nothing is recorded: {len(unknown)} ({named}{more})"
    if unreadable:
        yield f"records of calls that cannot be read: {unreadable}"
    yield from (
        f"the control plane of {each.site} told nothing of calls: {each.why_not}"
        for each in recorded
        if each.why_not
    )
    told_of = [each.calls for each in recorded if not each.why_not]
    ended = [each for each in rows if each.outcome not in {ON, UNKNOWN}]
    alone = sum(not any(calls.get(each.call) for calls in told_of) for each in ended)
    if told_of and alone:
        yield (
            f"calls by the word of the shared state alone: {alone} (of another tenant, or not for"
            " the eyes of whoever ran the drill)"
        )


def lost_calls(causes: Mapping[str, int]) -> str:
    """Return the finding that calls were lost, by the causes that are recorded."""
    told = ", ".join(f"{cause} {count}" for cause, count in sorted(causes.items()))
    return f"calls lost, by the sites' own records: {sum(causes.values())} ({told})"


class Homes:
    """Where agents can be rung, followed look by look."""

    def __init__(self) -> None:
        self._been: dict[AgentId, list[tuple[int, SiteId]]] = {}
        """Each site by way of which one could be rung, and when that was first seen."""

    def at(self, agent: AgentId) -> SiteId | None:
        """Return by way of which site an agent could be rung last; None: never."""
        return self._been[agent][-1][1] if agent in self._been else None

    def look(self, at_ms: int, agents: Iterable[AgentRow]) -> None:
        """Take in where everybody is. Who cannot be rung is nowhere, and has not moved."""
        for row in agents:
            if row.state in PRESENT and self.at(row.agent) != row.site:
                self._been.setdefault(row.agent, []).append((at_ms, row.site))

    def moved(self, t0_ms: int) -> tuple[AgentsMoved, ...]:
        """Return who went where, in the order in which the first of them did."""
        moves: dict[tuple[SiteId, SiteId], list[tuple[int, AgentId]]] = {}
        for agent, been in self._been.items():
            for (_, was), (at_ms, now) in pairwise(been):
                moves.setdefault((was, now), []).append((at_ms, agent))
        return tuple(
            AgentsMoved(
                was_at=was,
                now_at=now,
                agents=tuple(sorted({agent for _, agent in who})),
                first_s=round((min(who)[0] - t0_ms) / 1000, 3),
                last_s=round((max(who)[0] - t0_ms) / 1000, 3),
            )
            for (was, now), who in sorted(moves.items(), key=lambda each: min(each[1]))
        )

    def back_s(self, site: SiteId, t0_ms: int) -> float | None:
        """Return within which time 95 of 100 of a site's agents could be rung through another.

        The nearest rank, of those who could be rung by way of it at the first fault; a look late at
        most. Infinite where too few ever could, for whatever reason; None: nobody was there.
        """
        back_s = []
        for been in self._been.values():
            before = [where for at_ms, where in been if at_ms <= t0_ms]
            if before and before[-1] == site:
                later = [at_ms for at_ms, where in been if at_ms > t0_ms and where != site]
                back_s.append((later[0] - t0_ms) / 1000 if later else math.inf)
        return sorted(back_s)[math.ceil(0.95 * len(back_s)) - 1] if back_s else None
