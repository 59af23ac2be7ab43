"""What the stream takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Id

Topic = Literal[
    "agents", "approvals", "calls", "configuration", "customers", "queues", "readiness", "sites"
]


class StreamQuery(ApiModel):
    """What to listen to, and from where on."""

    topics: Annotated[tuple[Topic, ...], Field(max_length=8)] = ()
    """Left out: all. What somebody may not see is not told, whatever they ask for."""
    after: Annotated[int, Field(ge=0, le=2**62)] | None = None
    """The last `revision` that was heard, to go on from there, at whichever control plane."""
    tenant: Id | None = None
    """For browsers, instead of the header Everline-Tenant."""


class EventView(ApiModel):
    """One thing that has changed."""

    topic: Topic
    what: Literal["changed", "ended", "gone"]
    """`ended`: a call that is over, with how it ended.
    `gone`: it is no more, or no longer for these eyes."""
    id: str
    data: dict[str, Any] | None
    """As the endpoint of the thing has it; of customers and versions, no more than that."""


class MessageView(ApiModel):
    """One message of the stream."""

    type: Literal["hello", "events", "heartbeat", "list_anew"]
    """`list_anew`: not all that was missed can be told, or other things are to be seen from now on:
    list what you show again, and go on listening."""
    revision: int
    """The cursor: all up to here has been told."""
    events: tuple[EventView, ...] = ()
    topics: tuple[Topic, ...] = ()
    heartbeat_s: float | None = None
    resumed: bool | None = None
    is_current: bool | None = None
    """Of `hello` and `heartbeat`. False: this control plane itself has no news of the shared
    state."""
