"""What it means that rtpengine refuses a command, by the reason that it gives. PURE.

The reasons are its own texts, of 10.5 and of what came later (its `daemon/call_interfaces.c`).
"""

from __future__ import annotations

from edge.media.errors import (
    MediaExhausted,
    MediaRefused,
    NotPlaying,
    OfferUnreadable,
    UnknownCall,
)
from edge.media.ng import Command, Reply, Verb

_NO_ROOM = ("Ran out of ports", "Parallel session limit reached", "limit")
_NOT_PLAYING = "Not currently playing media"
_UNKNOWN = ("Unknown call-ID", "Unknown call-id", "From-tag given, but no such tag exists")
_UNREADABLE = ("Failed to parse SDP", "Incomplete SDP specification")
"""Said before it looks for the call or has taken a port, so by every rtpengine alike. Not so
"Error rewriting SDP", which stands for whatever went wrong after that."""


def refusal(command: Command, reply: Reply) -> MediaExhausted | MediaRefused:
    """Return the error to raise for a reply that is not ok."""
    what = f"rtpengine refused `{command.verb}` for call {command.call or '-'}"
    reason = reply.error_reason or reply.result
    if any(word in reason for word in _NO_ROOM):
        return MediaExhausted(f"{what}: {reason}; widen --port-min/--port-max or --max-sessions")
    if reason in _UNKNOWN:
        return UnknownCall(f"{what}: {reason}")
    if reason == _NOT_PLAYING:
        return NotPlaying(f"{what}: {reason}")
    if reason in _UNREADABLE and command.verb is Verb.OFFER:
        return OfferUnreadable(f"{what}: {reason}")
    return MediaRefused(f"{what}: {reason}")
