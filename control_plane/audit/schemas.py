"""What the API takes and gives of the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from control_plane.api.model import ApiModel, Id, Instant, Line
from control_plane.api.paging import Listing


class EntryPath(ApiModel):
    """Which one."""

    entry: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]


class AuditListing(Listing):
    """Which entries; the newest first."""

    actor: Id | None = None
    action: Annotated[str, Field(max_length=64)] | None = None
    """`recording:play`, `session:begin`, ..."""
    kind: Annotated[str, Field(max_length=64)] | None = None
    thing: Annotated[str, Field(max_length=64)] | None = None
    decision: Annotated[str, Field(max_length=64)] | None = None
    """`allowed`, or why it was not: `condition`, `no_line`, `denied`, `foreign`, ..."""
    site: Id | None = None
    session: Id | None = None
    request: Annotated[str, Field(max_length=64)] | None = None
    origin: Annotated[str, Field(max_length=64)] | None = None
    """An address. Takes the right to see addresses in full."""
    since: Instant | None = None
    until: Instant | None = None


class EntryView(ApiModel):
    """One entry."""

    id: str
    place: int | None
    """Where it stands in the log's tree; null: it waits for the next checkpoint."""
    at: Instant
    actor: str
    action: str
    kind: str
    thing: str
    decision: str
    purpose: Line
    origin: str
    """Where it came from; without the right to see it in full, of an address the beginning."""
    session: str
    policy: str
    request: str
    site: str
    detail: dict[str, Any]


class ProofView(ApiModel):
    """An entry, and the proof that it stands in the log that the sites have signed."""

    entry: EntryView
    size: int
    """Of the log that the proof is for."""
    proof: tuple[str, ...]
    """Hashes in hexadecimal, RFC 9162 §2.1.3."""
    checkpoint: str
    """C2SP tlog-checkpoint, with its signatures."""


class TrailListing(ApiModel):
    """Of which thing."""

    thing: Annotated[str, Field(min_length=1, max_length=64)]
