"""What the programs of a center logged as errors while it was loaded, and what explains it. PURE.

Their logs are JSON lines, ours with an event and etcd's with a message; Kamailio's and rtpengine's
are text. An error is explained if a fault that the load itself made at the program's own site is
known to bring it about, and it was logged while that fault stood or before the center had settled
after it; every other one is a finding, and a load that has to hold without any says so by its limit
on `errors.unexplained`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from drills.fault import Fault, FaultKind
from loadtests.load.faults import Done
from state.codec import UNREADABLE

_ERRORS: Final = frozenset({"error", "critical", "dpanic", "panic", "fatal"})
"""The last three are etcd's."""
_MEDIA_GONE: Final = frozenset(
    {FaultKind.KILL, FaultKind.FREEZE, FaultKind.KILL_SITE, FaultKind.FREEZE_SITE}
)
_SITE_GONE: Final = frozenset({FaultKind.KILL_SITE, FaultKind.CUT_OFF, FaultKind.SHAPE})
_OF_PROCESSES: Final = frozenset({FaultKind.KILL, FaultKind.FREEZE})
_RELAY: Final = "rtpengine-"


class _Cause(Struct, frozen=True):
    """What brings an error about."""

    kinds: frozenset[FaultKind]
    process: str = ""
    """How the name of the process begins that has to be killed or frozen for it; empty: any."""


_EXPLAINED: Final[Mapping[str, _Cause]] = {
    "relay_dead": _Cause(_MEDIA_GONE, _RELAY),
    "relay_forgot_calls": _Cause(_MEDIA_GONE, _RELAY),
    # The relay dies between an agent's joining and the copy of it that the recorder asks for.
    "call_not_recorded": _Cause(_MEDIA_GONE, _RELAY),
    "not_recorded": _Cause(_MEDIA_GONE),
    "manifest_not_sent": _Cause(_SITE_GONE | _MEDIA_GONE),
}
"""Which fault brings an error about: named one by one, as somebody has looked at it."""

_OF_KAMAILIO: Final = re.compile(
    rb"\s*\d+\(\d+\) (?P<level>[A-Z]+): (?P<module>\S+) \[[^]]*\]: (?P<event>\w+)\(\): (?P<why>.*)"
)
_WORSE: Final = frozenset({b"CRITICAL", b"ALERT", b"EMERGENCY", b"BUG"})
_OURS: Final = (b"sr_kemi_core_err", b"app_python")
"""What our routes complain of, and what Python does that runs them: by function and by module.
Other errors are of a client that hung up, or of a socket's file that is not there yet."""
_TRIED_AGAIN: Final = b"gate not opened: "
"""Our routes' own word for what is put right by the edge that hears of it."""
_DIGITS: Final = "0123456789"
_OF_RTPENGINE: Final = re.compile(rb"\[[\d.]+\] (?:CRIT|ALERT|EMERG): (?P<why>.*)")

SETTLES_MS: Final = 30_000
"""After a fault: a killed site needs half of it until it serves again, and whoever gives up a peer
that is gone does so within it (a BYE after 8 s, a relay after 3)."""


class Complaint(Struct, frozen=True, kw_only=True):
    """One kind of error of one program."""

    program: str
    event: str
    why: str
    """What else the line says of the kind: an exception's class, or a reason."""
    count: int
    explained: bool


class _Line(Struct, frozen=True):
    level: str
    event: str = ""
    msg: str = ""
    """etcd's word for the event."""
    fault: str = ""
    error: str = ""
    at: str = ""
    timestamp: str = ""


_lines: Final = msgspec.json.Decoder(_Line)


def complaints(
    logs: Mapping[str, Iterable[bytes]], faults: Sequence[Done]
) -> tuple[Complaint, ...]:
    """Return what each program complained of, the most frequent first.

    `faults`: what the load has broken. A line that does not say when it was written is explained by
    none of it.
    """
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    for program, lines in logs.items():
        for text in lines:
            line = _read(text)
            if line is not None and line.level in _ERRORS:
                why = " ".join(filter(None, (line.fault or line.error, line.at)))
                explained = _is_explained(program, line, faults)
                counts[program, line.event or line.msg, why[:120], explained] += 1
    return tuple(
        Complaint(program=program, event=event, why=why, count=count, explained=explained)
        for (program, event, why, explained), count in counts.most_common()
    )


def _is_explained(program: str, line: _Line, faults: Sequence[Done]) -> bool:
    cause = _EXPLAINED.get(line.event)
    try:
        at_ms = 1000 * datetime.fromisoformat(line.timestamp).timestamp()
    except ValueError:
        return False
    return cause is not None and any(
        _brings_about(cause, each.fault, program)
        and each.from_ms <= at_ms <= each.until_ms + SETTLES_MS
        for each in faults
        if not each.problem
    )


def _brings_about(cause: _Cause, fault: Fault, program: str) -> bool:
    if fault.kind not in cause.kinds or not _places(fault.target) & _places(program):
        return False
    return fault.kind not in _OF_PROCESSES or fault.target.startswith(cause.process)


def _places(name: str) -> frozenset[str]:
    """Return the sites that a process or a target names, as edge-a1 or a>b: they are letters."""
    parts = (part.rstrip(_DIGITS) for part in re.split(r"[->]", name))
    return frozenset(part for part in parts if len(part) == 1)


def figures(found: Iterable[Complaint], cut: Mapping[str, int]) -> dict[str, float]:
    """Return them by name. `cut`: how often lines of a program's log were lost before a look."""
    told = list(found)
    return {
        "errors.logs_cut": float(sum(cut.values())),
        "errors.all": float(sum(each.count for each in told)),
        "errors.unexplained": float(sum(each.count for each in told if not each.explained)),
    }


def may_complain(text: bytes) -> bool:
    """Tell whether to read a line is worth it: by far most are of another level."""
    return any(mark in text for mark in _MARKS)


_MARKS: Final = (
    *(f'"{level}"'.encode() for level in sorted(_ERRORS)),
    *(b" %b: " % level for level in (b"ERROR", *sorted(_WORSE), b"CRIT", b"EMERG")),
)


def _read(text: bytes) -> _Line | None:
    if not may_complain(text):
        return None
    if not text.startswith(b"{"):
        return _of_text(text)
    try:
        return _lines.decode(text)
    except UNREADABLE:
        return None


def _of_text(text: bytes) -> _Line | None:
    """Return what a line says that is no JSON; it bears no time that could be compared."""
    if found := _OF_RTPENGINE.match(text):
        return _Line("error", event="rtpengine", error=_decoded(found["why"]))
    found = _OF_KAMAILIO.match(text)
    if found is None or found["why"].startswith(_TRIED_AGAIN):
        return None
    is_ours = found["level"] == b"ERROR" and any(
        found[part].startswith(_OURS) for part in ("event", "module")
    )
    if not is_ours and found["level"] not in _WORSE:
        return None
    return _Line("error", event=_decoded(found["event"]), error=_decoded(found["why"]))


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
