"""How an edge reaches its proxy and its media relay, by its settings."""

from __future__ import annotations

from collections.abc import Callable

from edge.media.direct import DirectMedia
from edge.media.relay import Relay
from edge.media.rtpengine.engine import MediaEngine
from edge.settings import DIRECT, Settings, address
from edge.sip.endpoint import SipEndpoint
from edge.sip.events import Address, Event

PRODUCT = "Everline"
MAX_INVITE_AGE_S = 0.4
"""Older than this the proxy is about to give the INVITE to another edge: it waits 0.5 s."""
BYE_TIMEOUT_S = 8.0
"""An edge says BYE to Kamailios on a private network only: one that has not answered five of them
is gone, and the call need not linger for 32 s."""
CANCEL_TIMEOUT_S = BYE_TIMEOUT_S
"""Nor one whose ring was given up. A 2xx that comes all the same is acknowledged and hung up."""
GOODBYE_HOLD_S = 0.4
"""How long the answer to a BYE waits for the end of the call to be written down, at most: it would
be sent again after 0.5 s (timer E). Longer than that a store takes only if it is away, and then the
end stands in the journal."""
SESSION_EXPIRES_S = 300
"""A dialog whose other end has vanished is over after so long at most (RFC 4028)."""


def sip_endpoint(settings: Settings, on_event: Callable[[Event], None]) -> SipEndpoint:
    """Open the edge's SIP socket."""
    return SipEndpoint.open(
        local=Address(*address(settings.sip)),
        product=PRODUCT,
        on_event=on_event,
        session_expires_s=SESSION_EXPIRES_S,
        max_invite_age_s=MAX_INVITE_AGE_S,
        bye_timeout_s=BYE_TIMEOUT_S,
        cancel_timeout_s=CANCEL_TIMEOUT_S,
        goodbye_hold_s=GOODBYE_HOLD_S,
    )


def media_relay(settings: Settings) -> Relay:
    """Return the relay that carries the edge's media, or none: people send to each other."""
    if settings.ng == DIRECT:
        return DirectMedia()
    host, port = address(settings.ng)
    return MediaEngine(owner=settings.edge, host=host, port=port)
