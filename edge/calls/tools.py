"""What every call of an edge works with; the calls' shells are in `edge.calls.call`."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from edge.acd.call_events import Attempt
from edge.call_recorder import CallRecorder
from edge.calls.arrivals import Arrivals
from edge.calls.journal import Journal
from edge.calls.ringing import Ringing
from edge.calls.telephony import Telephony
from edge.calls.transfers import Transfers
from edge.sip.events import Event, LegId
from edge.waiting import Line
from state.clock import Clock
from state.model import CallId

RETRY_AFTER_S = 5


class Tools(Struct, frozen=True, kw_only=True):
    """What every call of this edge works with."""

    clock: Clock
    sip: Telephony
    ringing: Ringing
    """Rings agents through their home sites."""
    own_leg: Callable[[LegId, CallId, Attempt | None], None]
    """Tells the switchboard whose leg this is; attempt None: the caller's."""
    listen: Callable[[LegId, Callable[[Event], None] | None], None]
    """Has what happens on a leg that is no part of a call told to somebody; None: to nobody."""
    journal: Journal
    recorder: CallRecorder
    line: Line
    transfers: Transfers
    arrivals: Arrivals
    """Which calls are not answered yet."""
    finished: Callable[[CallId], None]
