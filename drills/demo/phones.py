"""What our phones are told, and what they tell. PURE.

Owns the two JSON formats as far as the demo uses them: the plan that `python -m edge.phone` reads
and the lines that it writes. The program itself is in another process, and another package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from drills.demo.cut_off import SILENT_MS
from drills.demo.reports import AgentReport, CallerReport, End
from drills.demo.scenario import (
    AGENT_DECLINES,
    AGENT_IGNORES,
    AGENT_TALK_S,
    NUMBERS,
    Behaviour,
    Dialler,
    PlannedCall,
    Scenario,
)
from state.codec import UNREADABLE
from state.keys import call_id_for
from state.model import AgentId, CallId, SiteId

CALLER_SILENCE_S = 4.0
"""A caller who hears nothing at all for so long takes the line for dead."""
AGENT_SILENCE_S = 3.0
REGISTER_EVERY_S = 30
CALLED_AT = 20_000
"""A caller's telephone takes calls at this port plus the last four digits of its number."""
CALLED_TALK_S = 30.0
"""Who is called back leaves the end to the agent, who comes when they have lifted."""
CUT_OFF = "no_media"
"""Why a telephone says that it hangs up, when nothing was heard any more."""
PASSED_ON = "passed_on"
"""Of an agent who did that at a desktop, which their telephone does not know: the event."""
GAVE_UP = "gave_up"
"""Why it cancels an INVITE that nobody has answered in all its time."""


class Line(msgspec.Struct, kw_only=True):
    """One line of a phone's output; `call` lines have all fields, others those that fit."""

    event: str
    wall_ms: int = 0
    phone: str = ""
    role: str = ""
    sip_call_id: str = ""
    local_tag: str = ""
    call: str = ""
    sent_chord: str = ""
    heard: dict[str, int] = {}
    invite_ms: int = 0
    answered_ms: int | None = None
    joined_ms: int | None = None
    last_heard_ms: int | None = None
    longest_gap_s: float = 0.0
    gap_from_ms: int | None = None
    stalls: tuple[tuple[int, int], ...] = ()
    passed_on_ms: int | None = None
    hung_up_ms: int | None = None
    packets_received: int = 0
    packets_at_goodbye: int | None = None
    crossed: bool = False
    ended_ms: int | None = None
    held: int = 0
    accepted: bool = False
    """Of `reinvite`: whether it took what it was offered."""
    how: str = ""
    status: int | None = None
    reason: str = ""
    cause: str = ""
    """Of `hanging_up`: why."""


_lines = msgspec.json.Decoder(Line)


def agents_plan(
    scenario: Scenario,
    site: SiteId,
    *,
    registrar: str,
    backups: Iterable[str],
    passwords: Mapping[AgentId, str],
) -> bytes:
    """Return the plan of the phones of all agents who are at home at a site.

    `backups`: the proxies, `host:port`, at which they register while that site is dead.
    """
    agents = [
        {
            "id": agent.id,
            "registrar": registrar,
            "backups": tuple(backups),
            "password": passwords[agent.id],
            "expires_s": REGISTER_EVERY_S,
            "answer_after_s": (0.2, 0.6),
            "talk_s": (AGENT_TALK_S, AGENT_TALK_S + 0.5),
            "silence_s": AGENT_SILENCE_S,
            "decline": AGENT_DECLINES,
            "ignore": AGENT_IGNORES,
        }
        for agent in scenario.agents
        if agent.site == site
    ]
    return msgspec.json.encode({"agents": agents})


def callers_plan(scenario: Scenario, *, carrier: str, start_mono_s: float) -> bytes:
    """Return the plan of all calls of our own phone; their time begins at `start_mono_s`."""
    callers = [_caller(call, carrier) for call in scenario.calls if call.dialler is Dialler.PHONE]
    return msgspec.json.encode({"start_mono_s": start_mono_s, "callers": callers})


def called_plan(scenario: Scenario) -> bytes:
    """Return the plan of the telephones at which the callers of a scenario can be called back."""
    telephones = [
        {
            "id": call.number,
            "registrar": "",
            "port": called_port(call.number),
            "answer_after_s": (0.5, 1.5),
            "talk_s": (CALLED_TALK_S, CALLED_TALK_S),
            "silence_s": CALLER_SILENCE_S,
        }
        for call in scenario.calls
    ]
    return msgspec.json.encode({"agents": telephones})


def called_port(number: str) -> int:
    """Return where a caller's telephone takes calls, as the lab's carrier has it (`OUT`)."""
    return CALLED_AT + int(number.removeprefix(NUMBERS))


def _caller(call: PlannedCall, carrier: str) -> dict[str, object]:
    return {
        "id": call.number,
        "carrier": carrier,
        "did": call.did,
        "number": call.number,
        "at_s": call.at_s,
        "headers": {"X-First-Site": call.first_site},
        "patience_s": call.patience_s,
        "talk_s": call.talk_s,
        "hold_after_s": 2.0 if call.behaviour is Behaviour.HOLDS else None,
        "hold_s": 1.0,
        "silence_s": CALLER_SILENCE_S,
    }


def parse(text: bytes) -> Line | None:
    """Return what a line of output says; None for one that is not JSON of ours."""
    try:
        return _lines.decode(text)
    except UNREADABLE:
        return None


def caller_reports(lines: Iterable[Line]) -> tuple[CallerReport, ...]:
    """Return a report for each call that a phone placed, also for those without an end."""
    found: dict[str, CallerReport] = {}
    silent: set[str] = set()
    held_ms: dict[str, int] = {}
    told_ms: dict[str, int] = {}
    resumed_ms: dict[str, int] = {}
    leaving: set[str] = set()
    for line in lines:
        if line.role != "caller" or not line.sip_call_id:
            continue
        if line.event == "hanging_up" and line.cause == CUT_OFF:
            silent.add(line.sip_call_id)
        if line.event == "hanging_up":
            leaving.add(line.sip_call_id)
        if line.event == "reinvite" and line.accepted and line.sip_call_id not in leaving:
            told_ms[line.sip_call_id] = line.wall_ms
        if line.event == "resumed":
            resumed_ms[line.sip_call_id] = line.wall_ms
        if line.event == "held":
            held_ms.setdefault(line.sip_call_id, line.wall_ms)
        if line.event == "call" or line.sip_call_id not in found:
            found[line.sip_call_id] = _caller_report(
                line,
                heard_nothing=line.sip_call_id in silent,
                first_held_ms=held_ms.get(line.sip_call_id),
                resumed_ms=resumed_ms.get(line.sip_call_id),
                told_ms=told_ms.get(line.sip_call_id),
            )
    return tuple(found.values())


def agent_reports(lines: Iterable[Line]) -> tuple[AgentReport, ...]:
    """Return a report for each INVITE that reached an agent's phone, also for endless ones."""
    found: dict[tuple[str, str], AgentReport] = {}
    passed_on_ms: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.role != "agent" or not line.sip_call_id:
            continue
        key = (line.phone, line.sip_call_id)
        if line.event == PASSED_ON:
            passed_on_ms.setdefault(key, line.wall_ms)
        elif line.event == "call" or key not in found:
            found[key] = _agent_report(line)
    for key in passed_on_ms.keys() & found.keys():
        at_ms = found[key].passed_on_ms or passed_on_ms[key]
        found[key] = replace(found[key], passed_on_ms=at_ms)
    return tuple(found.values())


def unanswered(lines: Iterable[Line]) -> frozenset[str]:
    """Return the Call-IDs on which a phone waits for the answer to its INVITE, or its goodbye."""
    found: set[str] = set()
    for line in lines:
        is_placed = line.event == "invite" and line.role == "caller"
        if is_placed or line.event == "hanging_up":
            found.add(line.sip_call_id)
        elif line.event in {"answered", "call"}:
            found.discard(line.sip_call_id)
    return frozenset(found)


def _caller_report(
    line: Line,
    *,
    heard_nothing: bool,
    first_held_ms: int | None,
    resumed_ms: int | None,
    told_ms: int | None,
) -> CallerReport:
    return CallerReport(
        number=line.phone,
        sip_call_id=line.sip_call_id,
        call=call_id_for(line.sip_call_id, line.local_tag),
        dialler=Dialler.PHONE,
        invite_ms=line.invite_ms or line.wall_ms,
        ok_ms=line.answered_ms,
        joined_ms=line.joined_ms,
        told_ms=told_ms,
        hung_up_ms=line.hung_up_ms,
        ended_ms=line.ended_ms,
        end=_end(line),
        status=line.status,
        reason=line.reason,
        sent=line.sent_chord,
        heard=frozenset(line.heard),
        held=line.held > 0,
        first_held_ms=first_held_ms,
        resumed_ms=resumed_ms,
        last_heard_ms=_last_heard_ms(line),
        crossed=line.crossed,
        heard_nothing=heard_nothing,
        packets_after=0
        if line.packets_at_goodbye is None
        else line.packets_received - line.packets_at_goodbye,
        stalls=line.stalls,
    )


def _agent_report(line: Line) -> AgentReport:
    return AgentReport(
        agent=AgentId(line.phone),
        sip_call_id=line.sip_call_id,
        call=CallId(line.call) if line.call else None,
        invite_ms=line.invite_ms or line.wall_ms,
        answered_ms=line.answered_ms,
        passed_on_ms=line.passed_on_ms,
        hung_up_ms=line.hung_up_ms,
        ended_ms=line.ended_ms,
        end=_end(line),
        sent=line.sent_chord,
        heard=frozenset(line.heard),
        last_heard_ms=_last_heard_ms(line),
        crossed=line.crossed,
        stalls=line.stalls,
    )


def _last_heard_ms(line: Line) -> int | None:
    """Return when the only one who was heard was heard last; a phone tells of one alone.

    A relay that stood still sends what it had not read when it goes on: what came so, long after
    the goodbye, nobody heard who said it.
    """
    if len(line.heard) != 1:
        return None
    gap_ms = round(line.longest_gap_s * 1000)
    if line.gap_from_ms is None or line.hung_up_ms is None or gap_ms <= SILENT_MS:
        return line.last_heard_ms
    is_within = line.gap_from_ms <= line.hung_up_ms < line.gap_from_ms + gap_ms
    return line.gap_from_ms if is_within else line.last_heard_ms


def _end(line: Line) -> End:
    if line.event != "call":
        return End.UNFINISHED
    end = End(line.how)
    return End.SILENCE if end is End.CANCELLED and line.cause == GAVE_UP else end
