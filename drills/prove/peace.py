"""The end of a run: nothing is broken any more, everybody hangs up, and what is left is counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping

from drills.prove.asking import Edges
from drills.prove.history import History, Stock, Stored
from drills.prove.people import Crowd
from drills.prove.proxy import Proxy
from drills.prove.watcher import Watcher
from drills.prove.wishes import wish, wish_again
from drills.prove.world import QUORUM
from state import keys
from state.clock import Clock
from state.errors import StoreError
from state.listing import read_all
from state.model import AgentId, PresenceState, Readiness
from state.store import Store

PEACE_S, STILL_S = 45.0, 18.0
"""How long all may take to settle after the last fault; where a bug is planted, what has not moved
for so long is taken for stuck: every agent has to be true within 15 s."""
LOOK_S = 0.3


class Peace:
    """Of one lab."""

    def __init__(
        self, *, store: Store, clock: Clock, edges: Edges, proxies: Mapping[str, Proxy]
    ) -> None:
        self._store = store
        self._clock = clock
        self._edges = edges
        self._proxies = proxies

    async def make(
        self, crowd: Crowd, history: History, watcher: Watcher, *, is_planted: bool
    ) -> None:
        """Let all calls end, give time, and take stock."""
        modes = asyncio.create_task(self._edges.watch_modes(history))
        crowd.close()
        await self._all_ready(crowd)
        await self._until_at_rest(crowd, history, STILL_S if is_planted else PEACE_S)
        await watcher.stop()
        modes.cancel()
        history.note(await self._stock(crowd))

    async def _until_at_rest(self, crowd: Crowd, history: History, still_s: float) -> None:
        stock, seen = await self._stock(crowd), len(history.events)
        ends_s, moved_s = self._now() + PEACE_S, self._now()
        while self._now() < min(ends_s, moved_s + still_s):
            if await self._is_at_rest(stock, crowd):
                return
            await wish_again(self._store)
            await asyncio.sleep(LOOK_S)
            before, stock = stock, await self._stock(crowd)
            # Edges go on writing what they see of each other.
            news = any(not isinstance(each, Stored) for each in history.events[seen:])
            if news or stock.says_other_than(before):
                moved_s = self._now()
            seen = len(history.events)

    async def _all_ready(self, crowd: Crowd) -> None:
        async with asyncio.timeout(PEACE_S):
            while True:
                with contextlib.suppress(StoreError):
                    await wish(self._store, crowd.phones, Readiness.READY)
                    return
                await asyncio.sleep(LOOK_S)

    async def _is_at_rest(self, stock: Stock, crowd: Crowd) -> bool:
        if crowd.callers or stock.phones or any(v != "idle" for v in stock.gates.values()):
            return False
        if not all(held and not any(held.values()) for held in stock.edges.values()):
            return False
        # What was done alone is nowhere but there until it is merged.
        if any(mode != QUORUM for mode in await self._edges.modes()):
            return False
        try:
            for kind in ("ticket", "offer"):
                prefix = f"{keys.STATE}{kind}/"
                if (await self._store.range(prefix, prefix=True, limit=1)).records:
                    return False
            presences = await read_all(self._store, f"{keys.STATE}presence/")
        except StoreError:
            return False
        states = {json.loads(each.value)["state"] for each in presences.records}
        return states == {PresenceState.READY}

    async def _stock(self, crowd: Crowd) -> Stock:
        gates = [proxy.gates() for proxy in self._proxies.values()]
        return Stock(
            at_s=self._now(),
            gates={AgentId(agent): state for each in gates for agent, state in each.items()},
            phones=crowd.on_phones(),
            edges=await self._edges.stock(),
        )

    def _now(self) -> float:
        return self._clock.now().mono_s
