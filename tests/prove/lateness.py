"""What happens in a play while the watch of an edge is late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from drills.prove.breaker import LATE_S
from drills.prove.history import Broken, FaultKind, Mended
from tests.prove.play import Site, Story

BEGINS_AT_S, FOR_S = 2.0, 15.0
LASTS_S = BEGINS_AT_S + FOR_S + 4.0
_KIND = FaultKind.LATE_EVENTS
_GIVES_UP, _LOOKS_S = 0.06, 0.1
"""As in a proof: of so many who wait some lose patience within two seconds."""


def a_watch_is_late(seed: int) -> Story:
    """Let what the first edge hears of the store come late, each batch after the one before.

    It falls behind by ever more: more is written than it takes in.
    """

    async def story(sites: Sequence[Site]) -> None:
        chance = Random(seed)  # noqa: S311 - a repeatable world
        late = sites[0]
        await asyncio.sleep(BEGINS_AT_S)
        late.store.late_s = LATE_S
        late.history.note(Broken(at_s=late.now().mono_s, kind=_KIND, target=late.edge))
        ends_s = late.now().mono_s + FOR_S
        while late.now().mono_s < ends_s:
            for caller in late.waiting():
                if chance.random() < _GIVES_UP * _LOOKS_S:
                    late.spawn(caller.gives_up())
            await asyncio.sleep(_LOOKS_S)
        late.store.late_s = 0.0
        late.history.note(Mended(at_s=late.now().mono_s, kind=_KIND, target=late.edge))

    return story
