"""Session timers (RFC 4028): how long a session lives without a refresh, and who refreshes it.

Pure: header values in, decisions and header lines out. When the timers run is the leg's affair.
"""

from __future__ import annotations

from msgspec import Struct

from edge.sip.errors import RemoteError
from edge.sip.headers import params_of
from edge.sip.message import Message, Request, Response

MIN_SE = 90
"""The least interval anyone may ask for (RFC 4028 §4), in seconds."""
MAX_SE = 86400
TAKEN_UP_S = 5.0
"""A session that was taken up is refreshed after once to twice as long: nobody knows when that was
done last, and the other side may be about to give it up. Not all at once: there may be many."""


class SessionTimer(Struct, frozen=True, kw_only=True):
    """An agreed session interval."""

    interval_s: int
    we_refresh: bool

    @property
    def act_after_s(self) -> float:
        """Seconds until we refresh, at half time, or hang up, shortly before the end (§10)."""
        if self.we_refresh:
            return self.interval_s / 2
        return self.interval_s - min(32.0, self.interval_s / 3)

    def line(self, *, we_ask: bool) -> str:
        """Write Session-Expires. `we_ask`: in a request of ours; else in a response to theirs."""
        refresher = "uac" if self.we_refresh == we_ask else "uas"
        return f"Session-Expires: {self.interval_s};refresher={refresher}\r\n"


def number_of(value: str) -> int:
    """Read the seconds that a field begins with; 0 if there are none. RemoteError 400 if bad."""
    text = value.partition(";")[0].strip()
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise RemoteError(400, "Malformed Session-Expires or Min-SE")
    return min(int(text[:9]), MAX_SE)


def asked_interval(request: Request) -> int:
    """Return the interval that a request asks for, or 0."""
    return number_of(request.first("session-expires"))


def is_too_small(request: Request, min_se: int) -> bool:
    """Whether the request deserves 422 with our Min-SE (§9): not of who does not know of timers."""
    return 0 < asked_interval(request) < min_se and "timer" in request.tokens("supported")


def agree(request: Request, ours_s: int | None) -> SessionTimer | None:
    """Decide as UAS what the 2xx will say, or that there is no session timer (§9)."""
    asked = asked_interval(request)
    supported = "timer" in request.tokens("supported")
    try:
        least = max(number_of(request.first("min-se")), MIN_SE)
    except RemoteError:
        least = MIN_SE  # the request is being answered: it is too late to refuse it for that
    if not asked:
        if ours_s is None:
            return None
        return SessionTimer(interval_s=max(ours_s, least), we_refresh=True)
    interval = asked if ours_s is None else max(min(asked, ours_s), least)
    wish = _refresher(request)
    # A UAC that does not support timers cannot refresh: a proxy asked for it in its name.
    we_refresh = wish == "uas" or not supported
    return SessionTimer(interval_s=interval, we_refresh=we_refresh)


def agreed(response: Response, asked_s: int | None) -> SessionTimer | None:
    """Read as UAC what the 2xx says; if nothing, we refresh alone if we had asked (§7.2)."""
    interval = number_of(response.first("session-expires"))
    if not interval:
        return None if asked_s is None else SessionTimer(interval_s=asked_s, we_refresh=True)
    return SessionTimer(interval_s=max(interval, MIN_SE), we_refresh=_refresher(response) != "uas")


def response_lines(timer: SessionTimer | None, request: Request) -> str:
    """Write the header lines of a 2xx to `request`."""
    if timer is None:
        return ""
    if timer.we_refresh and "timer" not in request.tokens("supported"):
        return timer.line(we_ask=False) if asked_interval(request) else ""
    return timer.line(we_ask=False) + ("" if timer.we_refresh else "Require: timer\r\n")


def request_lines(interval_s: int, min_se: int, *, refresher: str = "") -> str:
    """Write the header lines of a request that asks for a session timer (§7.1)."""
    who = f";refresher={refresher}" if refresher else ""
    least = f"Min-SE: {min_se}\r\n" if min_se > MIN_SE else ""
    return f"Session-Expires: {interval_s}{who}\r\n{least}"


def _refresher(message: Message) -> str:
    return params_of(message.first("session-expires")).get("refresher", "").lower()
