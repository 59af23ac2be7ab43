"""The rests of agents whose work went through a merge. PURE.

A rest is counted by each reader from the moment it sees the work record (`Work`). What was done
without a quorum the others see when it is merged, and so would this edge's own mirror: an agent
would rest anew for talks that were over long ago, or whose wrap-up they have finished, which stands
in a presence on the copy alone. So the store is told what is left of it. (Whoever did not see it
being merged, but finds it in a listing, counts that from the end of the talk, and so too short.)
"""

from __future__ import annotations

from msgspec.structs import replace

from edge.acd.eligibility import rest_ends_s
from state import keys
from state.codec import encode
from state.model import AgentId
from state.overlay import Overlay
from state.raw import KeyValue


def with_rests_left(overlay: Overlay, now_s: float) -> Overlay:
    """Return what is to be merged, with as much of each rest as is left at a monotonic instant."""
    snapshot = overlay.snapshot
    left: dict[str, KeyValue] = {}
    for key, is_ours in overlay.written.items():
        if not is_ours or not key.startswith(keys.WORK):
            continue
        agent = AgentId(key.removeprefix(keys.WORK))
        work = snapshot.works.get(agent)
        if work is None:
            continue
        left_s = max(0.0, rest_ends_s(work, snapshot.presences.get(agent)) - now_s)
        value = encode(replace(work.value, rest_s=round(left_s, 3)))
        left[key] = replace(snapshot.raw[key], value=value)
    if not left:
        return overlay
    return replace(overlay, snapshot=replace(snapshot, raw=snapshot.raw.update(left)))
