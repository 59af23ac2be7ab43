"""What people do in a play while an edge is frozen, as `drills.prove.people` lets them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from drills.prove.habits import BACK_S, FIRST_AGAIN_S, MOST_TIMES, ONCE_MORE_S, Habits
from drills.prove.history import Broken, FaultKind, Mended
from tests.prove.play import Caller, Site, Story

FREEZES_AT_S, FROZEN_S = 2.0, 7.5
"""A little less than a lease: what the edge has left stands all the time."""
LASTS_S = FREEZES_AT_S + FROZEN_S
_KIND = FaultKind.FREEZE_EDGE


def an_edge_freezes(seed: int, habits: Habits) -> Story:
    """Let the first edge freeze; of those who wait there some dial again at the others."""

    async def story(sites: Sequence[Site]) -> None:
        await _Redialling(Random(seed), habits, sites).run()  # noqa: S311 - a repeatable world

    return story


class _Redialling:
    def __init__(self, chance: Random, habits: Habits, sites: Sequence[Site]) -> None:
        self._chance = chance
        self._habits = habits
        self._frozen, *self._others = sites

    async def run(self) -> None:
        await asyncio.sleep(FREEZES_AT_S)
        frozen, habits = self._frozen, self._habits
        frozen.store.goes.clear()
        began = Broken(at_s=frozen.now().mono_s, kind=_KIND, target=frozen.edge)
        frozen.history.note(began)
        for site in self._others:
            site.on_served = self._has_been_served
        for caller in frozen.waiting():
            if self._chance.random() < habits.dials_again:
                last_s = min(FROZEN_S + 1.0, habits.last_again_s)
                in_s = self._chance.uniform(FIRST_AGAIN_S, last_s)
                frozen.spawn(self._dials_again(caller, in_s))
        await asyncio.sleep(FROZEN_S)
        frozen.store.goes.set()
        frozen.history.note(Mended(at_s=frozen.now().mono_s, kind=_KIND, target=frozen.edge))

    async def _dials_again(self, before: Caller, in_s: float) -> None:
        await asyncio.sleep(in_s)
        if not before.still_waits:
            return
        if self._chance.random() < self._habits.hangs_up:
            self._frozen.spawn(before.gives_up())
        caller = self._calls(before)
        if caller.times < MOST_TIMES and self._chance.random() < self._habits.once_more:
            await self._dials_again(caller, ONCE_MORE_S)

    def _has_been_served(self, caller: Caller) -> None:
        if 1 < caller.times < MOST_TIMES and self._chance.random() < self._habits.calls_back:
            self._frozen.spawn(self._calls_back(caller))

    async def _calls_back(self, before: Caller) -> None:
        await asyncio.sleep(BACK_S)
        self._calls(before)

    def _calls(self, before: Caller) -> Caller:
        return self._chance.choice(self._others).call(before)
