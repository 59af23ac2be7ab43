"""What a call was about: the code that its agent gives it afterwards. PURE.

Beside the call's record, which never changes. A call that nobody answered has none, and only words
that the configuration has, of the agent's tenant, are taken.
"""

from __future__ import annotations

from edge.acd.handling import talk_s
from state.model import MAIN, AgentId, CallRecord, TenantId
from state.snapshot import Snapshot


def codes_of(snapshot: Snapshot, agent: AgentId) -> tuple[str, ...]:
    """Return the codes that an agent may give."""
    known = snapshot.agents.get(agent)
    return codes_in(snapshot, MAIN if known is None else known.value.tenant)


def codes_in(snapshot: Snapshot, tenant: TenantId) -> tuple[str, ...]:
    """Return the codes that a tenant has."""
    return tuple(
        sorted(code for code, e in snapshot.wrap_up_codes.items() if e.value.tenant == tenant)
    )


def refused_because(
    snapshot: Snapshot, record: CallRecord, agent: AgentId, code: str
) -> str | None:
    """Return why an agent may not say that of a call, with the way out; None: they may."""
    codes = codes_of(snapshot, agent)
    if not codes:
        return "no wrap-up codes are configured: add [wrap_up_codes.ID]"
    if code not in codes:
        return f"{code!r} is no wrap-up code for {agent}: use one of {', '.join(codes)}"
    if record.agent != agent or talk_s(record) <= 0:
        return f"{agent} did not talk in the call {record.call}"
    return None
