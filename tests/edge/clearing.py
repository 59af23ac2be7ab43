"""A control plane, as far as edges know of it: it looks whether who is to be called back may be."""

from __future__ import annotations

import asyncio
from collections import Counter

from state import keys
from state.codec import decode, encode
from state.memory import MemoryStore
from state.model import Clearance, Place
from state.store import ModIs, Put

EVERY_S = 0.1


class Clearing:
    """Looks at each version of each place once, in the store itself."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.is_away = False
        self.refusing: frozenset[str] = frozenset()
        """Numbers of customers who said no."""
        self.cleared: Counter[str] = Counter()
        """How often each number was: once for each version of a place."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            if not self.is_away:
                await self._look()

    async def _look(self) -> None:
        listed = await self._store.range(keys.PLACE, prefix=True)
        for each in listed.records:
            place = decode(Place, each.value, each.key)
            key = keys.clearance(place.call)
            held = (await self._store.range(key)).records
            is_said = any(
                decode(Clearance, it.value, key).place == each.mod_revision for it in held
            )
            if place.due_s is None or is_said:
                continue
            may_call = place.caller not in self.refusing
            told = Clearance(call=place.call, place=each.mod_revision, may_call=may_call)
            same = ModIs(key=each.key, mod_revision=each.mod_revision)
            written = await self._store.txn((same,), (Put(key=key, value=encode(told)),))
            if written.succeeded and may_call:
                self.cleared[place.caller] += 1
