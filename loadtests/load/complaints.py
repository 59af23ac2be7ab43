"""What the programs of a center logged as errors while it was loaded, and what explains it. PURE.

Their logs are JSON lines. An error is explained if a fault that the load itself made is known to
bring it about; every other one is a finding, and a load that has to hold without any says so by its
limit on `errors.unexplained`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from drills.experiment import FaultKind
from state.codec import UNREADABLE

_ERRORS: Final = frozenset({"error", "critical"})
_MEDIA_GONE: Final = frozenset({FaultKind.KILL, FaultKind.FREEZE, FaultKind.KILL_SITE})
_SITE_GONE: Final = frozenset({FaultKind.KILL_SITE, FaultKind.CUT_OFF, FaultKind.SHAPE})
_EXPLAINED: Final[Mapping[str, frozenset[FaultKind]]] = {
    "relay_dead": _MEDIA_GONE,
    "relay_forgot_calls": _MEDIA_GONE,
    "not_recorded": _MEDIA_GONE,
    "manifest_not_sent": _SITE_GONE | _MEDIA_GONE,
}
"""Which fault brings an error about: named one by one, as somebody has looked at it."""


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


_lines: Final = msgspec.json.Decoder(_Line)


def complaints(
    logs: Mapping[str, Iterable[bytes]], faults: Collection[FaultKind]
) -> tuple[Complaint, ...]:
    """Return what each program complained of, the most frequent first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for program, lines in logs.items():
        for text in lines:
            line = _read(text)
            if line is not None and line.level in _ERRORS:
                why = " ".join(filter(None, (line.fault or line.error, line.at)))
                counts[program, line.event, why[:120]] += 1
    return tuple(
        Complaint(
            program=program,
            event=event,
            why=why,
            count=count,
            explained=not _EXPLAINED.get(event, frozenset()).isdisjoint(faults),
        )
        for (program, event, why), count in counts.most_common()
    )


def figures(found: Iterable[Complaint]) -> dict[str, float]:
    """Return them by name."""
    told = list(found)
    return {
        "errors.all": float(sum(each.count for each in told)),
        "errors.unexplained": float(sum(each.count for each in told if not each.explained)),
    }


def _read(text: bytes) -> _Line | None:
    # By far most lines are of another level: look before reading.
    if b'"error"' not in text and b'"critical"' not in text:
        return None
    try:
        return _lines.decode(text)
    except UNREADABLE:
        return None
