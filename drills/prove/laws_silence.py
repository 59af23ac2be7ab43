"""Nobody is passed over whose edge could act. PURE.

A decision may say that an edge is silent, and pass over all its callers. In the time before it,
something must have been broken that kept that edge from acting, or word of it from who decided: it
was killed or frozen, its site cut off, the store away, events of either lost or late. A wrong clock
or a restarted Kamailio excuses nothing, nor that who decided was frozen itself: it is to begin to
count anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.decisions import HEALED_S, decided_on, said_silent
from drills.prove.history import Event, FaultKind
from drills.prove.times import AFTERMATH_S, Span, on_path, spans
from drills.prove.violations import Law, Violation
from state.model import EdgeId

SILENT_S = 2.0
"""So long an edge has done nothing, at least."""
_EXCUSES_NOTHING = frozenset({FaultKind.WRONG_CLOCK, FaultKind.RESTART_PROXY})
_OF_ONE = frozenset({FaultKind.KILL_EDGE, FaultKind.FREEZE_EDGE})
_OF_EVENTS = frozenset({FaultKind.LOSE_EVENTS, FaultKind.LATE_EVENTS})


def check_silence(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the decisions that pass over the callers of an edge which nothing kept from acting."""
    faults = [span for span in spans(events) if span.kind not in _EXCUSES_NOTHING]
    for world, due in decided_on(events):
        for silent in sorted(said_silent(world, due.decision)):
            if silent != due.by and _is_excused(faults, silent, due.by, due.given_s):
                continue
            yield Violation(
                law=Law.PASSED_OVER,
                at_s=due.change.at_s,
                revision=due.decision.revision,
                text=f"{due.change.id} ({due.by}) got {due.decision.winner}, and callers of "
                f"{silent} were passed over, which nothing kept from acting",
            )


def count_passed_over(events: Sequence[Event]) -> int:
    """Return how many decisions pass over the callers of an edge."""
    return sum(bool(said_silent(world, due.decision)) for world, due in decided_on(events))


def _is_excused(faults: Sequence[Span], silent: EdgeId, by: EdgeId, at_s: float) -> bool:
    return any(
        span.touches(
            at_s - SILENT_S,
            at_s,
            aftermath_s=HEALED_S if span.kind in _OF_EVENTS else AFTERMATH_S,
        )
        for span in on_path(faults, silent, by)
        if span.kind not in _OF_ONE or span.target == silent
    )
