"""A site that is cut off: alone in time, and whole again in time. PURE.

What it may do meanwhile is told by the other laws: tokens rise at every gate, whoever made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.prove.history import Event, FaultKind, Mode
from drills.prove.times import Span, spans
from drills.prove.violations import Law, Violation
from drills.prove.world import QUORUM

ALONE_WITHIN_S = 9.5
"""An election and a half until nothing proves the state current any more, and 3 s."""
MERGED_WITHIN_S = 10.0
QUIET_S = 25.0
_OFF = frozenset({FaultKind.CUT_OFF, FaultKind.CUT_OFF_ONE_WAY})
_SLACK_S = 1.0
"""Modes are looked at now and then."""


def check_alone(events: Sequence[Event]) -> Iterator[Violation]:
    """Yield the sites that did not serve alone, or not long enough, or for too long.

    Judged where nothing else was broken: a site that is cut off while its etcd is killed, or whose
    edge is, has other troubles.
    """
    faults = spans(events)
    modes = [event for event in events if isinstance(event, Mode)]
    last_s = events[-1].at_s if events else 0.0
    for span in faults:
        if span.kind not in _OFF or _is_disturbed(span, faults):
            continue
        site = span.target.strip(">")
        alone_s, whole_s = span.began_s + ALONE_WITHIN_S, span.ended_s + MERGED_WITHIN_S + _SLACK_S
        for edge in sorted({each.edge for each in modes if each.edge.startswith(site)}):
            said = [each for each in modes if each.edge == edge]
            if alone_s < min(last_s, span.ended_s) and _mode_at(said, alone_s) == QUORUM:
                text = f"{edge}, {span.target} cut off for {ALONE_WITHIN_S} s"
                yield Violation(law=Law.NOT_ALONE, at_s=alone_s, text=text)
            if whole_s < last_s and (mode := _mode_at(said, whole_s)) != QUORUM:
                text = f"{edge} is {mode} {MERGED_WITHIN_S} s after it was joined again"
                yield Violation(law=Law.NOT_MERGED, at_s=whole_s, text=text)


def _is_disturbed(span: Span, faults: Sequence[Span]) -> bool:
    begin_s, end_s = span.began_s, span.ended_s + MERGED_WITHIN_S + _SLACK_S
    others = (other for other in faults if other is not span)
    return any(other.touches(begin_s, end_s, aftermath_s=QUIET_S) for other in others)


def _mode_at(said: Sequence[Mode], at_s: float) -> str:
    return next((each.mode for each in reversed(said) if each.at_s <= at_s), QUORUM)
