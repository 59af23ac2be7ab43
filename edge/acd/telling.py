"""What the record of a call is told of the decision that gave it an agent. PURE.

Owns how much of what an edge knew beside its snapshot goes with it. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from edge.acd.match import PASSED_OVER, Offering
from state.model import AgentId, CallId, SiteId

MOST_TOLD: Final = 32
"""A decision tells of no more reservations that are under way: in the call's record each takes
some 45 bytes."""


def telling(
    offering: Offering, unreachable: frozenset[SiteId], asked: Mapping[CallId, AgentId]
) -> Offering:
    """Let the decision tell what this edge knew beside the snapshot: others' logs do not."""
    known = asked
    if len(asked) > MOST_TOLD:
        # Who was passed over is told in any case: one of each silent edge.
        known = {call: who for call, who in asked.items() if who == PASSED_OVER}
    if not known and not unreachable:
        return offering
    told = replace(offering.decision, asked=known, unreachable=tuple(sorted(unreachable)))
    return replace(offering, decision=told)
