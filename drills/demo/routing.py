"""Whether every offer was a right one. PURE.

Judges by the plan and by two independent witnesses: the agents' own phones and the history of the
offer keys. Knows nothing of how a winner is chosen.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from drills.demo.ledger import Ledger
from drills.demo.reports import AgentReport, OfferChange, OfferEvent
from drills.demo.scenario import Scenario
from state.model import AgentId, CallId, QueueId, SkillNeed


class Fault(Struct, frozen=True, kw_only=True):
    """One offer that should not have been made."""

    agent: AgentId
    why: str


def wrong_skills(
    scenario: Scenario, ledger: Ledger, agents: Iterable[AgentReport], offers: Iterable[OfferEvent]
) -> tuple[Fault, ...]:
    """Return every offer of a call to an agent who lacks what its queue needs, once a pair."""
    queue_of = {row.caller.call: row.planned.queue for row in ledger.rows if row.caller}
    offered = {(each.agent, each.call) for each in agents if each.call}
    offered |= {(each.agent, each.call) for each in offers if each.call}
    pairs = {(agent, queue_of[call]) for agent, call in offered if call in queue_of}
    faults = []
    for agent, queue in sorted(pairs):
        missing = lacking(scenario, agent, queue)
        if missing:
            needs = ", ".join(f"{need.skill} {need.level}" for need in missing)
            faults.append(Fault(agent=agent, why=f"rung for {queue}, which needs {needs}"))
    return tuple(faults)


def lacking(scenario: Scenario, agent: AgentId, queue: QueueId) -> tuple[SkillNeed, ...]:
    """Return what the queue needs and the agent has not."""
    skills = scenario.agent(agent).skills
    return tuple(
        need for need in scenario.queue(queue).needs if skills.get(need.skill, 0) < need.level
    )


def double_offers(agents: Iterable[AgentReport], offers: Sequence[OfferEvent]) -> tuple[Fault, ...]:
    """Return every moment in which an agent had two calls, or a call two agents.

    Both by both witnesses: what a site gives away that serves alone stands in no history.
    """
    told = tuple(agents)
    return (*_overlaps_on_phones(told), *_shared_on_phones(told), *_overlaps_in_store(offers))


def _overlaps_on_phones(agents: Iterable[AgentReport]) -> list[Fault]:
    """Find a phone that was rung while it still had a call.

    The stamps of one phone are made in order by one process, so that equality is no overlap.
    """
    by_agent: defaultdict[AgentId, list[AgentReport]] = defaultdict(list)
    for report in agents:
        by_agent[report.agent].append(report)
    faults = []
    for agent, reports in by_agent.items():
        reports.sort(key=lambda each: each.invite_ms)
        for index, earlier in enumerate(reports):
            for later in reports[index + 1 :]:
                free_ms = earlier.busy_until_ms
                if free_ms is None or later.invite_ms < free_ms:
                    why = f"rung for {later.call} while busy with {earlier.call}"
                    faults.append(Fault(agent=agent, why=why))
    return faults


def _shared_on_phones(agents: Iterable[AgentReport]) -> list[Fault]:
    """Find a call that was picked up by somebody while another telephone had it.

    From picking up until putting down: a telephone that rings has nobody yet, and may ring for a
    moment longer than its edge wants, as the CANCEL is on its way.
    """
    by_call: defaultdict[CallId, list[tuple[int, float, AgentId]]] = defaultdict(list)
    for report in agents:
        if report.call is not None and report.answered_ms is not None:
            until_ms = math.inf if report.busy_until_ms is None else report.busy_until_ms
            by_call[report.call].append((report.answered_ms, until_ms, report.agent))
    faults = []
    for call, had in by_call.items():
        had.sort()
        for index, (_, until_ms, agent) in enumerate(had):
            faults += [
                Fault(agent=other, why=f"picked up for {call} while {agent} had it")
                for at_ms, _, other in had[index + 1 :]
                if at_ms < until_ms and other != agent
            ]
    return faults


def _instant(event: OfferEvent) -> tuple[int, bool]:
    return event.revision, event.change is OfferChange.PUT


def _overlaps_in_store(offers: Sequence[OfferEvent]) -> list[Fault]:
    """Replay the offer keys in the order of their revisions.

    A transaction is one instant: whoever it frees is free of the call that it gives to somebody
    else. A merge writes so what a site did one after the other while it was alone.
    """
    faults = []
    given: dict[AgentId, CallId] = {}
    for event in sorted(offers, key=_instant):
        if event.change is OfferChange.DELETED or event.call is None:
            given.pop(event.agent, None)
            continue
        before = given.get(event.agent)
        if before is not None and before != event.call:
            why = f"offer of {before} overwritten by {event.call} at revision {event.revision}"
            faults.append(Fault(agent=event.agent, why=why))
        rivals = [who for who, call in given.items() if call == event.call and who != event.agent]
        faults += [
            Fault(
                agent=event.agent,
                why=f"{event.call} offered while {rival} has it, at revision {event.revision}",
            )
            for rival in rivals
        ]
        given[event.agent] = event.call
    return faults
