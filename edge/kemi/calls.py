"""A call that comes in: which edges to try, in what order, and for how long."""

import functools
import re
import time
import zlib

import KSR
import wire

# How long a target may stay silent to an INVITE: an edge that has no answer after 150 ms says 100.
# The first is this site's own edge; the rest follow faster, so that four silent ones fit into the
# budget. Kamailio's timers tick at 62.5 ms.
FIRST_SILENCE_MS = 500
NEXT_SILENCE_MS = 350
BUDGET_MS = 1900
LEAST_TRY_MS = 150
# A datagram that is lost on the way is sent again before the target counts as silent.
RETRANSMIT_MS = 200
# An edge that said it was late (100) and then nothing is frozen. Once it has rung or answered early
# it has taken charge, and may take its time.
FROZEN_MS = 4000
CALLER_WAIT_MS = 120_000

# What an edge says of its room holds for so long: one that has died refuses nobody.
ROOM_S = 2

# A call counts against its edge's room until the edge has answered, which is 4.5 s at most, or is
# passed over: in the generation in which it came, and the next. What was never given back, because
# a worker has died, is forgotten so.
GENERATION_MS = 5000

# A key that is in a table for as long as any other is: one look in place of several.
ANY = "*"

TRYING = 100
SUCCESS = range(200, 300)
FINAL = range(200, 700)

NUMBER = re.compile(r"\+?[0-9A-Za-z*#_.\-]{1,40}")


def now_ms():
    """Return the machine's monotonic clock: the same in every process."""
    return int(time.monotonic() * 1000)


def row_of(number, *, or_any=True):
    """Return the steering row of a number; None: we have no such number.

    What carriers add to it (`;npdi`, `;phone-context=...`) is not part of it.
    """
    number = wire.plain(number.partition(";")[0])
    if not NUMBER.fullmatch(number):
        return None
    row = KSR.htable.sht_get("steer", number)
    if row is None and or_any:
        row = KSR.htable.sht_get("steer", "*")
    return row


def order(row, spin, is_out):
    """Turn a row into targets, best first.

    Calls spread over the edges of a group by `spin`. The first group is tried whole: its edges
    die one by one. Then one edge of each further group before a second one of any: silence from
    afar is more often a site's than an edge's. Targets that are out come in only if all are.
    """
    turned = [spin % len(group) for group in groups_of(row)]
    targets = list(in_turn(row, *turned))
    return [target for target in targets if not is_out(target)] or targets


@functools.lru_cache(maxsize=64)
def groups_of(row):
    """Return the targets of a row, group by group."""
    groups = ([each for each in group.split(",") if ":" in each] for group in row.split("|"))
    return [targets for targets in groups if targets]


@functools.lru_cache(maxsize=1024)
def in_turn(row, *turned):
    """Return all targets of a row, each of its groups turned by so many places."""
    groups = [group[at:] + group[:at] for group, at in zip(groups_of(row), turned, strict=True)]
    if not groups:
        return ()
    far = [
        group[turn]
        for turn in range(max(map(len, groups)))
        for group in groups[1:]
        if turn < len(group)
    ]
    return tuple(dict.fromkeys(groups[0] + far))


def is_down(target):
    """Whether the edge was silent within the last seconds."""
    return KSR.htable.sht_get("down", target) is not None


def who_is_out():
    """Return what tells of a target whether it is down; mostly nobody is."""
    return is_down if KSR.htable.sht_get("down", ANY) is not None else is_up


def is_up(_target):
    """Say of every target that it is not out."""
    return False


def say_room(target, count):
    """Note how many calls the edge may have unanswered at once, until it says so again."""
    KSR.htable.sht_setxi("room", target, int(count), ROOM_S)


def take_room(target):
    """Count one more call against the edge's room; return what gives it back, None: there is none.

    An edge that said nothing takes any, and they are not counted: "".
    """
    most = KSR.htable.sht_get("room", target)
    if most is None:
        return ""
    generation = now_ms() // GENERATION_MS
    mine = f"{target} {generation}"
    under_way = KSR.htable.sht_get("unanswered", mine)
    under_way += KSR.htable.sht_get("unanswered", f"{target} {generation - 1}")
    if under_way >= most:
        return None
    KSR.htable.sht_inc("unanswered", mine)
    return mine


def give_room_back():
    """Note that the edge has answered the call at hand, or will not: once, if it was counted."""
    counted = KSR.pvx.avp_gete("counted")
    if counted:
        KSR.pvx.avp_sets("counted", "")
        KSR.htable.sht_dec("unanswered", counted)


def with_room(row, targets):
    """Put an edge of the first group that has room first; nobody there has: no target at all.

    The second value is for `give_room_back`.
    The rest keep their order, for silence and failures. Edges of other sites say how much room
    they have to their own Kamailio: a carrier that hears 503 finds it.
    """
    own = row.partition("|")[0].split(",")
    for place, target in enumerate(targets):
        if target not in own:
            # None of the first group lives: those elsewhere are all there is.
            return (targets if place == 0 else []), ""
        counted = take_room(target)
        if counted is not None:
            return [target, *targets[:place], *targets[place + 1 :]], counted
    return [], ""


def call_in(site, row, said):
    """Send the call to the first edge of `row` that takes it; None: we have no such number.

    `said`: the headers that tell the edge who calls, which nobody else may write.
    """
    if row is None:
        # A proxy without tables does not know which numbers exist: that is its own failure.
        if KSR.htable.sht_get("meta", "tables"):
            wire.answer(404, "Not Found")
        else:
            wire.answer(wire.UNAVAILABLE, "No Tables Yet")
        return
    known = order(row, zlib.crc32(KSR.kx.get_callid().encode()), who_is_out())
    targets, counted = with_room(row, known)
    if not targets:
        wire.answer(wire.UNAVAILABLE, "Overloaded" if known else "Service Unavailable")
        return
    wire.take_off_our_headers()
    KSR.hdr.append(f"{said}X-Everline-Via: {site}\r\n")
    KSR.textops.remove_hf("Route")
    KSR.rr.record_route()
    KSR.pvx.avp_sets("deadline", str(now_ms() + BUDGET_MS))
    if counted:
        KSR.pvx.avp_sets("counted", counted)
    # Should this site die before it has answered, whoever called must have heard nothing of us: so
    # they try the next site after a second, and do not wait for us for minutes. An edge answers
    # within milliseconds; a 100 is due only where none is known to come within 0.2 s (RFC 3261
    # §17.2.1), and is sent when we find it late: `say_trying`.
    KSR.tm.t_set_auto_inv_100(0)
    relay(targets[0], " ".join(targets[1:]), FIRST_SILENCE_MS)


def say_trying():
    """Tell whoever called that this takes longer. For reply and failure routes."""
    KSR.tm.t_reply(TRYING, "Trying")


def try_next(silence_ms, *, is_late=False):
    """Relay to the next target while time is left, else 503. `is_late`: the caller has waited."""
    left_ms = int(KSR.pvx.avp_gete("deadline")) - now_ms()
    target, _, rest = KSR.pvx.avp_gete("targets").partition(" ")
    if not target or left_ms < LEAST_TRY_MS:
        wire.answer(wire.UNAVAILABLE, "Service Unavailable")
        return
    if is_late:
        say_trying()
    # In a failure route only a Request-URI that was set anew makes a branch.
    KSR.seturi(KSR.kx.get_ruri())
    relay(target, rest, min(silence_ms, left_ms))


def relay(target, rest, silence_ms):
    """Relay to a target, and remember which others there are."""
    KSR.pvx.avp_sets("target", target)
    KSR.pvx.avp_sets("targets", rest)
    KSR.setdsturi(f"sip:{target}")
    KSR.tm.t_set_fr(FROZEN_MS, silence_ms)
    KSR.tm.t_set_retr(RETRANSMIT_MS, 0)
    KSR.tm.t_on_reply("ksr_edge_replies")
    KSR.tm.t_on_failure("ksr_edge_failed")
    if KSR.tm.t_relay() < 0:
        # The kernel knows no way there, and no failure route hears of it. tm holds its own refusal
        # back until the script is over, and drops it if something else was sent by then.
        give_room_back()
        try_next(NEXT_SILENCE_MS)


def edge_replies():
    """Take note of what an edge answers: one that rings or speaks early has taken charge.

    tm never passes a 100 on: one of its own goes to whoever called. Another process may have taken
    the answer that came behind the 100 before it, and nothing is said after that.
    """
    status, target = KSR.kx.get_status(), KSR.pvx.avp_gete("target")
    if status == TRYING:
        if KSR.pvx.avp_gete("answered") != target:
            say_trying()
        return
    KSR.pvx.avp_sets("answered", target)
    give_room_back()
    if status not in FINAL:
        KSR.tm.t_set_fr(CALLER_WAIT_MS, 0)


def edge_failed():
    """Go on to the next edge after silence or a failure; what the edge refuses stays refused."""
    give_room_back()
    if KSR.tm.t_is_canceled() > 0:
        return
    is_late = False
    if KSR.tm.t_branch_timeout() > 0:
        target = KSR.pvx.avp_gete("target")
        for each in (target, ANY):
            KSR.htable.sht_sets("down", each, "1")
        # Should it wake up, its answer must not reach a caller whom another edge serves.
        for each in (f"{KSR.kx.get_callid()} {target}", ANY):
            KSR.htable.sht_sets("silent", each, "1")
        if KSR.tm.t_branch_replied() > 0:
            # It froze after its 100. Seconds are gone already: the others get a full round.
            KSR.pvx.avp_sets("deadline", str(now_ms() + BUDGET_MS))
        else:
            is_late = True
    elif KSR.tm.t_check_status("5[0-9][0-9]") < 0:
        return
    try_next(NEXT_SILENCE_MS, is_late=is_late)


def drop_late_replies():
    """Drop what no transaction waits for: an edge that woke up late, or a stranger's noise.

    A 2xx to INVITE may come again long after its transaction, until the ACK has arrived, and for
    the first time when we have been started anew since: true is that no transaction knows it. A
    late 100 is kept if tm still knows the call: tm answers it with the CANCEL that was due.
    """
    status = KSR.kx.get_status()
    is_invite = KSR.pv.gete("$rm") == "INVITE"
    # In this order: tm never lets go of a transaction that it has looked up for a reply which is
    # dropped then.
    is_late = is_invite and status != TRYING and was_silent()
    is_again = is_invite and status in SUCCESS
    is_unknown = not is_late and KSR.tm.t_check_trans() < 0
    if is_late or (is_unknown and not is_again):
        KSR.set_drop()
        return False
    return is_unknown


def was_silent():
    """Tell whether the edge that answers was silent so long that another was tried."""
    if KSR.htable.sht_get("silent", ANY) is None:
        return False
    target = f"{KSR.kx.get_srcip()}:{KSR.kx.get_srcport()}"
    return KSR.htable.sht_get("silent", f"{KSR.kx.get_callid()} {target}") is not None
