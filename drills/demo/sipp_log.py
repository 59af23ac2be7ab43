"""What SIPp is told, and what its log says. PURE.

Owns the two formats that `sipp/caller.xml` defines: the injection file and the lines of the log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from drills.demo.reports import CallerReport, End
from drills.demo.scenario import Dialler, PlannedCall
from state.keys import call_id_for


class Line(Struct, frozen=True, kw_only=True):
    """One step of one call."""

    step: str
    sip_call_id: str
    number: str
    at_ms: int
    detail: str


_ENDS = {
    "bye_answered": End.HUNG_UP,
    "bye_crossed": End.HUNG_UP,
    "bye_failed": End.UNHEARD,
    "bye_received": End.FAR_END,
    "refused": End.REFUSED,
    "silence": End.SILENCE,
}


def injection(calls: Iterable[PlannedCall]) -> str:
    """Return the injection file: one line a call, times from SIPp's start."""
    lines = ["SEQUENTIAL"]
    for call in calls:
        # SIPp takes a pause that is negative for one of 24 days.
        start_ms = max(0, round(call.at_s * 1000))
        lines.append(f"{call.number};{call.did};{call.first_site};{start_ms};{call.behaviour}")
    return "\n".join(lines) + "\n"


def parse(text: str) -> tuple[Line, ...]:
    """Return the lines of the log; one that is cut short (SIPp was killed) is left out.

    SIPp writes [timestamp] as date, time and seconds since the epoch, with tabs between.
    """
    found = []
    for raw in text.splitlines():
        parts = raw.split("|", 4)
        if len(parts) != 5:  # noqa: PLR2004 - the fields of Line
            continue
        step, sip_call_id, number, stamp, detail = parts
        seconds = stamp.rpartition("\t")[2]
        try:
            at_ms = round(float(seconds) * 1000)
        except (ValueError, OverflowError):
            continue
        found.append(
            Line(
                step=step,
                sip_call_id=sip_call_id,
                number=number,
                at_ms=at_ms,
                detail=detail.strip(),
            )
        )
    return tuple(found)


def reports(lines: Iterable[Line]) -> tuple[CallerReport, ...]:
    """Return one report for each call that SIPp placed."""
    by_call: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_call[line.sip_call_id].append(line)
    return tuple(
        _report(steps) for steps in by_call.values() if any(each.step == "invite" for each in steps)
    )


def _report(steps: list[Line]) -> CallerReport:
    first = {step.step: step for step in reversed(steps)}
    invite = first["invite"]
    last = next((step for step in reversed(steps) if step.step in _ENDS), None)
    told = next((step for step in reversed(steps) if step.step == "joined"), None)
    refused = first.get("refused")
    received = first.get("bye_received")
    hung_up = first.get("hangs_up") or first.get("leaves")
    return CallerReport(
        number=invite.number,
        sip_call_id=invite.sip_call_id,
        call=call_id_for(invite.sip_call_id, invite.detail),
        dialler=Dialler.SIPP,
        invite_ms=invite.at_ms,
        ok_ms=_at(first.get("ok")),
        joined_ms=_at(first.get("joined")),
        told_ms=_at(told),
        hung_up_ms=_at(hung_up),
        ended_ms=_at(last),
        end=_ENDS[last.step] if last else End.UNFINISHED,
        status=int(refused.detail) if refused and refused.detail.isdecimal() else None,
        crossed=last is not None and last.step == "bye_crossed",
        reason=received.detail if received else "",
    )


def _at(line: Line | None) -> int | None:
    return line.at_ms if line else None
