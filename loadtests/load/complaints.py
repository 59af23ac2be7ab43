"""What the programs of a center logged as errors while it was loaded, and what explains it. PURE.

Their logs are JSON lines. An error is explained if a fault that the load itself made is known to
bring it about, and it was logged while that fault stood or before the center had settled after it;
every other one is a finding, and a load that has to hold without any says so by its limit on
`errors.unexplained`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from drills.fault import FaultKind
from loadtests.load.faults import Done
from state.codec import UNREADABLE

_ERRORS: Final = frozenset({"error", "critical"})
_MEDIA_GONE: Final = frozenset(
    {FaultKind.KILL, FaultKind.FREEZE, FaultKind.KILL_SITE, FaultKind.FREEZE_SITE}
)
_SITE_GONE: Final = frozenset({FaultKind.KILL_SITE, FaultKind.CUT_OFF, FaultKind.SHAPE})
_EXPLAINED: Final[Mapping[str, frozenset[FaultKind]]] = {
    "relay_dead": _MEDIA_GONE,
    "relay_forgot_calls": _MEDIA_GONE,
    "not_recorded": _MEDIA_GONE,
    "manifest_not_sent": _SITE_GONE | _MEDIA_GONE,
}
"""Which fault brings an error about: named one by one, as somebody has looked at it."""

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
    event: str
    level: str
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
                counts[program, line.event, why[:120], _is_explained(line, faults)] += 1
    return tuple(
        Complaint(program=program, event=event, why=why, count=count, explained=explained)
        for (program, event, why, explained), count in counts.most_common()
    )


def _is_explained(line: _Line, faults: Sequence[Done]) -> bool:
    kinds = _EXPLAINED.get(line.event, frozenset())
    try:
        at_ms = 1000 * datetime.fromisoformat(line.timestamp).timestamp()
    except ValueError:
        return False
    return any(
        each.fault.kind in kinds and each.from_ms <= at_ms <= each.until_ms + SETTLES_MS
        for each in faults
        if not each.problem
    )


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
    return b'"error"' in text or b'"critical"' in text


def _read(text: bytes) -> _Line | None:
    if not may_complain(text):
        return None
    try:
        return _lines.decode(text)
    except UNREADABLE:
        return None
