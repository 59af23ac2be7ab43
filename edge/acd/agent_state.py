"""What an agent is doing, derived from a snapshot: the one word that a wallboard shows.

Owns the names. The rules are those of `edge.acd.eligibility`, so that READY means: can be offered a
call that suits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from edge.acd.eligibility import AgentFacts, Reason, agent_facts, unavailable_because
from state.model import AgentId, Now, OfferState, SiteId
from state.snapshot import Snapshot


class AgentState(StrEnum):
    """One word for what an agent is doing."""

    SIGNED_OUT = "signed_out"
    READY = "ready"
    OFFERED = "offered"
    """Given to a call; the telephone rings, or is about to."""
    TALKING = "talking"
    """In a call, or calling from their own telephone."""
    HOLD = "hold"
    """In a call whose caller they have put on hold."""
    WRAP_UP = "wrap_up"
    """Resting, after a call or after a ring that was not answered."""
    PAUSED = "paused"
    ELSEWHERE = "elsewhere"
    """At work, but by channels other than voice."""
    UNREACHABLE = "unreachable"
    """Signed in at a site that is dead, or that this edge cannot reach."""


_WHEN: Final[Mapping[Reason | None, AgentState]] = {
    None: AgentState.READY,
    Reason.NOT_SIGNED_IN: AgentState.SIGNED_OUT,
    Reason.PAUSED: AgentState.PAUSED,
    Reason.NO_CAPACITY: AgentState.ELSEWHERE,
    Reason.SITE_NOT_LIVE: AgentState.UNREACHABLE,
    Reason.SITE_UNREACHABLE: AgentState.UNREACHABLE,
    Reason.HAS_OFFER: AgentState.OFFERED,
    Reason.WRAP_UP: AgentState.WRAP_UP,
}
"""What it looks like when an agent cannot be offered a call for that reason."""


def agent_states(
    snapshot: Snapshot, now: Now, *, unreachable: frozenset[SiteId] = frozenset()
) -> Mapping[AgentId, AgentState]:
    """Return what every agent is doing, in the order of their ids."""
    return {
        agent: state_of(snapshot, facts, now, unreachable)
        for agent, facts in agent_facts(snapshot).items()
    }


def state_of(
    snapshot: Snapshot, facts: AgentFacts, now: Now, unreachable: frozenset[SiteId]
) -> AgentState:
    """Return what one agent is doing; `facts`: what the snapshot says of them."""
    # Who is in a call is in it, whatever else has become of them meanwhile.
    offer = snapshot.offers.get(facts.agent.id)
    if offer is not None and offer.value.state is OfferState.TALKING:
        return AgentState.TALKING if offer.value.hold_since_ms is None else AgentState.HOLD
    if offer is None and facts.agent.id in snapshot.calling:
        return AgentState.TALKING
    if facts.has_offer:
        return AgentState.OFFERED
    because = unavailable_because(facts, now, unreachable=unreachable)
    if because is None and now.mono_s < facts.rested_s:
        # About to be rested: could be given to a call, and is left alone until then.
        return AgentState.WRAP_UP
    return _WHEN[because]
