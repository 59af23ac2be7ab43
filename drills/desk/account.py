"""Why a call has the agent it has. PURE.

For a call that is over: what its record in the ledger keeps of the decision. For one that runs: the
account of every agent as things stand, by the rules of `edge.acd`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from drills.desk.call_answers import CandidateRow, Explained
from drills.desk.ledger import SHORT
from drills.desk.look import ended_row, levels, running_row
from edge.acd.ending import rung_in_vain
from edge.acd.explain import AgentAccount, Explanation, explain
from edge.acd.match import PASSED_OVER
from edge.acd.needs import Needs
from edge.acd.past import PastAccount
from edge.acd.present import sites_out_of_reach
from edge.acd.silence import SILENT_S
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    Decision,
    EdgeId,
    Now,
    SiteId,
    Ticket,
    TicketState,
)
from state.snapshot import Snapshot

_MOST_NAMED: Final = 5
"""So many of those who were passed over are told by their ids."""


def of_past(
    lab: int, record: CallRecord, found: PastAccount, then: Snapshot, now: Now
) -> Explained:
    """Return every agent's account for a call that is over, as things stood at that moment."""
    decision, account = record.decision, found.explanation
    needs = account.effective.needs
    return Explained(
        lab=lab,
        now_ms=now.wall_ms,
        call=ended_row(record),
        source="log",
        needs=levels(needs.all_of),
        also=also(needs),
        step=account.effective.step,
        revision=account.revision,
        decided_ms=None if decision is None else decision.wall_ms,
        winner=None if decision is None else decision.winner,
        candidates=tuple(_of_account(then, each) for each in account.agents),
        excluded=Counter(each.excluded.value for each in account.agents if each.excluded),
        tried=record.tried,
        place=account.place,
        note=_note_of_past(record, found),
        read_from=found.reader,
        differs=found.differs,
    )


def _note_of_past(record: CallRecord, found: PastAccount) -> str:
    if record.decision is None:
        return "No agent was ever chosen for it: this is how things stood when it ended."
    if record.decision.passed_on_by is not None:
        return _talks(record)
    explanation = found.explanation
    told = " ".join(
        each
        for each in (stood_for(explanation.heir_of), passed_over(explanation.passed_over))
        if each
    )
    if not found.differs:
        return " ".join(each for each in (told, _talks(record)) if each)
    whose = "" if found.is_own else f" on the log of {found.reader}, which did not decide it"
    again = f"Decided again{whose}, {'; '.join(found.differs)}."
    return f"{told} {again}" if told else again


def stood_for(call: CallId | None) -> str:
    """Return at whose place a caller stood who had come again, in words; empty: at their own."""
    if call is None:
        return ""
    return (
        f"It stood at the place of call {call[:SHORT]}, of the same number, whose edge was silent."
    )


def passed_over(calls: Mapping[CallId, EdgeId]) -> str:
    """Return which earlier callers were passed over and why, in words; empty: nobody was."""
    by_edge: dict[EdgeId, list[CallId]] = {}
    for call, edge in calls.items():
        by_edge.setdefault(edge, []).append(call)
    return " ".join(
        f"Before it stood {_number(held)} of edge {edge}, passed over since that edge had not "
        f"acted for {SILENT_S:g} s while agents were there for its callers."
        for edge, held in sorted(by_edge.items())
    )


def _number(calls: list[CallId]) -> str:
    named = ", ".join(call[:SHORT] for call in calls[:_MOST_NAMED])
    more = ", ..." if len(calls) > _MOST_NAMED else ""
    return f"{len(calls)} caller{'s' if len(calls) > 1 else ''} ({named}{more})"


def _talks(record: CallRecord) -> str:
    """Return who talked with the caller, of a call that was passed on; empty: of others."""
    if len(record.talks) < 2:  # noqa: PLR2004 - one is told anyway
        return ""
    who = ", then ".join(
        f"{talk.agent} for {(talk.until_ms - talk.since_ms) / 1000:.0f} s" for talk in record.talks
    )
    by = None if record.decision is None else record.decision.passed_on_by
    chosen = "" if by is None else f" {by} chose who was rung last: no match did."
    return f"The caller talked with {who}.{chosen}"


def _kept(record: CallRecord, decision: Decision) -> str:
    """Return what only a record tells; which callers were passed over, it does not."""
    told = "Callers of an edge that did not act were passed over for it."
    parts = (told if PASSED_OVER in decision.asked.values() else "", _talks(record))
    return " ".join(each for each in parts if each)


def of_record(lab: int, snapshot: Snapshot, record: CallRecord, now: Now) -> Explained:
    """Return what the ledger keeps of a call's decision; names and skills are the present ones."""
    decision = record.decision
    queue = snapshot.queues.get(record.queue)
    needs = Needs() if queue is None else Needs.of_queue(queue.value)
    told = Explained(
        lab=lab,
        now_ms=now.wall_ms,
        call=ended_row(record),
        source="ledger",
        needs=levels(needs.all_of),
        also=also(needs),
        step=0 if decision is None else decision.step,
        revision=None,
        decided_ms=None,
        winner=None,
        candidates=(),
        excluded={},
        tried=record.tried,
        place=None,
        note="No agent was ever chosen for it." if decision is None else _kept(record, decision),
    )
    if decision is None:
        return told
    return replace(
        told,
        revision=decision.revision,
        decided_ms=decision.wall_ms,
        winner=decision.winner,
        candidates=_ranked(snapshot, decision),
        excluded=dict(decision.excluded),
    )


def _ranked(snapshot: Snapshot, decision: Decision) -> tuple[CandidateRow, ...]:
    ranked = ((decision.winner, decision.score), *decision.runners_up)
    return tuple(
        replace(
            _candidate(snapshot, agent, score),
            parts=dict(decision.parts) if agent == decision.winner else {},
        )
        for agent, score in ranked
    )


def of_ticket(lab: int, snapshot: Snapshot, ticket: Ticket, now: Now) -> Explained:
    """Return every agent's account for a call that runs, as things stand."""
    account = explain(snapshot, ticket.call, now, unreachable=sites_out_of_reach(snapshot))
    if account is None:
        raise ValueError(f"call {ticket.call} has no ticket in this snapshot")
    needs = account.effective.needs
    return Explained(
        lab=lab,
        now_ms=now.wall_ms,
        call=running_row(snapshot, ticket, now),
        source="present",
        needs=levels(needs.all_of),
        also=also(needs),
        step=account.effective.step,
        revision=account.revision,
        decided_ms=None,
        winner=account.best if ticket.state is TicketState.QUEUED else ticket.agent,
        candidates=tuple(_of_account(snapshot, each) for each in account.agents),
        excluded=Counter(each.excluded.value for each in account.agents if each.excluded),
        tried=rung_in_vain(ticket),
        place=account.place,
        note=_note(ticket, account),
    )


def also(needs: Needs) -> tuple[str, ...]:
    """Return what is needed beside the skills that all are needed, in words."""
    groups = (" or ".join(f"{n.skill} {n.level}" for n in group) for group in needs.any_of)
    attributes = (f"{need.name} {need.value}" for need in needs.attributes)
    return (*groups, *attributes)


def _of_account(snapshot: Snapshot, account: AgentAccount) -> CandidateRow:
    score = account.score
    return replace(
        _candidate(snapshot, account.agent, None if score is None else score.total),
        excluded=account.excluded,
        given_to=account.given_to,
        parts={} if score is None else score.parts(),
    )


def _candidate(snapshot: Snapshot, agent: AgentId, score: float | None) -> CandidateRow:
    entry = snapshot.agents.get(agent)
    site: SiteId | None = None if entry is None else entry.value.site
    skills = {} if entry is None else dict(entry.value.skills)
    return CandidateRow(agent=agent, site=site, score=score, skills=skills)


def _note(ticket: Ticket, account: Explanation) -> str:
    match ticket.state:
        case TicketState.GREETING:
            return "It hears the greeting, and is not in the line yet."
        case TicketState.QUEUED if account.not_served_because is not None:
            return f"It is not served now: {account.not_served_because}."
        case TicketState.QUEUED if account.best is None:
            return "It waits: nobody can take it now."
        case TicketState.QUEUED:
            return f"It is about to ring {account.best}."
        case TicketState.OFFERED:
            return f"It rings {ticket.agent}. The scores are those of now, without them."
        case TicketState.CONNECTED:
            return (
                f"It talks with {ticket.agent}. The scores are those of now, without them; "
                "those of the decision are told when it is over."
            )
