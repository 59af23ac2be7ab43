"""What the API takes and gives of recordings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant
from control_plane.api.paging import Listing


class RecordingPath(ApiModel):
    """Which one: the call's id."""

    recording: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


class RecordingListing(Listing):
    """Recordings of which calls; those that came last first."""

    queue: Id | None = None
    agent: Id | None = None
    site: Id | None = None
    since: Instant | None = None
    until: Instant | None = None


class SpanView(ApiModel):
    """A part of a recording, in seconds from its beginning."""

    start_s: float
    end_s: float
    because: str


class RecordingView(ApiModel):
    """One recording, without a sound of it."""

    id: str
    call: str
    queue: str
    agent: str
    site: str
    arrived: Instant
    is_kept: bool
    """False: the call was answered, and this store has no recording of it."""
    is_complete: bool
    """Whether every segment was closed and nothing is missing in between."""
    unrecorded: str
    """Why there is none, or none of a part, in one word: `queue`, `not_sampled`, `country`,
    `not_announced`, `no_consent`, `agent`, or what failed."""
    length_s: float
    segments: int
    gaps: tuple[SpanView, ...]
    pauses: tuple[SpanView, ...]
    lost_packets: int


class WaveformView(ApiModel):
    """Peaks of every 100 ms, 0 to 255."""

    step_s: float
    caller: tuple[int, ...]
    agent: tuple[int, ...]
