"""Why a call gets the agent it gets, or none: every agent's account.

Owns the full account that the hot path does not keep. The rules are those of the match itself; it
only looks at everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from edge.acd.eligibility import (
    AgentFacts,
    Reason,
    agent_facts,
    ineligible_because,
    out_of_reach,
)
from edge.acd.heirs import at_their_places, heirs
from edge.acd.line import Waiting, waiting_calls
from edge.acd.match import NOTHING_ASKED, PASSED_OVER, match, silent
from edge.acd.rank import Score, score, sort_key
from edge.acd.relaxation import Effective, waited_s
from edge.acd.roster import CallClass
from state.model import AgentId, CallId, EdgeId, Now, SiteId, Ticket, TicketState
from state.snapshot import Snapshot


class AgentAccount(Struct, frozen=True, kw_only=True):
    """One agent, as this call sees them."""

    agent: AgentId
    site: SiteId
    excluded: Reason | None
    given_to: CallId | None = None
    """The call before this one that gets the agent, when that is the reason."""
    score: Score | None = None
    """None: excluded."""
    rank: int | None = None
    """1 is the best; None: excluded."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Every agent's account, the ranked first, then the excluded by id."""

    call: CallId
    revision: int
    """Of the snapshot."""
    waited_s: float
    effective: Effective
    """The rules in force, and which step they are."""
    level: int
    """With what waiting adds: the higher is served first."""
    place: int | None
    """In the line of those who wait, 1 is the next; None: this call is not in it."""
    not_served_because: str | None
    """Why the call is not matched at all, whoever is free; None: it is."""
    agents: tuple[AgentAccount, ...]
    passed_over: Mapping[CallId, EdgeId] = field(default_factory=dict)
    """The calls before this one that get nobody, since their holder is silent; and who that is."""
    before: tuple[CallId, ...] = ()
    """The calls before this one in the line; none where it is not in it."""
    heir_of: CallId | None = None
    """At whose place this one stands, come again from the same number (`edge.acd.heirs`)."""

    @property
    def best(self) -> AgentId | None:
        """Who the call gets, or would get if it were served."""
        return next((each.agent for each in self.agents if each.rank == 1), None)


def explain(
    snapshot: Snapshot,
    call: CallId,
    now: Now,
    *,
    unreachable: frozenset[SiteId] = frozenset(),
    asked: Mapping[CallId, AgentId] = NOTHING_ASKED,
) -> Explanation | None:
    """Return the account of every agent for this call as things stand; None: no such ticket.

    For a call that does not wait (any more) it says what would be, at its place in the line.
    `asked`: reservations of other calls that the snapshot does not show, and calls whose holder is
    silent, as `match` takes them.
    """
    unheard = silent(snapshot, asked)
    places = heirs(snapshot, unheard)
    snapshot = at_their_places(snapshot, places)
    entry = snapshot.tickets.get(call)
    if entry is None:
        return None
    line = waiting_calls(snapshot, now)
    own = next((each for each in line if each.entry is entry), Waiting.of(snapshot, entry, now))
    before = _given_before(snapshot, own, line, now, unreachable, asked)
    down = unreachable | out_of_reach(snapshot, entry.value)
    effective = own.effective
    calls = tuple(each.entry.value.call for each in line)
    place = calls.index(call) if call in calls else None
    asking = _Asking(entry.value, effective, down)
    accounts = [_account(facts, asking, now, before) for facts in agent_facts(snapshot).values()]
    return Explanation(
        call=call,
        revision=snapshot.revision,
        waited_s=waited_s(entry, now),
        effective=effective,
        level=own.level,
        place=None if place is None else place + 1,
        not_served_because=_not_served_because(snapshot, entry.value),
        agents=_ranked(snapshot, asking, now, _with_last_resort(accounts)),
        passed_over=_passed_over(own, line, unheard),
        before=calls[:place] if place else (),
        heir_of=places.get(call),
    )


def _passed_over(
    own: Waiting, line: Iterable[Waiting], unheard: frozenset[EdgeId]
) -> dict[CallId, EdgeId]:
    return {
        each.entry.value.call: each.entry.value.holder
        for each in line
        if each.order_key < own.order_key and each.entry.value.holder in unheard
    }


def _given_before(  # noqa: PLR0913, PLR0917  all that a match takes
    snapshot: Snapshot,
    own: Waiting,
    line: Iterable[Waiting],
    now: Now,
    unreachable: frozenset[SiteId],
    asked: Mapping[CallId, AgentId],
) -> dict[AgentId, CallId]:
    before = {each.entry.value.call for each in line if each.order_key < own.order_key}
    given = {
        agent: call
        for call, agent in asked.items()
        if call != own.entry.value.call and agent != PASSED_OVER
    }
    return given | {
        offering.agent: offering.call
        for offering in match(snapshot, now, unreachable=unreachable, asked=asked)
        if offering.call in before
    }


class _Asking(Struct, frozen=True):
    """The call that asks, by which rules, and which sites it cannot reach."""

    ticket: Ticket
    effective: Effective
    unreachable: frozenset[SiteId]


def _account(
    facts: AgentFacts, asking: _Asking, now: Now, before: dict[AgentId, CallId]
) -> AgentAccount:
    agent = facts.agent.id
    excluded = ineligible_because(
        facts,
        asking.ticket,
        now,
        unreachable=asking.unreachable,
        needs=asking.effective.needs,
    )
    given_to = before.get(agent) if excluded in {None, Reason.TRIED_BEFORE} else None
    return AgentAccount(
        agent=agent,
        site=facts.agent.site,
        excluded=excluded if given_to is None else Reason.TAKEN,
        given_to=given_to,
    )


def _with_last_resort(accounts: list[AgentAccount]) -> list[AgentAccount]:
    """Let in those tried before, when there is nobody else."""
    if any(each.excluded is None for each in accounts):
        return accounts
    return [
        replace(each, excluded=None) if each.excluded is Reason.TRIED_BEFORE else each
        for each in accounts
    ]


def _ranked(
    snapshot: Snapshot, asking: _Asking, now: Now, accounts: list[AgentAccount]
) -> tuple[AgentAccount, ...]:
    kind = CallClass.of(snapshot, asking.ticket, asking.effective)
    facts = agent_facts(snapshot)
    scores = {
        each.agent: score(facts[each.agent], kind.needs, kind.ranking, now)
        for each in accounts
        if each.excluded is None
    }
    order = sorted(scores, key=lambda agent: sort_key(facts[agent], scores[agent].total))
    by_agent = {each.agent: each for each in accounts}
    ranked = [
        replace(by_agent[agent], score=scores[agent], rank=rank)
        for rank, agent in enumerate(order, start=1)
    ]
    return (*ranked, *(each for each in accounts if each.excluded is not None))


def _not_served_because(snapshot: Snapshot, ticket: Ticket) -> str | None:
    if ticket.state is not TicketState.QUEUED:
        return f"the ticket is {ticket.state}"
    if ticket.holder not in snapshot.edges:
        return f"its holder {ticket.holder} is dead"
    return None
