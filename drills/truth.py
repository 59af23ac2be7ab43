"""For how long the shared state said something untrue of an agent. PURE."""

from __future__ import annotations

import math

from drills.blast import killed_site
from drills.demo.reports import OfferChange
from drills.guards import lost_sites
from drills.seen import Seen
from state.model import AgentId, CallId

_MS = 1000.0


def untrue_agent_s(seen: Seen, t0_ms: int) -> float:
    """Return for how long, at most, the shared state said something untrue of an agent.

    Busy with a call whose telephone had put it down or never heard of it, for ever where they are
    so at the end, when nobody talks any more; or ready at a site that was gone, until the last of
    the surviving edges had taken that site out.
    """
    worst_ms = _taken_ms(seen, t0_ms)
    gone = killed_site(seen.course.method)
    lost = lost_sites(seen.course.method)
    survivors = [edge for edge, site in seen.edges.items() if site not in lost]
    if gone is not None and survivors:
        noticed = [seen.noticed_ms.get(edge) for edge in survivors]
        known = [at_ms for at_ms in noticed if at_ms is not None]
        if len(known) < len(noticed):
            return math.inf
        worst_ms = max(worst_ms, max(known) - t0_ms)
    return worst_ms / _MS


def _taken_ms(seen: Seen, t0_ms: int) -> float:
    """Return for how long, at most, somebody was taken without having their call."""
    ended: dict[tuple[AgentId, CallId], int] = {}
    for report in seen.agents:
        if report.call is not None:
            over_ms = report.busy_until_ms
            if over_ms is not None:
                key = (report.agent, report.call)
                ended[key] = max(over_ms, ended.get(key, 0))
    worst_ms = 0
    given: dict[AgentId, tuple[CallId, int]] = {}
    for event in seen.offers:
        before = given.pop(event.agent, None)
        if event.change is OfferChange.PUT and event.call is not None:
            is_same = before is not None and before[0] == event.call
            given[event.agent] = before if before and is_same else (event.call, event.at_ms)
            before = None if is_same else before
        if before is not None:
            call, since = before
            over_ms = ended.get((event.agent, call), since)
            if event.at_ms >= t0_ms:
                worst_ms = max(worst_ms, event.at_ms - max(over_ms, min(t0_ms, since)))
    return math.inf if given else worst_ms
