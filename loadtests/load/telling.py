"""What our telephones say, and the rows of Locust's tables that come of it. PURE.

A row is a type, a name, a value in milliseconds and, where it failed, why. Names are few and fixed:
each makes a row of the tables and a line of the charts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from drills.demo.phones import PASSED_ON
from loadtests.load import quality
from state.codec import UNREADABLE

SIP, RTP, CALL, PHONE = "SIP", "RTP", "CALL", "PHONE"
PHONES_GONE: Final = "telephones gone"
"""Why a call ended of which its telephone will not tell any more."""
RESTARTED: Final = "telephones began anew"
RUNG_IN_TALK: Final = "agent rung in a talk"
_BUSY: Final = "busy"
"""Why a telephone of ours says that it refuses a second call."""
BEARABLE_MOS: Final = 3.6
"""Below it many users are dissatisfied (G.107 Annex B: R under 70)."""
_CUT_OFF: Final = frozenset({"no_media", "unheard", "fault"})
"""Causes and ends that mean: the line went dead."""
_TARGET_IS_NOT_FREE: Final = frozenset({404, 408, 480, 486, 487, 491, 603})
"""What an agent hears of a transfer when its target has gone, talks, or does not answer: the caller
stays with the agent. 491: the caller is just being put on hold. Anything else is a fault."""
_DONE: Final = range(200, 300)
_OF_CALLERS: Final = frozenset({"invite", "reinvite", "held", "resumed"})
"""What the demo's rules ask of a caller beside their summary: that they called, that they were told
of an agent, that they held and came back."""
_OF_AGENTS: Final = frozenset({"invite", "answered"})
"""Of agents: that they were in a talk whose end their telephone, which died, does not tell."""
_OF_ENDS: Final = frozenset({"hanging_up", "call"})
_MEANT: Final = frozenset({"talked", "impatient", "stopped", "gave_up"})
"""Why a caller hangs up of their own accord."""


class Told(Struct, kw_only=True):
    """What counts here of one line of a telephone's output; `call` lines have all of it."""

    event: str
    wall_ms: int = 0
    phone: str = ""
    role: str = ""
    call: str = ""
    sip_call_id: str = ""
    how: str = ""
    cause: str = ""
    status: int | None = None
    took_ms: int = 0
    invite_ms: int = 0
    answered_ms: int | None = None
    joined_ms: int | None = None
    ended_ms: int | None = None
    setup_ms: int | None = None
    packets_received: int = 0
    packets_lost: int = 0
    longest_gap_s: float = 0.0
    gap_from_ms: int | None = None
    held: int = 0

    @property
    def was_cut_off(self) -> bool:
        """Whether a caller found the line dead: no packet any more, or nobody behind it."""
        return self.answered_ms is not None and (self.cause in _CUT_OFF or self.how in _CUT_OFF)

    @property
    def broke_off(self) -> bool:
        """Whether it ended before any answer by a fault of its own telephone."""
        return self.answered_ms is None and self.how == "fault"

    @property
    def was_turned_away(self) -> bool:
        """Whether the INVITE was never answered, and not by the caller's own doing."""
        return self.answered_ms is None and self.how in {"refused", "silence"}


class Row(Struct, frozen=True, kw_only=True):
    """One entry of Locust's tables."""

    kind: str
    name: str
    value_ms: float | None
    """None: nobody knows; it is in no mean and no percentile."""
    fault: str = ""
    bytes: int = 0


_lines = msgspec.json.Decoder(Told)


def hear(line: bytes) -> Told | None:
    """Return what a line says; None for one that is not JSON of ours."""
    try:
        return _lines.decode(line)
    except UNREADABLE:
        return None


def is_kept(told: Told) -> bool:
    """Tell whether a line is one of those by which a call is compared with the ledger."""
    of_role = _OF_CALLERS if told.role == "caller" else _OF_AGENTS
    return told.event in _OF_ENDS or told.event in of_role


def passed_on(told: Told, at_ms: int) -> bytes:
    """Return the line by which an agent who passes a caller on at a desktop says so: it is kept.

    `told`: that they have answered. Their telephone does not know.
    """
    line = {"event": PASSED_ON, "wall_ms": at_ms, "phone": told.phone, "role": told.role}
    return msgspec.json.encode(line | {"sip_call_id": told.sip_call_id}) + b"\n"


def rows_of_caller(told: Told) -> Iterator[Row]:
    """Yield what a caller's summary adds to the tables."""
    ended_ms = told.ended_ms or told.wall_ms
    if told.answered_ms is None:
        took_ms = ended_ms - (told.invite_ms or ended_ms)
        is_bad = told.was_turned_away or told.broke_off
        fault = f"{told.how} {told.status or ''}".strip() if is_bad else ""
        yield Row(kind=SIP, name="set-up", value_ms=took_ms, fault=fault)
    else:
        set_up_ms = told.setup_ms or told.answered_ms - told.invite_ms
        yield Row(kind=SIP, name="set-up", value_ms=set_up_ms)
    if told.joined_ms is not None and told.answered_ms is not None:
        wait_ms = told.joined_ms - told.answered_ms
        yield Row(kind=SIP, name="wait for an agent", value_ms=wait_ms)
        yield from _sound(told, "caller")
    yield Row(
        kind=CALL,
        name=f"ended: {how_ended(told)}",
        value_ms=ended_ms - (told.invite_ms or ended_ms),
        fault=_fault(told),
    )


def rows_of_agent(told: Told) -> Iterator[Row]:
    """Yield what an agent's summary of a call adds to the tables."""
    if told.cause == _BUSY:
        # They were in a talk, and whoever had them rung took them for free.
        yield Row(kind=SIP, name=RUNG_IN_TALK, value_ms=None, fault="their telephone was busy")
    if told.answered_ms is None:
        return
    yield Row(kind=SIP, name="ring", value_ms=told.answered_ms - told.invite_ms)
    if told.joined_ms is not None:
        heard_ms = max(0, told.joined_ms - told.answered_ms)
        yield Row(kind=SIP, name="answer until the caller is heard", value_ms=heard_ms)
        yield from _sound(told, "agent")


def row_of_transfer(told: Told) -> Row:
    """Return how a transfer went: by what answered the REFER, or by the last NOTIFY after a 202."""
    status = told.status or 0
    is_meant = status in _DONE or status in _TARGET_IS_NOT_FREE
    how = "done" if status in _DONE else "not possible"
    fault = "" if is_meant else f"answered by {status}"
    return Row(kind=SIP, name=f"transfer: {how}", value_ms=told.took_ms, fault=fault)


def row_of_restart(host: str) -> Row:
    """Return that the telephones of a host died and were begun anew: a fault of the load's own."""
    return Row(kind=PHONE, name=RESTARTED, value_ms=0, fault=f"those at {host} had ended")


def row_without_phone(who: str, why: str) -> Row:
    """Return that somebody, `a caller` or `an agent`, has no telephone."""
    return Row(kind=PHONE, name=f"{who} without a telephone", value_ms=0, fault=why)


def _sound(told: Told, who: str) -> Iterator[Row]:
    loss = quality.loss_pct(told.packets_received, told.packets_lost)
    score = quality.mean_opinion(loss)
    fault = "" if score >= BEARABLE_MOS else f"loss of packets: MOS under {BEARABLE_MOS:g}"
    size = told.packets_received * 160
    yield Row(kind=RTP, name=f"longest gap, {who}", value_ms=1000 * told.longest_gap_s, bytes=size)
    yield Row(kind=RTP, name=f"MOS x 100, {who}", value_ms=round(100 * score), fault=fault)


def how_ended(told: Told) -> str:
    """Return how a call ended, as one of few words."""
    if told.was_cut_off:
        return "cut off"
    if told.how == "far_end":
        return "agent hung up" if told.joined_ms is not None else "sent away"
    return told.cause if told.cause in _MEANT else told.how


def _fault(told: Told) -> str:
    if told.was_cut_off:
        return f"cut off ({told.cause or told.how})"
    if told.broke_off:
        return f"fault ({told.cause})"
    if told.was_turned_away:
        return f"turned away ({told.status})" if told.status else "never answered"
    return ""
