"""What the API takes and gives of recordings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Name
from control_plane.api.paging import Listing


class RecordingPath(ApiModel):
    """Which one: the call's id."""

    recording: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]


Tag = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
MOST_TAGS = 50
"""That one recording bears."""


class TagPath(RecordingPath):
    """Which tag of which recording."""

    tag: Tag


class RecordingListing(Listing):
    """Recordings of which calls; those that came last first."""

    queue: Id | None = None
    agent: Id | None = None
    site: Id | None = None
    since: Instant | None = None
    until: Instant | None = None
    min_length_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """They talked so long at least."""
    max_length_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    disposition: Id | None = None
    """What it was about: a wrap-up code."""
    customer: Id | None = None
    """Of the calls from this customer's numbers."""
    tag: Tag | None = None
    """That bear this tag themselves."""
    customer_tag: Tag | None = None
    """Of the calls from customers who bear this tag."""


class ExportDraft(ApiModel):
    """Which recordings: exactly those that were approved."""

    recordings: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")], ...],
        Field(strict=False, min_length=1, max_length=100),
    ]


class SpanView(ApiModel):
    """A part of a recording, in seconds from its beginning."""

    start_s: float
    end_s: float
    because: str


class PartView(ApiModel):
    """An agent's time in the call, in seconds from the recording's beginning."""

    agent: str
    start_s: float
    end_s: float


class TransferView(ApiModel):
    """Where the caller passed from one agent to another, and how long they waited in between."""

    start_s: float
    end_s: float
    before: str
    after: str
    """The same agent if the transfer came back; empty: nobody talked with them any more."""


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
    is_damaged: bool
    """Its manifest is not as a known recorder wrote it: nothing of it is told or played."""
    is_unreadable: bool
    """The store has not given its manifest: told is what else is known, and `digest` is `unknown`.
    It is asked for anew each time."""
    is_complete: bool
    """Whether every segment was closed and nothing is missing in between."""
    unrecorded: str
    """Why there is none, or none of a part, in one word: `queue`, `not_sampled`, `country`,
    `not_announced`, `no_consent`, `agent`, or what failed."""
    length_s: float
    segments: int
    gaps: tuple[SpanView, ...]
    pauses: tuple[SpanView, ...]
    holds: tuple[SpanView, ...]
    """The agent had the caller on hold."""
    masks: tuple[SpanView, ...]
    """Digits were keyed, and are not there."""
    parts: tuple[PartView, ...]
    """Who was in the call when."""
    transfers: tuple[TransferView, ...]
    disposition: str
    """What it was about: a wrap-up code; empty: nobody has said."""
    tags: tuple[str, ...]
    """In the order of the alphabet."""
    lost_packets: int
    has_legal_hold: bool
    """On itself or on its customer."""
    is_deleted: bool
    """It was ordered to be deleted: nothing of it is played, wherever it may still be."""
    digest: str
    """Of its manifest: what an approval is bound to. `none`: there is none. `unknown`: it is
    unreadable."""


class WaveformView(ApiModel):
    """Peaks of every 100 ms, 0 to 255."""

    step_s: float
    caller: tuple[int, ...]
    agent: tuple[int, ...]


class HoldChange(ApiModel):
    """Whether a call and its recording have to be kept."""

    has_legal_hold: bool
    because: Name
    """The order or the case that says so."""


class HoldView(ApiModel):
    """A legal hold on a call and its recording; one on the customer is shown with the customer."""

    recording: str
    has_legal_hold: bool
    because: str
    by: str
    at: Instant | None
    """None: nobody has ever set one."""


class SiteDeletionView(ApiModel):
    """What one site states."""

    site: str
    done: Instant
    is_signed: bool
    """Whether the signature is of that site's keeper."""
    objects: int
    """How many objects of its store it has deleted; 0 if it had none."""
    is_key_gone: bool
    statement: str
    """The signed statement, base64: what, when, by which rule."""


class DeletionView(ApiModel):
    """Something that was ordered to be deleted for ever."""

    kind: str
    """`recording`, or `key` of an erased customer."""
    id: str
    rule: str
    """`retention`, `erasure` or `request`."""
    detail: str
    ordered: Instant
    sites: tuple[SiteDeletionView, ...]
    """Sites that have done it; one that is away does it when it is back."""
