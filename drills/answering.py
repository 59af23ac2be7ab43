"""How soon calls are answered: from the INVITE to the 200, as the capture has it. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median, quantiles
from typing import Final

from drills.packets import Dialled, Wire

FEWEST: Final = 200
"""So many calls, before and after each, make a 99th percentile: with fewer it is a maximum."""
WARM_UP_S: Final = 4.0
"""The first are not counted: programs of the callers start meanwhile, on the same machine."""
_NS_IN_MS: Final = 1_000_000
_MS_IN_S: Final = 1000


def answering(wire: Wire, t0_ms: int) -> dict[str, float | None]:
    """Return how soon the calls of the plan were answered, before and after the first fault."""
    before = _setups(wire.calls, None, t0_ms)
    after = _setups(wire.calls, t0_ms, None)
    return {
        "setup_before_ms": median(before) if before else None,
        "setup_after_ms": median(after) if after else None,
        "setup_max_ms": max(after) if after else None,
        "setup_delay_ms": median(after) - median(before) if before and after else None,
    }


def final_answer(wire: Wire, t0_ms: int) -> dict[str, float | None]:
    """Return how long, at most, a call waited for whatever final answer it got."""
    # Who has dialled and has no answer yet when it breaks has to get one as well. Of a call that
    # never got one the callers' telephones tell whether it was withdrawn.
    known = [
        call.final_s
        for call in wire.calls
        if call.final_s is not None and (call.final_ns or 0) >= t0_ms * _NS_IN_MS
    ]
    return {"final_answer_s": max(known) if known else None}


def short_answering(
    calls: Iterable[Dialled], t0_ms: int, healed_ms: int | None
) -> dict[str, float | None]:
    """Return the 99th percentile of short test calls, while it was broken over that before.

    A call that was not answered has no time, and is counted by itself. None where fewer than
    `FEWEST` came on either side.
    """
    known = tuple(calls)
    began_ms = min((call.invite_ns for call in known), default=0) // _NS_IN_MS
    before = _setups(known, began_ms + round(WARM_UP_S * _MS_IN_S), t0_ms)
    during = _setups(known, t0_ms, healed_ms)
    told: dict[str, float | None] = {
        "short_calls_before": len(before),
        "short_calls_during": len(during),
        "short_calls_failed": sum(call.setup_ms is None for call in known),
        "setup_p99_before_ms": _p99(before),
        "setup_p99_during_ms": _p99(during),
    }
    least, most = told["setup_p99_before_ms"], told["setup_p99_during_ms"]
    told["setup_p99_ratio"] = most / least if most is not None and least else None
    return told


def leaderless(
    calls: Iterable[Dialled], t0_ms: int, unwritten: tuple[int, int] | None
) -> dict[str, float | None]:
    """Return how much later short calls were answered while nothing could be written.

    Of those placed from the first fault until the first write after the longest stretch without
    one, and those that had no answer yet at the fault: the longest time, less what 99 of 100 took
    before. One that was never answered waited for ever.
    """
    if unwritten is None:
        return {}
    known, (_, over_ms) = tuple(calls), unwritten
    began_ms = min((call.invite_ns for call in known), default=0) // _NS_IN_MS
    usual_ms = _p99(_setups(known, began_ms + round(WARM_UP_S * _MS_IN_S), t0_ms))
    meanwhile = [
        math.inf if call.setup_ms is None else call.setup_ms
        for call in known
        if call.invite_ns <= over_ms * _NS_IN_MS
        and (call.final_ns is None or call.final_ns >= t0_ms * _NS_IN_MS)
    ]
    delay_ms = max(meanwhile) - usual_ms if meanwhile and usual_ms is not None else None
    return {"leaderless_calls": len(meanwhile), "leaderless_delay_ms": delay_ms}


def _setups(calls: Iterable[Dialled], from_ms: int | None, to_ms: int | None) -> list[float]:
    """Return the times of those that were placed between two moments, and answered."""
    return [
        setup_ms
        for call in calls
        if (from_ms is None or call.invite_ns >= from_ms * _NS_IN_MS)
        and (to_ms is None or call.invite_ns < to_ms * _NS_IN_MS)
        and (setup_ms := call.setup_ms) is not None
    ]


def _p99(values: list[float]) -> float | None:
    if len(values) < FEWEST:
        return None
    return quantiles(values, n=100, method="inclusive")[98]
