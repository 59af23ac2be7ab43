"""Each edge's mirror of the store is right, or is put right within 30 s. PURE.

Edges tell a digest of what their mirror holds, and the revision at which it does. The history of
the store is complete, so what has to be held at that revision is known exactly; what is still on
its way to the edge makes no difference. A mirror that has lost events may differ for so long as it
loses some, and 30 s more: until its comparison with the store has put it right. That counts anew
from the end of whatever may keep it from comparing: the edge killed, frozen or hearing late, etcd
or a network broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.decisions import HEALED_S
from drills.prove.history import Event, FaultKind, Mirrored, Stored
from drills.prove.times import Span, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import revisions
from state import keys
from state.mirror.digest import Digest
from state.model import EdgeId

ASKED_S = 1.0
"""How often edges are asked."""
SLACK_S = 2.0
"""An edge answers within so long, and what was planted in it ends so much later."""
_OF_EDGE = frozenset(
    {
        FaultKind.KILL_EDGE,
        FaultKind.FREEZE_EDGE,
        FaultKind.LOSE_EVENTS,
        FaultKind.LATE_EVENTS,
    }
)
HARMLESS = frozenset({FaultKind.WRONG_CLOCK, FaultKind.RESTART_PROXY})
"""These keep no mirror from anything."""


def check_mirrors(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the mirrors that were wrong for too long; each once, until it is right again."""
    faults = [span for span in spans(events) if span.kind not in HARMLESS]
    due = _due(events)
    since: dict[EdgeId, float] = {}
    told: set[EdgeId] = set()
    for event in events:
        if not isinstance(event, Mirrored) or event.revision not in due:
            continue
        if event.digest == due[event.revision]:
            since.pop(event.edge, None)
            told.discard(event.edge)
            continue
        began_s = since.setdefault(event.edge, event.at_s)
        wrong_s = event.at_s - max(began_s, _kept_s(faults, event))
        if wrong_s > HEALED_S + SLACK_S and event.edge not in told:
            told.add(event.edge)
            text = f"{event.edge} is wrong about the store, {wrong_s:.1f} s after it lost an event"
            yield Violation(law=Law.NOT_HEALED, at_s=event.at_s, revision=event.revision, text=text)


def _kept_s(faults: Sequence[Span], event: Mirrored) -> float:
    """Return until when the edge may have been kept from comparing."""
    ends = (
        span.ended_s
        for span in faults
        if span.began_s <= event.at_s and (span.kind not in _OF_EDGE or span.target == event.edge)
    )
    return max(ends, default=float("-inf"))


def _due(events: Sequence[Event]) -> dict[int, str]:
    """Return what a mirror has to tell at each revision that one has told of.

    Those alone that the history is known to have reached.
    """
    wanted = sorted({event.revision for event in events if isinstance(event, Mirrored)})
    due: dict[int, str] = {}
    digest, held, place, last = Digest(), dict[str, int](), 0, 0
    for changes in revisions(events):
        while place < len(wanted) and wanted[place] < changes[0].revision:
            due[wanted[place]] = str(digest)
            place += 1
        _apply(digest, held, changes)
        last = changes[0].revision
    due.update({revision: str(digest) for revision in wanted[place:] if revision == last})
    return due


def _apply(digest: Digest, held: dict[str, int], changes: Sequence[Stored]) -> None:
    for change in changes:
        key = f"{keys.ROOT}{change.kind}/{change.id}"
        if not key.startswith(keys.STATE):
            continue
        before = held.pop(key, None)
        if before is not None:
            digest.drop(key, before)
        if change.value is not None:
            held[key] = change.revision
            digest.add(((key, change.revision),))
