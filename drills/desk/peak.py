"""What came at the busiest time of the last day. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.steering.coming import coming, demand_of
from state.model import CallRecord, Ticket
from state.snapshot import Snapshot

WINDOW_S: Final = 600.0
DAY_S: Final = 24 * 3600.0


def peak_erlangs(snapshot: Snapshot, records: Iterable[CallRecord], now_ms: int) -> float:
    """Return the load of the busiest ten minutes of the last day, of all queues together.

    Ringing and wrap-up included, as `edge.steering` reckons. 0: nobody has called.
    """
    day = [each for each in records if each.arrived_ms > now_ms - DAY_S * 1000]
    ends = (now_ms - round(WINDOW_S * 1000) * back for back in range(round(DAY_S / WINDOW_S)))
    on = [entry.value for entry in snapshot.tickets.values()]
    return max((_erlangs(snapshot, day, on, end_ms) for end_ms in ends), default=0.0)


def _erlangs(snapshot: Snapshot, records: list[CallRecord], on: list[Ticket], end_ms: int) -> float:
    what = coming(records, end_ms, WINDOW_S, on=on)
    # Where the first calls came in its last moments, they are no load of a whole window.
    share = what.seconds / WINDOW_S
    return share * sum(each.erlangs for each in demand_of(what, snapshot).values())
