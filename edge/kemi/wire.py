"""Who speaks, and the short answers: what every route needs."""

import re
import traceback
from urllib.parse import unquote

import KSR

EDGE = "edge"
TRUNK = "trunk:"
STRANGER = ""

# What stands in headers that only our own programs write.
OURS = "x-everline"
OUR_HEADER = re.compile(r"^(x-everline[a-z-]*):", re.IGNORECASE | re.MULTILINE | re.ASCII)

# Our own failures are always this one: carriers hunt on to the next site on no other.
UNAVAILABLE = 503


def peer_of(ip, port):
    """Return who speaks from this address: `edge`, `trunk:ID`, or a stranger."""
    if KSR.htable.sht_get("peers", f"{ip}:{port}") == EDGE:
        return EDGE
    peer = KSR.htable.sht_gete("peers", ip)
    return peer if peer.startswith(TRUNK) else STRANGER


def source():
    """Return who sent the message at hand."""
    return peer_of(KSR.kx.get_srcip(), KSR.kx.get_srcport())


def plain(user):
    """Return the user of a URI without escapes (RFC 3261 §19.1.4): carriers write `%2B` for `+`."""
    return unquote(user) if "%" in user else user


def is_retransmission(method):
    """Let tm deal with what it has seen before, and with ACKs to its own refusals."""
    if method == "ACK":
        KSR.tm.t_check_trans()
        return True
    if KSR.tmx.t_precheck_trans() > 0:
        KSR.tm.t_check_trans()
        return True
    return KSR.tm.t_check_trans() == 0


def take_off_our_headers():
    """Let nobody outside speak for us: the name is matched without case, up to any blank.

    Kamailio makes an expression anew for each message, which costs more than all else that is done
    here: so it is asked only of what is neither without our name nor has it in a plain way.
    """
    try:
        text = KSR.kx.get_msgbuf()
    except UnicodeDecodeError:
        names = None
    else:
        count = text.lower().count(OURS)
        if not count:
            return
        names = OUR_HEADER.findall(text)
        if len(names) != count or len({name.lower() for name in names}) != count:
            names = None
    if names is None:
        KSR.textops.remove_hf_re("^X-Everline")
        return
    for name in names:
        KSR.hdr.remove(name)


def answer(status, reason, retry_after_s=2):
    """Answer the request at hand, through its transaction if there is one."""
    if status == UNAVAILABLE:
        KSR.hdr.append_to_reply(f"Retry-After: {retry_after_s}\r\n")
    KSR.sl.send_reply(status, reason)


def fault(error):
    """Return what an exception is and where it came from. Its text may quote a caller's number."""
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {' < '.join(places)}"
