"""What happens on a SIP leg, as the call whose leg it is has to hear it."""

from __future__ import annotations

from edge.acd import call_events as ev
from edge.acd.call_events import Attempt, By, Side
from edge.acd.yielding import CANCELLED
from edge.media.errors import SdpError
from edge.media.sdp import talk
from edge.sip import events as sip

_BY: dict[sip.EndedBy, By] = {
    sip.EndedBy.REMOTE: By.THEM,
    sip.EndedBy.LOCAL: By.US,
    sip.EndedBy.FAULT: By.FAULT,
}
_GONE = "gone"


def _by(event: sip.Ended) -> By:
    """Return whose doing it was. Somebody who was gone already has told us nothing."""
    if event.by is sip.EndedBy.LOCAL and event.cause == sip.CROSSED:
        return By.BOTH
    is_gone = event.cause == _GONE and event.by is not sip.EndedBy.FAULT
    return By.UNHEARD if is_gone else _BY[event.by]


def _holds(sdp: bytes | None) -> bool:
    """Tell whether its writer puts the other on hold."""
    try:
        return sdp is not None and talk(sdp).is_on_hold
    except SdpError:
        return False


def of_caller(event: sip.Event) -> ev.Event | None:  # noqa: PLR0911 - one case an event
    """Return what an event of the caller's leg is to the call; None: nothing."""
    match event:
        case sip.Confirmed(sdp=sdp):
            return ev.Confirmed(side=Side.CALLER, sdp=sdp)
        case sip.Cancelled():
            return ev.CallerEnded(by=By.THEM, cause=CANCELLED)
        case sip.Ended(cause=cause):
            return ev.CallerEnded(by=_by(event), cause=cause)
        case sip.OfferAnswered(sdp=sdp, was_asked=was_asked):
            return ev.CallerReinvited(sdp=sdp, was_asked=was_asked)
        case sip.OfferRefused(status=status):
            return ev.CallerReinviteRefused(status=status)
        case sip.OfferReceived(sdp=sdp):
            return ev.OfferMade(side=Side.CALLER, sdp=sdp)
        case _:
            return None


def of_agent(event: sip.Event, attempt: Attempt) -> ev.Event | None:  # noqa: PLR0911 - as above
    """Return what an event of the leg of an attempt's agent is to the call; None: nothing."""
    match event:
        case sip.Confirmed(sdp=sdp):
            return ev.Confirmed(side=Side.AGENT, sdp=sdp, holds=_holds(sdp))
        case sip.Progress(status=status):
            return ev.AgentProgress(attempt=attempt, status=status)
        case sip.Answered(sdp=sdp):
            return ev.AgentAnswered(attempt=attempt, sdp=sdp)
        case sip.Rejected(status=status, reason=reason):
            return ev.AgentRejected(attempt=attempt, status=status, reason=reason)
        case sip.Ended(cause=cause):
            return ev.AgentEnded(attempt=attempt, by=_by(event), cause=cause)
        case sip.OfferAnswered(sdp=sdp, was_asked=was_asked):
            holds = _holds(sdp)
            return ev.AgentReinvited(attempt=attempt, sdp=sdp, holds=holds, was_asked=was_asked)
        case sip.OfferRefused(status=status):
            return ev.AgentReinviteRefused(attempt=attempt, status=status)
        case sip.OfferReceived(sdp=sdp):
            return ev.OfferMade(side=Side.AGENT, sdp=sdp, holds=_holds(sdp))
        case _:
            return None
