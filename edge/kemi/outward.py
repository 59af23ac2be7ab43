"""A call that goes out through a trunk: one that an edge dials, or one that is handed on.

A call is handed on when its number has a row in `forward`: a contingency plan gave it a backup
number outside the center. No edge takes part, so it works while all of them are dead. Media does
not pass us, and nobody queues, records or writes down such a call: it is counted.
"""

import contextlib
import re

import calls
import door
import KSR
import wire

RINGING_MS = 120_000
SILENCE_MS = 4000

DIALLED = re.compile(r"\+?[0-9]{3,20}")
MOST_DIVERSIONS = 10
ROW = re.compile(r"(\S+) (\+[1-9][0-9]{5,14})")
URI_USER = re.compile(r"(?:sips?|tel):(?:\+|%2[Bb])?([0-9A-Za-z*#_.\-]{1,40})")


def target_of(trunk, number):
    """Return the `host:port` of a trunk that may dial the number, by its prefixes; else None."""
    target, _, prefixes = (KSR.htable.sht_get("dial", trunk) or "").partition(" ")
    allowed = tuple(prefix for prefix in prefixes.split(",") if prefix)
    is_allowed = DIALLED.fullmatch(number) and number.startswith(allowed)
    return target if target and is_allowed else None


def dial(number, target):
    """Send the request at hand to the number; whether it went out."""
    wire.take_off_our_headers()
    KSR.textops.remove_hf("Route")
    KSR.rr.record_route()
    KSR.seturi(f"sip:{number}@{target}")
    KSR.tm.t_set_fr(RINGING_MS, SILENCE_MS)
    return KSR.tm.t_relay() >= 0


def backup_of(called):
    """Return (trunk, number, host:port) that a number's calls are handed on to.

    None: edges take them. So they do where the trunk may not dial that number any more.
    """
    found = ROW.fullmatch(KSR.htable.sht_get("forward", called) or "")
    target = target_of(found[1], found[2]) if found else None
    return (found[1], found[2], target) if target else None


def hand_on(called, backup, param):
    """Send the call out to its backup number. `param`: the seal of its dialog."""
    trunk, number, target = backup
    if has_come_back():
        tell("loop", trunk)
        wire.answer(482, "Loop Detected")
        return
    ours = KSR.kx.get_rcvip()
    # RFC 5806: the last to divert stands first.
    KSR.hdr.insert(f"Diversion: <sip:{called}@{ours}>;reason=unconditional;counter=1\r\n")
    keep_reachable()
    KSR.rr.add_rr_param(param)
    KSR.pvx.avp_sets("backup", trunk)
    KSR.tm.t_on_reply("ksr_handed_on_replies")
    KSR.tm.t_on_failure("ksr_handed_on_failed")
    if dial(number, target):
        tell("sent", trunk)
    else:
        tell("silent", trunk)
        wire.answer(wire.UNAVAILABLE, "Service Unavailable")


def has_come_back():
    """Tell whether the call was handed on by us before: a number that is diverted now diverted it.

    A carrier that takes Diversion off leaves Max-Forwards to end it.
    """
    users = URI_USER.findall(diversions())
    return any(
        KSR.htable.sht_get("forward", form) is not None
        for user in users
        for form in (user, f"+{user}")
    )


def diversions():
    """Return the Diversion headers of the call at hand, without those that are no UTF-8.

    Old exchanges write names in Latin-1; of ours there are no such.
    """
    with contextlib.suppress(UnicodeDecodeError):
        return KSR.pv.gete("$(hdr(Diversion)[*])")
    found = []
    for place in range(MOST_DIVERSIONS):
        with contextlib.suppress(UnicodeDecodeError):
            found.append(KSR.pv.gete(f"$(hdr(Diversion)[{place}])"))
    return " ".join(found)


def failed():
    """Let the carrier's own refusal go back; with silence or 503 the caller's carrier hunts on."""
    if KSR.tm.t_is_canceled() > 0:
        return
    trunk = KSR.pvx.avp_gete("backup")
    if KSR.tm.t_branch_timeout() > 0:
        if KSR.tm.t_branch_replied() > 0:
            return  # nobody lifted: that is 408
        tell("silent", trunk)
    else:
        tell("refused", trunk)
        if KSR.tm.t_check_status("503") < 0:
            return
    # With our Retry-After, as every 503 that carriers hear from us.
    wire.answer(wire.UNAVAILABLE, "Service Unavailable")


def may_pass():
    """Whether the next hop of a request inside such a dialog is a trunk."""
    wire.take_off_our_headers()
    keep_reachable()
    if not KSR.isdsturiset():
        KSR.nathelper.handle_ruri_alias()
    return wire.peer_of(KSR.pv.gete("$nh(d)"), KSR.pv.gete("$nh(p)")).startswith(wire.TRUNK)


def keep_reachable():
    """Note where a carrier is whose Contact is not an address of its trunk: a name, as a rule."""
    host = KSR.pv.gete("$(ct{nameaddr.uri}{uri.host})")
    if host and not wire.peer_of(host, "").startswith(wire.TRUNK):
        KSR.nathelper.add_contact_alias()


def tell(outcome, trunk):
    """Count it, and tell the edges: of the call nothing, for nobody of ours has it."""
    count = KSR.htable.sht_inc("tally", outcome)
    door.tell(event="forwarded", trunk=trunk, outcome=outcome, count=count)


def number_called():
    """Return the number that the request at hand calls, without what carriers add; or ""."""
    number = wire.plain(KSR.kx.gete_ruser().partition(";")[0])
    return number if calls.NUMBER.fullmatch(number) else ""
