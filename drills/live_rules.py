"""What a drill on sites that are up can and cannot be: which are for a lab alone, and why. PURE.

Real people call there, and a test call a second: no load of the drill's own, no clocks that can be
set, no operator who plays their part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drills.experiment import Bound, Experiment

MEASURED: Final = frozenset(
    {
        "agents_ready",
        "calls_failed",
        "edges",
        "processes_down",
        "sites_serving",
        "success_share",
        "waiting",
    }
)
"""What is measured every second there."""
JUDGED: Final = frozenset(
    {
        "back_s",
        "failed",
        "final_answer_s",
        "media_rto_s",
        "rto_s",
        "test_calls",
        "ttl_overrun_s",
    }
)
"""What test calls and the faults' own times show in the end."""

LIMITS: Final = (Bound(figure="success_share", at_least=0.5),)
"""At which every drill there stops, whatever limits its file has, and without which none begins.

What is not known is within no bound: so it stops too where nobody can say how test calls fare.
"""

SYNTHETIC_ONLY = Bound(figure="real_calls", at_most=0)
"""At which a drill stops that is to touch no real caller."""


def limits(*, is_synthetic_only: bool) -> tuple[Bound, ...]:
    """Return at what a drill there stops beside what its file says."""
    return (*LIMITS, SYNTHETIC_ONLY) if is_synthetic_only else LIMITS


def only_in_a_lab_because(experiment: Experiment) -> str | None:
    """Return why a drill is none for sites that are up, and what to do instead; None: it is one."""
    name = experiment.name
    reasons = tuple(_reasons(experiment))
    if not reasons:
        return None
    instead = next((way for _, way in reasons if way), "")
    told = "; ".join(why for why, _ in reasons)
    return (
        f"{name} is not for sites that are up: {told}. Run it in a lab of its own:"
        f" ./everline drill run {name}" + (f". On sites that are up: {instead}" if instead else "")
    )


def _reasons(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield each reason, with what can be done on sites that are up in its place, or nothing."""
    load = experiment.load
    if load.burst_per_s:
        why = f"it is about {load.burst_per_s:g} calls a second, and there only test calls come"
        yield f"{why}, one a second", "./everline load flash-crowd"
    elif load.redial or load.call_back or load.may_queue:
        why = "it is about synthetic callers who wait or dial again, and there are none there"
        yield why, "./everline drill run site_killed --live"
    if experiment.controller_dies:
        yield (
            "it kills the process that carries it out, which is this command",
            "begin another drill with --live --really, and kill the command",
        )
    if experiment.aborts_after_s:
        yield (
            "it is about an operator who aborts it, and there nobody plays that part",
            "begin another drill with --live --really, and say ./everline drill abort",
        )
    if experiment.moves_clocks:
        yield "the clocks of their processes cannot be set", ""
    if experiment.slows_disks:
        yield "the disks of their members of etcd cannot be made slow", ""
    if experiment.needs_database:
        yield "there is no database over the sites whose primary could be aimed at", ""
    if not experiment.method and not load.burst_per_s:
        yield "it breaks nothing", ""
    yield from ((why, "") for why in _unmeasured(experiment))


def _unmeasured(experiment: Experiment) -> Iterator[str]:
    bounds = {"steady": experiment.steady, "stops at": experiment.abort}
    for word, found in bounds.items():
        missing = sorted({each.figure for each in found} - MEASURED)
        if missing:
            yield f"nobody measures {', '.join(missing)} there ({word})"
    if not any(each.figure in JUDGED for each in experiment.expect):
        yield "nothing of what it expects can be seen by test calls"
