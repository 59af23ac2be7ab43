"""What people want: agents of themselves, or somebody for them. PURE."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from state.model.identity import AgentId, CallId, EdgeId


class Readiness(StrEnum):
    """What the agent has said of themself."""

    READY = "ready"
    PAUSED = "paused"
    SIGNED_OUT = "signed_out"
    """As if no telephone were registered."""


class Wish(Struct, frozen=True, kw_only=True):
    """What an agent asked to be, or a supervisor for them (at this stage through the CLI).

    The last one counts.
    """

    agent: AgentId
    readiness: Readiness
    reason: str = ""
    """A word of the center's own: `lunch`, `training`."""
    by: str = ""
    """Who asked, when it was not the agent."""


class Rest(Struct, frozen=True, kw_only=True):
    """How long an agent asked to rest after one offer, or a supervisor for them.

    The last one counts, if it is of the agent's last work and newer than what their home says.
    """

    agent: AgentId
    work: int
    """The mod_revision of the work record after which they rest."""
    rest_s: float
    """In all, from when that record was written; 0: no longer."""
    by: str = ""
    """Who asked, when it was not the agent."""


class RecordingWish(Struct, frozen=True, kw_only=True):
    """Whether a call's recording is to pause. Written by the control planes; the last one counts.

    It outlives edges and recorders: whoever takes the call up keeps to it.
    """

    call: CallId
    pause: bool
    by: str = ""
    """In whose name, a word for the manifest: `agent` or `supervisor`."""
    keyed: bool = False
    """The pause is for what the caller is about to key: if that is tones, the agent is not to hear
    the caller while it lasts."""


class TransferWish(Struct, frozen=True, kw_only=True):
    """Where a call is to be passed on to. Written by the control planes; the last one counts.

    Void once another agent talks with the caller.
    """

    call: CallId
    agent: AgentId
    """Who talks with the caller, and passes them on."""
    to: str
    """An agent's id, a queue's, or a number that leads to one."""
    by: str = ""
    """Who asked, when it was not the agent."""


class TransferStatus(Struct, frozen=True, kw_only=True):
    """What has become of a transfer wish. Written by the edge that holds the call."""

    call: CallId
    edge: EdgeId
    wish: int
    """The mod_revision of the wish that this answers."""
    status: int
    """SIP's word for it: below 200 under way, 200 done, above: the caller stays, or is back."""
    reason: str = ""
    """Why not, in words for the agent."""
