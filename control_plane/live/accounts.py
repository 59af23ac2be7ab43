"""Why a call has the agent it has: every agent's account, as things stand or as they stood.

The rules are those of `edge.acd`. A past moment is read from the event log of an edge on this host,
where there is one; else no more is told than the call's record keeps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from control_plane.api.model import instant
from control_plane.calls.store import PastCall
from control_plane.live.call_schemas import CandidateView, ExplanationView, PassedOverView
from control_plane.live.look import CallFacts, call_of, live_call
from control_plane.live.talks import tenant_of
from control_plane.live.views import call_thing
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from edge.acd.explain import Explanation, explain
from edge.acd.match import PASSED_OVER
from edge.acd.needs import Needs
from edge.acd.past import PastAccount, account_of, differences, revision_asked
from edge.acd.present import sites_out_of_reach
from state.eventlog import files
from state.model import (
    MAIN,
    AgentId,
    CallId,
    CallRecord,
    Decision,
    EdgeId,
    Now,
    SkillNeed,
    TicketState,
)
from state.snapshot import Snapshot

_MOST_CALLS: Final = 50
"""So many of the calls that one edge's silence has passed over are shown."""


class Account(Struct, frozen=True, kw_only=True):
    """An explanation, and whose each agent and each other call in it is."""

    view: ExplanationView
    things: Mapping[str, Thing]
    """By agent; who is not here is nobody's any more, and not shown."""
    calls: Mapping[str, Thing] = {}
    """By call, likewise."""


def seen(account: Account, sees: Callable[[Thing, Permission], bool]) -> ExplanationView:
    """Return what a subject may see of it: their agents and calls; of the others, how many."""

    def sees_call(call: str) -> bool:
        thing = account.calls.get(call)
        return thing is not None and sees(thing, Permission.CALL_READ)

    shown = tuple(
        each
        for each in account.view.candidates
        if (thing := account.things.get(each.agent)) is not None
        and sees(thing, Permission.AGENT_READ)
    )
    names = {each.agent for each in shown}
    winner, heir_of = account.view.winner, account.view.heir_of
    passed = (
        each.model_copy(update={"calls": tuple(filter(sees_call, each.calls))[:_MOST_CALLS]})
        for each in account.view.passed_over
    )
    return account.view.model_copy(
        update={
            "candidates": shown,
            "winner": winner if winner in names else None,
            "tried": tuple(each for each in account.view.tried if each in names),
            "passed_over": tuple(passed),
            "heir_of": heir_of if heir_of is not None and sees_call(heir_of) else None,
        }
    )


def of_present(snapshot: Snapshot, call: CallFacts, now: Now) -> Account | None:
    """Return every agent's account for a call that runs; None: it has just ended."""
    found = explain(snapshot, CallId(call.id), now, unreachable=sites_out_of_reach(snapshot))
    if found is None:
        return None
    found = _told(snapshot, found, call.tenant)
    is_queued = call.state == TicketState.QUEUED
    winner = found.best if is_queued else AgentId(call.agent) if call.agent else None
    view = _view(call.id, found, "present", tried=call.tried).model_copy(update={"winner": winner})
    return Account(
        view=view, things=_things(snapshot, view, winner), calls=_calls(snapshot, found, now)
    )


async def of_past(run: Path | None, present: Snapshot | None, call: PastCall) -> Account:
    """Return every agent's account when a call that is over was decided, or ended."""
    record = call.record
    found = None if run is None else await asyncio.to_thread(_from_logs, run, record, call.revision)
    if found is None:
        view = _of_record(record, call.tenant)
        return Account(view=view, things=_things(present or Snapshot(), view, record.agent))
    account, then = found
    decision = record.decision
    explanation = _told(then, account.explanation, call.tenant)
    view = _view(record.call, explanation, "log", tried=record.tried).model_copy(
        update={
            "winner": None if decision is None else decision.winner,
            "decided": None if decision is None else instant(decision.wall_ms),
            "differs": _differs(account, decision, call.tenant),
        }
    )
    return Account(
        view=view, things=_things(then, view, None), calls=_calls(then, explanation, account.at)
    )


def _told(snapshot: Snapshot, found: Explanation, tenant: str) -> Explanation:
    """Return what of an explanation is a tenant's own; the center's own is told of everybody.

    The match looks at all agents and callers. How many others have, and what these are doing, is no
    tenant's affair.
    """
    if tenant == MAIN:
        return found

    def is_own(call: CallId) -> bool:
        ticket = live_call(snapshot, call)
        return ticket is not None and tenant_of(snapshot, ticket.did, ticket.queue) == tenant

    own = {agent for agent, entry in snapshot.agents.items() if entry.value.tenant == tenant}
    before = tuple(filter(is_own, found.before))
    return replace(
        found,
        agents=tuple(each for each in found.agents if each.agent in own),
        before=before,
        place=None if found.place is None else len(before) + 1,
        passed_over={call: edge for call, edge in found.passed_over.items() if is_own(call)},
    )


def _differs(account: PastAccount, decision: Decision | None, tenant: str) -> tuple[str, ...]:
    """Return in what a rerun is other; to a tenant no word of how many were out: others' are in."""
    if tenant == MAIN or decision is None:
        return account.differs
    now = Counter(each.excluded.value for each in account.explanation.agents if each.excluded)
    return differences(account.explanation, replace(decision, excluded=now))


def _view(call: str, found: Explanation, source: str, *, tried: Iterable[str]) -> ExplanationView:
    needs = found.effective.needs
    return ExplanationView(
        call=call,
        source=source,  # type: ignore[arg-type]
        revision=found.revision,
        decided=None,
        winner=None,
        step=found.effective.step,
        needs=levels(needs),
        place=found.place,
        not_served_because=found.not_served_because,
        passed_over=_passed_over(found.passed_over),
        heir_of=found.heir_of,
        candidates=tuple(
            CandidateView(
                agent=each.agent,
                site=each.site,
                rank=each.rank,
                score=None if each.score is None else each.score.total,
                parts={} if each.score is None else dict(each.score.parts()),
                excluded=None if each.excluded is None else each.excluded.value,
                given_to=each.given_to,
            )
            for each in found.agents
        ),
        excluded=dict(Counter(each.excluded.value for each in found.agents if each.excluded)),
        tried=tuple(tried),
        differs=(),
    )


def _passed_over(calls: Mapping[CallId, EdgeId]) -> tuple[PassedOverView, ...]:
    by_edge: dict[EdgeId, list[CallId]] = {}
    for call, edge in calls.items():
        by_edge.setdefault(edge, []).append(call)
    return tuple(
        PassedOverView(edge=edge, callers=len(held), calls=tuple(held))
        for edge, held in sorted(by_edge.items())
    )


def _of_record(record: CallRecord, tenant: str) -> ExplanationView:
    decision = record.decision
    # A record counts who was out, and not whose they were.
    excluded = {} if decision is None or tenant != MAIN else dict(decision.excluded)
    told = ExplanationView(
        call=record.call,
        source="record",
        revision=None,
        decided=None,
        winner=None,
        step=0,
        needs={},
        place=None,
        not_served_because=None,
        passed_over=(),
        heir_of=None,
        candidates=(),
        excluded={},
        tried=record.tried,
        differs=(),
    )
    if decision is None:
        return told
    ranked = ((decision.winner, decision.score), *decision.runners_up)
    return told.model_copy(
        update={
            "revision": decision.revision,
            "decided": instant(decision.wall_ms),
            "winner": decision.winner,
            "step": decision.step,
            "excluded": excluded,
            "passed_over": tuple(
                PassedOverView(edge=None, callers=None, calls=())
                for who in decision.asked.values()
                if who == PASSED_OVER
            ),
            "candidates": tuple(
                CandidateView(
                    agent=agent,
                    site=None,
                    rank=rank,
                    score=score,
                    parts=dict(decision.parts) if agent == decision.winner else {},
                    excluded=None,
                    given_to=None,
                )
                for rank, (agent, score) in enumerate(ranked, start=1)
            ),
        }
    )


def levels(needs: Needs) -> dict[str, int]:
    """Return the highest level needed of each skill."""
    found: dict[str, int] = {}
    all_of: Iterable[SkillNeed] = needs.all_of
    for need in all_of:
        found[need.skill] = max(need.level, found.get(need.skill, 0))
    return found


def _calls(snapshot: Snapshot, found: Explanation, now: Now) -> dict[str, Thing]:
    """Return whose the other calls are that an explanation names."""
    names = [*found.passed_over, *([] if found.heir_of is None else [found.heir_of])]
    tickets = ((name, live_call(snapshot, name)) for name in names)
    return {
        name: call_thing(call_of(snapshot, ticket, now))
        for name, ticket in tickets
        if ticket is not None
    }


def _things(snapshot: Snapshot, view: ExplanationView, also: str | None) -> dict[str, Thing]:
    names = {each.agent for each in view.candidates} | ({also} if also else set())
    found = {}
    for name in names:
        entry = snapshot.agents.get(AgentId(name))
        if entry is not None:
            agent = entry.value
            found[name] = Thing(
                kind="agent",
                tenant=agent.tenant,
                id=agent.id,
                agent=agent.id,
                team=agent.team,
                site=agent.site,
                employer=agent.employer,
            )
    return found


# ---- the logs ------------------------------------------------------------------------------------


def _from_logs(run: Path, record: CallRecord, ended_at: int) -> tuple[PastAccount, Snapshot] | None:
    """Return the account from the first log that goes back so far, the call's own edge first."""
    revision = revision_asked(record, ended_at)
    own = run / f"events-{record.edge}"
    for directory in dict.fromkeys((own, *sorted(run.glob("events-*")))):
        then = files.moment_in(directory, revision, record.call)
        account = None if then is None else account_of(then, record)
        if then is not None and account is not None:
            return account, then.snapshot
    return None
