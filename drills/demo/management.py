"""What a manager saw of the API in the demo. PURE.

Owns the values; `manager` fills them in, `claims` says what they have to be.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from state.model import EdgeId, SiteId


class Edit(Struct, frozen=True, kw_only=True):
    """One change of a queue, made at one site and looked for at all edges."""

    site: SiteId
    version: int
    edges: tuple[EdgeId, ...]
    """Those that go by it."""
    missing: tuple[EdgeId, ...]
    """Those that do not."""
    took_s: float
    """From the request until the edges had it, or were no longer waited for."""


class Managed(Struct, frozen=True, kw_only=True):
    """Everything that the manager did."""

    signed_in_at: SiteId | None = None
    edit: Edit | None = None
    """While all sites lived."""
    went_on_at: tuple[SiteId, ...] = ()
    """Sites that took the same session after the kill."""
    renewed_at: SiteId | None = None
    """Where the session was renewed after the kill."""
    later_edit: Edit | None = None
    """After the kill."""
    heard_at: SiteId | None = None
    """Where a recording was played over the API."""
    is_heard_right: bool = False
    """Whether it was, byte for byte, what the recorder's files hold."""
    first_sound_ms: float = 0.0
    """From the request until its first bytes."""
    faults: tuple[str, ...] = ()
    """What was answered otherwise than it should have been."""


def is_everywhere(edit: Edit | None, edges: Sequence[EdgeId]) -> bool:
    """Tell whether a change has come to all of these edges."""
    return edit is not None and edit.version > 0 and set(edges) <= set(edit.edges)


def told(edit: Edit | None, edges: Sequence[EdgeId]) -> str:
    """Return how far a change has come, as a person reads it."""
    if edit is None:
        return "no edit"
    there = len(set(edges) & set(edit.edges))
    return f"edited at {edit.site}: {there} of {len(edges)} edges in {edit.took_s:.2f} s"
