"""The match as one would say it, with no thought for speed: what the fast one must equal."""

from __future__ import annotations

from collections import Counter

from edge.acd.eligibility import AgentFacts, Reason, agent_facts, ineligible_because
from edge.acd.line import standing_of
from edge.acd.rank import Ranking, score, sort_key
from edge.acd.relaxation import effective_now, waited_s
from state.model import AgentId, CallId, Entry, Now, SiteId, Ticket, TicketState
from state.snapshot import Snapshot

Given = tuple[CallId, AgentId, tuple[tuple[AgentId, float], ...], dict[str, int]]
"""Call, agent, runners-up, counts of the excluded."""


def naive_level(
    snapshot: Snapshot, waiting: list[Entry[Ticket]], entry: Entry[Ticket], now: Now
) -> int:
    """Return the highest level of those who came no earlier, of this queue and priority."""
    ticket = entry.value
    return max(
        own_level(snapshot, each, now)
        for each in waiting
        if standing_of(each) >= standing_of(entry)
        and (each.value.queue, each.value.priority) == (ticket.queue, ticket.priority)
    )


def own_level(snapshot: Snapshot, entry: Entry[Ticket], now: Now) -> int:
    """Return a call's priority with what waiting adds."""
    priority = effective_now(snapshot.queues, entry, now).priority
    queue = snapshot.queues.get(entry.value.queue)
    if queue is None or queue.value.aging_s is None:
        return priority
    aged = priority + int(waited_s(entry, now) // queue.value.aging_s)
    return max(priority, min(aged, queue.value.aging_ceiling))


def naive_match(snapshot: Snapshot, now: Now, unreachable: frozenset[SiteId]) -> list[Given]:
    """Ask every agent for every call."""
    waiting = [
        entry
        for entry in snapshot.tickets.values()
        if entry.value.state is TicketState.QUEUED and entry.value.holder in snapshot.edges
    ]
    rules = {e.value.call: effective_now(snapshot.queues, e, now) for e in waiting}
    levels = {e.value.call: naive_level(snapshot, waiting, e, now) for e in waiting}
    waiting.sort(key=lambda e: (-levels[e.value.call], *standing_of(e)))
    taken: set[AgentId] = set()
    given: list[Given] = []
    for entry in waiting:
        ticket = entry.value
        needs = rules[ticket.call].needs
        queue = snapshot.queues.get(rules[ticket.call].queue)
        rules_of = None if queue is None else queue.value
        ranking = Ranking.of(rules_of, ticket.site, snapshot.sites)
        probe = snapshot.probes.get(ticket.holder)
        down = unreachable | frozenset(() if probe is None else probe.value.down)
        reasons: dict[AgentId, Reason] = {}
        order: list[tuple[tuple[float, int, AgentId], AgentFacts, float]] = []
        for agent, facts in agent_facts(snapshot).items():
            because = ineligible_because(facts, ticket, now, unreachable=down, needs=needs)
            if because in {None, Reason.TRIED_BEFORE} and agent in taken:
                because = Reason.TAKEN
            if because is not None:
                reasons[agent] = because
            if because in {None, Reason.TRIED_BEFORE}:
                scored = score(facts, needs, ranking, now)
                order.append((sort_key(facts, scored.total), facts, scored.total))
        fresh = [each for each in order if each[1].agent.id not in reasons]
        if not fresh:
            fresh = order
            reasons = {a: r for a, r in reasons.items() if r is not Reason.TRIED_BEFORE}
        if not fresh:
            continue
        fresh.sort(key=lambda each: each[0])
        winner = fresh[0][1].agent.id
        taken.add(winner)
        runners_up = tuple((each[1].agent.id, each[2]) for each in fresh[1:11])
        excluded = {reason.value: n for reason, n in Counter(reasons.values()).items()}
        given.append((ticket.call, winner, runners_up, excluded))
    return given
