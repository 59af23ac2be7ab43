"""What it means to a call that the relay could not do a step. PURE."""

from __future__ import annotations

from typing import TypeAlias

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.media.errors import (
    MediaError,
    MediaExhausted,
    MediaRefused,
    MediaUnavailable,
    OfferUnreadable,
    SdpError,
    UnknownCall,
)

MediaEffect: TypeAlias = (
    fx.OpenMedia
    | fx.Play
    | fx.PrepareAgent
    | fx.JoinMedia
    | fx.RequeueMedia
    | fx.SettleMedia
    | fx.Renegotiate
    | fx.AskLastHeard
    | fx.CloseMedia
)
"""A step that the relay is asked for."""


def failure(effect: MediaEffect, error: MediaError) -> ev.Event | None:  # noqa: PLR0911 - one case an effect
    """Return what a failed step means to the call; None: nothing that it could do about it."""
    match effect:
        case fx.OpenMedia(sdp=sdp):
            if isinstance(error, SdpError):
                return ev.MediaFailed(status=488, cause="no_common_codec")
            if isinstance(error, OfferUnreadable) and sdp is not None:
                # RFC 3261 §21.4.26. Not 503: every site would say the same.
                return ev.MediaFailed(status=488, cause="offer_unreadable")
            if isinstance(error, MediaExhausted):
                return ev.MediaFailed(status=503, cause="no_media_ports")
            return ev.MediaFailed(status=503, cause="media_unavailable")
        case fx.JoinMedia(attempt=attempt) if _is_of_agent(error):
            return ev.AgentMediaRefused(attempt=attempt)
        case fx.Renegotiate(side=side) if not isinstance(error, MediaUnavailable):
            return ev.RenegotiationFailed(side=side)
        case fx.AskLastHeard():
            return ev.LastHeard()
        case fx.CloseMedia() | fx.SettleMedia():
            return None
        case fx.Play() if not isinstance(error, MediaUnavailable):
            # A prompt that cannot be played is no reason to lose the caller.
            return None
        case _:
            return ev.MediaLost()


def _is_of_agent(error: MediaError) -> bool:
    """Tell whether it is the agent's answer that cannot be used: to us, or to the relay alone."""
    is_refused = isinstance(error, MediaRefused) and not isinstance(error, UnknownCall)
    return is_refused or isinstance(error, SdpError)
