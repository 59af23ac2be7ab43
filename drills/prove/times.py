"""When what was broken, as far as a law has to be lenient. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from drills.prove.history import Broken, Event, FaultKind, Mended

FOR_EVER = float("inf")
AFTERMATH_S = 12.0
"""How long after its end a fault may still show: a lease, a grace, a telephone's patience."""
_OF_STORE = frozenset({FaultKind.KILL_ETCD, FaultKind.FREEZE_ETCD, FaultKind.SLOW_DISK})


class Span(Struct, frozen=True):
    """One fault, from its beginning to its end."""

    kind: FaultKind
    target: str
    began_s: float
    ended_s: float

    def touches(self, begin_s: float, end_s: float, *, aftermath_s: float = AFTERMATH_S) -> bool:
        """Tell whether it may show between two instants."""
        return self.began_s <= end_s and begin_s <= self.ended_s + aftermath_s


def spans(events: Sequence[Event]) -> tuple[Span, ...]:
    """Return all faults; one without an end lasts for ever."""
    open_since: dict[tuple[FaultKind, str], float] = {}
    found = []
    for event in events:
        if isinstance(event, Broken):
            open_since.setdefault((event.kind, event.target), event.at_s)
        elif isinstance(event, Mended):
            began_s = open_since.pop((event.kind, event.target), None)
            if began_s is not None:
                found.append(Span(event.kind, event.target, began_s, event.at_s))
    found += [Span(kind, target, began, FOR_EVER) for (kind, target), began in open_since.items()]
    return tuple(found)


def on_path(faults: Iterable[Span], edge: str, agent_site: str) -> list[Span]:
    """Return the faults that may keep an edge's word from a telephone, or news from the edge."""
    return [span for span in faults if _concerns(span, edge) or _concerns(span, agent_site)]


def _concerns(span: Span, name: str) -> bool:
    """Tell whether a fault is at an edge or site; what hits the store hits everybody."""
    if span.kind in _OF_STORE:
        return True
    site = name[:1]
    return site in {part[:1] for part in span.target.split(">")}
