"""Waits for a machine that has the time that a drill asks for, before any caller is let in."""

from __future__ import annotations

import asyncio

from drills.course import Course, End, Look, Note
from drills.drill.ground import Hands
from drills.experiment import Experiment
from drills.runner import LOOK_EVERY_S, broken
from state.clock import Clock

MACHINE_WAIT_S = 60.0


async def in_vain(
    experiment: Experiment, hands: Hands, clock: Clock, within_s: float = MACHINE_WAIT_S
) -> Course | None:
    """Wait for what a drill asks for; None: it is there. Otherwise how the wait went."""
    began_s = clock.now().mono_s
    looks: list[Look] = []
    while True:
        values = hands.machine.measure()
        missing = broken(experiment.ready, values)
        if not missing:
            return None
        looks.append(Look(at_ms=clock.now().wall_ms, values=values))
        if stopped := hands.lever.stopped_because():
            return _course(End.REFUSED, stopped, looks)
        if clock.now().mono_s - began_s >= within_s:
            why = f"not there within {within_s:.0f} s: {_told(experiment, looks)}"
            return _course(End.NOT_STEADY, why, looks)
        if len(looks) == 1:
            hands.tell(f"waits for a machine that has time: {missing}")
        await asyncio.sleep(LOOK_EVERY_S)


def _told(experiment: Experiment, looks: list[Look]) -> str:
    """Return what there was of each figure that is asked for."""
    found = []
    for figure in dict.fromkeys(bound.figure for bound in experiment.ready):
        seen = [look.values[figure] for look in looks if figure in look.values]
        there = f"was {min(seen):.1f} to {max(seen):.1f}" if seen else "was not measured"
        found.append(f"{figure} {there}")
    return "; ".join(found)


def _course(end: End, why: str, looks: list[Look]) -> Course:
    note = Note(at_ms=looks[-1].at_ms, who="runner", what=f"not begun: {why}")
    return Course(
        end=end,
        why=why,
        method=(),
        verdicts=(),
        notes=(note,),
        looks=tuple(looks),
        made=(),
        began_ms=None,
        healed_ms=None,
        back_s=None,
    )
