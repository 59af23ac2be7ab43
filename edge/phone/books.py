"""The books of a call: how they begin, and what stands in them when it is over."""

from __future__ import annotations

from edge.phone import tones
from edge.phone.report import How, Role, Summary
from edge.phone.rtp import RtpStream
from edge.sip.events import Ended, EndedBy


def summary_of(phone: str, role: Role, sip_call_id: str) -> Summary:
    """Begin the books of a call."""
    return Summary(phone=phone, role=role, sip_call_id=sip_call_id)


def put_down(summary: Summary, stream: RtpStream, at_ms: int) -> None:
    """Enter that its owner has put the phone down, and what had come until then."""
    summary.hung_up_ms = at_ms
    summary.packets_at_goodbye = stream.received


def count(summary: Summary, stream: RtpStream, *, wall_ms: int, now_s: float) -> None:
    """Enter what was heard and sent; both clocks say now, `now_s` the event loop's."""
    listener = stream.listener
    summary.heard = listener.chords()
    summary.other_packets = listener.packets(tones.OTHER)
    summary.silent_packets = listener.packets(tones.SILENCE)
    summary.packets_sent = stream.sent
    summary.packets_received = stream.received
    summary.packets_lost = stream.lost
    summary.send_errors = stream.send_errors
    stalls = (
        (wall_ms - round((now_s - from_s) * 1000), wall_ms - round((now_s - to_s) * 1000))
        for from_s, to_s in stream.stalls
    )
    summary.stalls = tuple(each for each in stalls if each[1] >= summary.invite_ms)
    if summary.heard:
        most = listener.sounds[next(iter(summary.heard))]
        summary.longest_gap_s = round(most.longest_gap_s, 3)
        if most.longest_gap_s:
            summary.gap_from_ms = wall_ms - round((now_s - most.gap_from_s) * 1000)
        summary.last_heard_ms = wall_ms - round((now_s - most.last_s) * 1000)


def how_of(event: Ended, *, ours: bool) -> How:
    """Return how a call has ended; `ours`: because we had hung up."""
    match event.by:
        case EndedBy.REMOTE:
            return How.CANCELLED if event.cause == "cancelled" else How.FAR_END
        case EndedBy.LOCAL:
            if event.cause == "gone":
                return How.UNHEARD
            return How.CANCELLED if event.cause == "cancelled" else How.HUNG_UP
        case EndedBy.FAULT:
            return How.UNHEARD if ours else How.FAULT
