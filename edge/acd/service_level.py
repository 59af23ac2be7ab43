"""How well callers were served: each formula by name, computed from the records of calls.

Owns the definitions. Every figure comes from the stamps of the records alone, so that it is the
same after a restart or a failover. A figure without anything to count is None, never 0.

Common to all:

- calls of ours that called somebody back count as what they are, and neither as callers nor as
  service: nobody waited in them. Their handling does;
- a call is *queued* if it reached the queue; only such calls count. Its *wait* runs from then until
  an agent and the caller heard each other, or until its end;
- *answered*: an agent and the caller heard each other, however the call ended;
- *abandoned*: the caller left the queue before that. Calls that a fault cut off in the queue, or
  that were refused, are neither: they are counted as outcomes, not as service;
- a live view has calls that are on as well, and of them those count in which an agent has answered:
  they are service, and the longer agents talk the more of what was answered of late they are. What
  their handling comes to nobody knows yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import quantiles
from typing import Final

from msgspec import Struct

from edge.acd.handling import average_handling_time_s, occupancy, talk_s
from state.model import CallRecord, Outcome, QueueId, Ticket

_MS = 1000.0


class Queued(Struct, frozen=True):
    """The waits, in seconds, of the calls that count."""

    answered: tuple[float, ...]
    abandoned: tuple[float, ...]
    short_s: float | None = None
    """Who left within so long was too quick to be served; None: within the target."""

    @classmethod
    def of(
        cls,
        records: Iterable[CallRecord],
        talking: Iterable[Ticket] = (),
        short_s: float | None = None,
    ) -> Queued:
        """Sort the records; `talking`: calls that are on, and answered."""
        queued = [
            record
            for record in records
            if record.queued_ms is not None and record.callback_of is None
        ]
        return cls(
            answered=(
                *(wait_s(each) for each in queued if each.connected_ms is not None),
                *(
                    _waited_s(each.queued_ms, each.connected_ms)
                    for each in talking
                    if each.queued_ms is not None and each.connected_ms is not None
                ),
            ),
            abandoned=tuple(
                wait_s(each)
                for each in queued
                if each.connected_ms is None and each.outcome is Outcome.ABANDONED
            ),
            short_s=short_s,
        )


def wait_s(record: CallRecord) -> float:
    """Return how long the caller waited in the queue; never negative, whatever the clocks say."""
    until_ms = record.ended_ms if record.connected_ms is None else record.connected_ms
    return _waited_s(until_ms if record.queued_ms is None else record.queued_ms, until_ms)


def _waited_s(since_ms: int, until_ms: int) -> float:
    return max(0.0, (until_ms - since_ms) / _MS)


# ---- service levels, within `target_s` -----------------------------------------------------------


def answered_in_time_of_answered(queued: Queued, target_s: float) -> float | None:
    """Return answered in time / answered. Asterisk's `ServicelevelPerf` (queues.conf.sample)."""
    return _share(_within(queued.answered, target_s), len(queued.answered))


def ended_in_time_of_all(queued: Queued, target_s: float) -> float | None:
    """Return (answered in time + abandoned in time) / (answered + abandoned).

    Asterisk's `ServicelevelPerf2` (queues.conf.sample).
    """
    in_time = _within(queued.answered, target_s) + _within(queued.abandoned, target_s)
    return _share(in_time, len(queued.answered) + len(queued.abandoned))


def answered_in_time_of_all(queued: Queued, target_s: float) -> float | None:
    """Return answered in time / (answered + abandoned). Genesys Cloud's with abandons included."""
    return _share(_within(queued.answered, target_s), len(queued.answered) + len(queued.abandoned))


def answered_in_time_short_abandons_out(queued: Queued, target_s: float) -> float | None:
    """Return answered in time / (answered + abandoned, but for short abandons).

    Genesys Cloud's with short abandons excluded. Short is what left within `short_s`, which has
    nothing to do with the target; where none is given, within the target.
    """
    short_s = target_s if queued.short_s is None else queued.short_s
    late = len(queued.abandoned) - _within(queued.abandoned, short_s)
    return _share(_within(queued.answered, target_s), len(queued.answered) + late)


SERVICE_LEVELS: Final[Mapping[str, Callable[[Queued, float], float | None]]] = {
    "answered_in_time_of_answered": answered_in_time_of_answered,
    "ended_in_time_of_all": ended_in_time_of_all,
    "answered_in_time_of_all": answered_in_time_of_all,
    "answered_in_time_short_abandons_out": answered_in_time_short_abandons_out,
}
"""By name, for reports and settings."""


# ---- the others ----------------------------------------------------------------------------------


def average_speed_of_answer_s(queued: Queued) -> float | None:
    """Return the mean wait of answered calls (ASA), in seconds."""
    return _share(sum(queued.answered), len(queued.answered))


def abandon_rate(queued: Queued) -> float | None:
    """Return abandoned / (answered + abandoned)."""
    return _share(len(queued.abandoned), len(queued.answered) + len(queued.abandoned))


def hold_share(records: Iterable[CallRecord]) -> float | None:
    """Return the share of talking time for which agents had their callers on hold."""
    known = tuple(records)
    return _share(sum(each.held_s for each in known), sum(talk_s(each) for each in known))


# ---- all of them ---------------------------------------------------------------------------------


class Figures(Struct, frozen=True, kw_only=True):
    """Of one queue in one interval. None: nothing to count."""

    calls: int
    answered: int
    abandoned: int
    short_abandoned: int
    """Of these, who left within the threshold of short abandons."""
    turned_away: int
    lost: int
    service_level: Mapping[str, float | None]
    """Each form by its name; see `SERVICE_LEVELS`."""
    asa_s: float | None
    wait_p50_s: float | None
    wait_p95_s: float | None
    """Of the answered and the abandoned alike."""
    abandon_rate: float | None
    aht_s: float | None
    """`edge.acd.handling` has the formula, and the next one's."""
    occupancy: float | None
    holds: int
    """How often agents put callers on hold."""
    hold_share: float | None
    """Of the time talked."""
    callbacks: int
    """How often somebody was called back, or to be."""
    callbacks_reached: int
    """How often they and an agent talked then."""


def figures(
    records: Iterable[CallRecord],
    target_s: float,
    queue_wrap_up_s: Mapping[QueueId, float],
    *,
    on: Iterable[Ticket] = (),
    short_s: float | None = None,
) -> Figures:
    """Return the figures of some calls. `on`: of a live view, those that are not over.

    `queue_wrap_up_s`: for records that do not tell. `short_s`: see `Queued`.
    """
    known = tuple(records)
    callers = tuple(record for record in known if record.callback_of is None)
    backs = tuple(record for record in known if record.callback_of is not None)
    talking = [e for e in on if e.connected_ms is not None and e.callback_of is None]
    queued = Queued.of(callers, talking, short_s)
    waits = (*queued.answered, *queued.abandoned)
    return Figures(
        calls=len(callers) + len(talking),
        answered=len(queued.answered),
        abandoned=len(queued.abandoned),
        short_abandoned=_within(queued.abandoned, target_s if short_s is None else short_s),
        turned_away=sum(r.outcome in {Outcome.REFUSED, Outcome.CALLBACK} for r in callers),
        lost=sum(r.outcome is Outcome.LOST for r in callers),
        service_level={name: of(queued, target_s) for name, of in SERVICE_LEVELS.items()},
        asa_s=average_speed_of_answer_s(queued),
        wait_p50_s=percentile(waits, 50),
        wait_p95_s=percentile(waits, 95),
        abandon_rate=abandon_rate(queued),
        aht_s=average_handling_time_s(known, queue_wrap_up_s),
        occupancy=occupancy(known, queue_wrap_up_s),
        holds=sum(record.holds for record in known),
        hold_share=hold_share(known),
        callbacks=len(backs),
        callbacks_reached=sum(record.connected_ms is not None for record in backs),
    )


def percentile(values: Iterable[float], percent: int) -> float | None:
    """Return a percentile, between values in proportion; None: there are no values."""
    known = sorted(values)
    if len(known) <= 1:
        return known[0] if known else None
    return quantiles(known, n=100, method="inclusive")[percent - 1]


def _within(waits: tuple[float, ...], target_s: float) -> int:
    return sum(wait <= target_s for wait in waits)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
