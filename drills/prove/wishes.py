"""What the agents of a run wish to be, written as a desk does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from state import keys
from state.codec import decode, encode
from state.errors import StoreError
from state.listing import read_all
from state.model import AgentId, Readiness, Wish
from state.store import Put, Store


async def wish(store: Store, agents: Iterable[str], readiness: Readiness) -> None:
    """Let agents wish to be ready, or to pause."""
    wishes = [Wish(agent=AgentId(agent), readiness=readiness) for agent in agents]
    puts = [Put(key=keys.wish(each.agent), value=encode(each)) for each in wishes]
    if puts:
        await store.txn((), puts)


async def wish_again(store: Store) -> None:
    """Let those be ready whose last wish was a pause: it was sent before, and landed later."""
    with contextlib.suppress(StoreError):
        listing = await read_all(store, f"{keys.STATE}wish/")
        said = [decode(Wish, each.value, each.key) for each in listing.records]
        late = [each.agent for each in said if each.readiness is not Readiness.READY]
        await wish(store, late, Readiness.READY)
