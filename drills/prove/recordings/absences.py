"""PURE. When a site's recorder was not there, and which calls nobody could have recorded for that.

A call whose record says that it was not recorded is explained only if that is true: if the recorder
of its site was away when its agent joined, or came away from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from drills.lab.process import EventKind, ProcessEvent
from edge.acd.recorded import NO_RECORDER
from state.model import CallRecord

ANSWERS_WITHIN_MS: Final = 3_000
"""So long after a recorder is back it may take until an edge has reached it again."""


class Absence(Struct, frozen=True):
    """From one moment to another, or until now. Wall time, in milliseconds."""

    began_ms: int
    ended_ms: int | None


def absences(events: Iterable[ProcessEvent], process: str, epoch_ms: float) -> tuple[Absence, ...]:
    """Return when a process was not ready; `epoch_ms` is the wall time of the events' second 0."""
    found: list[Absence] = []
    for event in events:
        if event.process != process:
            continue
        at_ms = round(epoch_ms + event.at_s * 1000)
        is_open = bool(found) and found[-1].ended_ms is None
        if event.kind in (EventKind.KILLED, EventKind.DIED) and not is_open:
            found.append(Absence(at_ms, None))
        elif event.kind is EventKind.READY and is_open:
            found[-1] = Absence(found[-1].began_ms, at_ms)
    return tuple(found)


def is_explained(record: CallRecord, gone: Iterable[Absence]) -> bool:
    """Tell whether a call could not be recorded, as its record says."""
    if record.unrecorded != NO_RECORDER or record.connected_ms is None:
        return False
    return any(
        each.began_ms <= record.ended_ms
        and (each.ended_ms is None or each.ended_ms + ANSWERS_WITHIN_MS >= record.connected_ms)
        for each in gone
    )
