"""The rests of agents whose work went through a merge. PURE.

A rest is counted by each reader from the moment it sees the work record (`Work`). What was done
without a quorum the others see when it is merged, and so would this edge's own mirror: an agent
would rest anew for talks that were over long ago, or whose wrap-up they have finished, which stands
in a presence on the copy alone. So the store is told how long the rest is, and how much of it is
over. What is left of it alone would not do: who finds the record in a listing counts from the end
of the talk, and so does the ledger.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd.eligibility import rest_of_s
from edge.acd.work import rest_over_s
from state import keys
from state.codec import encode
from state.model import AgentId
from state.overlay import Overlay
from state.raw import KeyValue


def with_rests_so_far(overlay: Overlay, now_s: float) -> Overlay:
    """Return what is to be merged, with how far each rest is at a monotonic instant."""
    snapshot = overlay.snapshot
    told: dict[str, KeyValue] = {}
    for key in overlay.written:
        if not key.startswith(keys.WORK):
            continue
        agent = AgentId(key.removeprefix(keys.WORK))
        work = snapshot.works.get(agent)
        if work is None:
            continue
        presence = snapshot.presences.get(agent)
        value = replace(
            work.value,
            busy_s=max(0.0, work.value.busy_s + rest_over_s(presence, work)),
            rest_s=round(rest_of_s(work, presence), 3),
            rested_s=round(max(0.0, now_s - work.seen_s), 3),
        )
        told[key] = replace(snapshot.raw[key], value=encode(value))
    if not told:
        return overlay
    return replace(overlay, snapshot=replace(snapshot, raw=snapshot.raw.update(told)))
