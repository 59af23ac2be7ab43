"""What an agent's refusal means: for the agent, and for the caller's next match."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from edge.acd.call import Rules
from edge.acd.ending import AgentPart
from state.model import WorkEnd

GATE: Final = frozenset(
    {
        (486, "busy"),
        (403, "stale token"),
        (403, "not homed here"),
        (503, "gate not loaded"),
        (503, "nobody listens"),
    }
)
"""Status and reason phrase by which the gate of an agent's home site says: decide again. A
telephone that is busy says otherwise (`Busy Here`), and its 486 is the agent's refusal."""

_NOT_THERE: Final = frozenset({404, 408, 410, 430, 480})
_SERVER_FAILURES: Final = range(500, 600)


class Refusal(Struct, frozen=True, kw_only=True):
    """How an agent's part ended, and whether others come before them for this call."""

    part: AgentPart
    tried: bool


def refusal(status: int, reason: str, rules: Rules) -> Refusal:
    """Return what the final response to our INVITE means.

    The gate's refusals are nobody's fault: the agent is left alone long enough for the snapshot
    to catch up. Not there, or a failure on the way: unreachable. All else is the agent's own no.
    """
    if (status, reason) in GATE:
        return Refusal(
            part=AgentPart(end=WorkEnd.WITHDRAWN, rest_s=rules.refused_pause_s), tried=False
        )
    is_out = status in _NOT_THERE or status in _SERVER_FAILURES
    end = WorkEnd.UNREACHABLE if is_out else WorkEnd.DECLINED
    return Refusal(part=AgentPart(end=end, rest_s=rules.no_answer_pause_s), tried=True)
