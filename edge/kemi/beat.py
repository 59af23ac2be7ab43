"""Whether this proxy has just woken up: then what it reads was sent long ago.

A frozen proxy (SIGSTOP, a machine that gave it no time) finds in its sockets what came meanwhile.
Whoever sent an INVITE has gone on to another site, where the call may have been answered: a second
answer breaks it.

A timer's process, and nobody else, writes down four times a second that time has passed. It has
nothing else to do, so it is late by seconds only if all of the proxy stood still. Whoever reads
first after that sees the old time, or what the timer has made of it: both are in one row.
"""

import calls
import KSR
import wire

STOOD_MS = 2000
"""A carrier that is told nothing waits about as long. Less would be no sign: a busy machine."""
WAKING_MS = 2000
"""For so long it is taken to read what is old: thousands of requests wait in its sockets."""


def note():
    """Write down that time has passed, and if it stood still until now, how long that counts."""
    now_ms, row = calls.now_ms(), kept()
    last_ms, until_ms = row or (now_ms, 0)
    if now_ms - last_ms > STOOD_MS:
        KSR.warn(f"stood still for {now_ms - last_ms} ms; no new calls for {WAKING_MS} ms\n")
        until_ms = now_ms + WAKING_MS
    KSR.htable.sht_sets("beat", "last", f"{now_ms} {until_ms}")


def is_waking():
    """Tell whether it stood still until a moment ago. Its start is no awakening."""
    row = kept()
    if row is None:
        return False
    now_ms, (last_ms, until_ms) = calls.now_ms(), row
    return now_ms - last_ms > STOOD_MS or now_ms < until_ms


def turns_away():
    """Tell whether the new call at hand is turned away since it may be old; if so, it is answered.

    Who sent it tries the next site; whoever has done so already hears nothing of it.
    """
    if not is_waking():
        return False
    wire.answer(wire.UNAVAILABLE, "Just Woken Up")
    return True


def kept():
    """Return (when time passed last, until when it counts as waking), in ms; None: at its start."""
    text = KSR.htable.sht_get("beat", "last")
    return tuple(map(int, text.split())) if text else None
