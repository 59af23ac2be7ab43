"""PURE. From what goes on to what one subject may see of it: the only way to an answer.

The caller's number is a customer's contact: in full, masked, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from msgspec.structs import asdict

from control_plane.api.model import instant
from control_plane.customers.numbers import MASK, e164, mask_number
from control_plane.live.agent_schemas import AgentLiveView, AgentWorkView
from control_plane.live.call_schemas import CallerView, CallView
from control_plane.live.look import AgentFacts, AloneFacts, CallFacts, QueueFacts, SiteFacts
from control_plane.live.place_schemas import (
    EdgeView,
    EstimatesView,
    QueueLiveView,
    ServiceView,
    SiteLiveView,
)
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from edge.acd.forecast import Accuracy
from edge.acd.handling import AgentWork
from edge.acd.service_level import Figures
from state.model import Outcome

Sees = Callable[[Thing, Permission], bool]
Knows = Callable[[str, str], frozenset[str] | None]
"""Takes a tenant and a number; gives who talks to it."""


def call_thing(call: CallFacts) -> Thing:
    """Return what the policy is asked about."""
    return Thing(
        kind="call",
        tenant=call.tenant,
        id=call.id,
        agent=call.agent,
        team=call.team,
        site=call.agent_site,
        employer=call.employer,
        made_ms=call.arrived_ms,
        numbers=(call.caller,) if call.caller else None,
    )


def recording_thing(call: CallFacts) -> Thing:
    """Return what the policy is asked about: the recording of a call."""
    return replace(call_thing(call), kind="recording")


def agent_thing(agent: AgentFacts) -> Thing:
    """Return what the policy is asked about."""
    return Thing(
        kind="agent",
        tenant=agent.tenant,
        id=agent.id,
        agent=agent.id,
        team=agent.team,
        site=agent.site,
        employer=agent.employer,
    )


def contact_thing(tenant: str, number: str, knows: Knows) -> Thing:
    """Return what the policy is asked about: the contact of whoever calls from there."""
    return Thing(
        kind="customer", tenant=tenant, on_call_with=knows(tenant, number), numbers=(number,)
    )


def caller(tenant: str, number: str, sees: Sees, knows: Knows) -> CallerView | None:
    """Return who calls, as far as the subject may see it."""
    if not number:
        return None
    about = contact_thing(tenant, number, knows)
    if sees(about, Permission.CUSTOMER_CONTACT_READ_FULL):
        return CallerView(number=number, is_masked=False)
    if sees(about, Permission.CUSTOMER_CONTACT_READ_MASKED):
        return CallerView(number=masked(number), is_masked=True)
    return None


def masked(number: str) -> str:
    """Return a calling number behind its mask; of what is no number, only that there is one."""
    try:
        return mask_number(e164(number))
    except ValueError:
        return MASK


def call(facts: CallFacts, who: CallerView | None) -> CallView:
    """Return what is told of a call."""
    return CallView(
        id=facts.id,
        tenant=facts.tenant,
        did=facts.did,
        queue=facts.queue,
        site=facts.site,
        edge=facts.edge,
        state=facts.state,  # type: ignore[arg-type]
        arrived=instant(facts.arrived_ms),
        queued=_instant(facts.queued_ms),
        connected=_instant(facts.connected_ms),
        ended=_instant(facts.ended_ms),
        waited_s=facts.waited_s,
        talked_s=facts.talked_s,
        wrap_up_s=facts.wrap_up_s,
        agent=facts.agent or None,
        agent_site=facts.agent_site or None,
        tried=facts.tried,
        outcome=None if facts.outcome is None else Outcome(facts.outcome),
        cause=facts.cause,
        callback_of=facts.callback_of or None,
        code=facts.code or None,
        position=facts.position,
        estimate_s=None if facts.estimate_s is None else round(facts.estimate_s, 1),
        caller=who,
    )


def agent(facts: AgentFacts) -> AgentLiveView:
    """Return what is told of an agent."""
    return AgentLiveView(
        id=facts.id,
        tenant=facts.tenant,
        name=facts.name,
        site=facts.site,
        team=facts.team,
        employer=facts.employer,
        state=facts.state.value,
        since=_instant(facts.since_ms),
        reason=facts.reason,
        by=facts.by,
        call=facts.call,
        channels=facts.channels,
        calls=facts.calls,
        rest_left_s=facts.rest_left_s,
    )


def queue(facts: QueueFacts, service: ServiceView | None) -> QueueLiveView:
    """Return what is told of a queue."""
    return QueueLiveView(
        id=facts.id,
        tenant=facts.tenant,
        employer=facts.employer,
        waiting=facts.waiting,
        longest_s=facts.longest_s,
        ringing=facts.ringing,
        talking=facts.talking,
        free=facts.free,
        estimate_s=facts.estimate_s,
        callbacks=facts.callbacks,
        callbacks_not_cleared=facts.callbacks_not_cleared,
        service=service,
    )


def service(
    found: Figures,
    interval_s: int,
    target_s: float,
    short_s: float | None,
    estimates: Accuracy | None,
) -> ServiceView:
    """Return figures."""
    return ServiceView(
        interval_s=interval_s,
        target_s=target_s,
        short_s=short_s,
        calls=found.calls,
        answered=found.answered,
        abandoned=found.abandoned,
        short_abandoned=found.short_abandoned,
        turned_away=found.turned_away,
        lost=found.lost,
        service_level=dict(found.service_level),
        asa_s=found.asa_s,
        wait_p50_s=found.wait_p50_s,
        wait_p95_s=found.wait_p95_s,
        abandon_rate=found.abandon_rate,
        aht_s=found.aht_s,
        occupancy=found.occupancy,
        estimates=None if estimates is None else EstimatesView(**asdict(estimates)),
    )


def work(agent: str, done: AgentWork) -> AgentWorkView:
    """Return what an agent did."""
    return AgentWorkView(
        agent=agent,
        calls=done.calls,
        talk_s=round(done.talk_s, 3),
        holds=done.holds,
        held_s=round(done.held_s, 3),
        wrap_up_s=round(done.wrap_up_s, 3),
        idle_s=round(done.idle_s, 3),
        aht_s=done.aht_s,
        occupancy=done.occupancy,
    )


def site(
    facts: SiteFacts, calls: int, *, is_current: bool, alone: AloneFacts | None = None
) -> SiteLiveView:
    """Return what is told of a site."""
    return SiteLiveView(
        id=facts.id,
        name=facts.name,
        is_draining=facts.is_draining,
        shares=facts.shares,
        has_quorum=facts.has_quorum if is_current else None,
        alone_since=None if alone is None else instant(alone.since_ms),
        alone_because=None if alone is None else alone.because,
        edges=tuple(
            EdgeView(
                edge=each.edge,
                state=each.state.value,
                since=instant(each.started_ms),
                applied=each.applied,
            )
            for each in facts.edges
        ),
        out_of_reach_of=facts.out_of_reach_of,
        calls=calls,
    )


def counted(calls: Iterable[CallFacts]) -> Mapping[str, int]:
    """Return how many calls each site holds."""
    found: dict[str, int] = {}
    for each in calls:
        found[each.site] = found.get(each.site, 0) + 1
    return found


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else instant(ms)
