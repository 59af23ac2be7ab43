"""What a lab that is up answers of its recordings. PURE."""

from __future__ import annotations

from msgspec import Struct

from custody.findings import Sample
from state.model import AgentId, CallId, QueueId, SiteId


class SegmentRow(Struct, frozen=True, kw_only=True):
    """One sealed file of a recording."""

    number: int
    start_s: float
    length_s: float
    size: int
    sha256: str
    key: str
    """The recording key to which its data key is sealed."""
    is_complete: bool
    lost: int
    """Packets of both parties that never came, since the recording began."""


class RecordingRow(Struct, frozen=True, kw_only=True):
    """A call in which an agent talked with the caller, and what is kept of it."""

    call: CallId
    queue: QueueId
    agent: AgentId | None
    site: SiteId
    ended_ms: int
    cut_off: str = ""
    """By which fault the talk was cut off; empty: one of the two ended it."""
    is_kept: bool = False
    is_complete: bool = False
    length_s: float = 0.0
    size: int = 0
    """Bytes, sealed."""
    faults: tuple[str, ...] = ()
    """What is not as it should be; a gap with its reason is none."""
    unrecorded: str = ""
    """Why there is none, or none of a part, as the call's record says."""
    gaps: tuple[str, ...] = ()
    segments: tuple[SegmentRow, ...] = ()


class Samples(Struct, frozen=True, kw_only=True):
    """Samples of copies, each opened at one site with that site's own keys alone."""

    samples: tuple[Sample, ...]


class Recordings(Struct, frozen=True, kw_only=True):
    """The recordings of answered calls, also of those that a fault cut off, the newest first."""

    lab: int
    is_thorough: bool
    """Whether each has been hashed and opened, with the keys of another site."""
    recordings: tuple[RecordingRow, ...]
    samples: tuple[Sample, ...] = ()
    """What the sites' control planes last came to, each by itself."""
