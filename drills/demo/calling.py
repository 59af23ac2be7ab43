"""A single call into a lab that is up, as the person sees it who asked for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from drills.desk.asks import PlaceAsk
from drills.desk.client import CALL_TIMEOUT_S, Line
from drills.desk.ledger import SHORT
from drills.desk.words import plain
from state.keys import call_id_for

_ENDS: Final[Mapping[str, str]] = {
    "hung_up": "the caller hung up",
    "far_end": "the other side hung up",
    "silence": "nobody ever answered",
    "unheard": "hung up, and nobody was there any more",
    "cancelled": "given up before the answer",
    "fault": "cut off",
}

_STATUSES: Final[Mapping[object, str]] = {
    403: ": nobody may call that from here",
    404: ": nobody has that number",
    486: ": busy",
    503: ": no site can serve it now",
}


def place(line: Line, ask: PlaceAsk) -> bool:
    """Ask the lab for a call and print its steps; tell whether an agent was heard."""
    heard, was_answered, call = False, False, None
    began_ms: int | None = None
    # Nothing is told while the two talk.
    for text in line.follow(ask, timeout_s=CALL_TIMEOUT_S + ask.talk_s):
        report: dict[str, object] = msgspec.json.decode(text)
        began_ms = began_ms or _number(report.get("wall_ms"))
        heard = heard or report.get("event") == "joined"
        was_answered = was_answered or report.get("event") == "answered"
        call = call or _call_of(report)
        for said in told(report, began_ms or 0):
            sys.stdout.write(said + "\n")
            sys.stdout.flush()
    if call is not None and was_answered:
        sys.stdout.write(f"Why so: ./everline explain {call[:SHORT]}\n")
    return heard


def told(report: Mapping[str, object], began_ms: int) -> Iterator[str]:
    """Yield what a line of the phone's report means to a person, after how many seconds."""
    how = str(report.get("how", ""))
    call, status = _call_of(report), report.get("status")
    if how == "refused":
        how = f"refused with {status}{_STATUSES.get(status, '')}"
    steps = {
        "invite": f"dials{f' (call {call[:SHORT]})' if call else ''}",
        "ringing": "hears it ring",
        "answered": "is answered: greeting, then music",
        "joined": "hears the agent",
        "call": f"it is over: {_ENDS.get(how, plain(how))}",
    }
    step = steps.get(str(report.get("event")))
    if step is not None:
        after_s = (_number(report.get("wall_ms")) - began_ms) / 1000
        yield f"{after_s:6.2f} s  {step}"


def _call_of(report: Mapping[str, object]) -> str | None:
    """Return our name for the call, which follows from its SIP name and the caller's tag."""
    sip_call_id, tag = report.get("sip_call_id"), report.get("local_tag")
    if report.get("event") != "invite" or not (sip_call_id and tag):
        return None
    return call_id_for(str(sip_call_id), str(tag))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
