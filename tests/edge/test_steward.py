"""What an edge learns of its site's gates when it loads them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from edge.duties.presence import PresenceKeeper
from edge.duties.steward import Steward
from edge.media.relay import Relay
from edge.settings import Settings
from state import keys
from state.clock import ManualClock
from state.codec import encode
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorState
from state.model import FIRST_EPOCH, Agent, AgentId, CallId, EdgeId, Offer, OfferState, SiteId
from state.store import Put
from tests.edge.virtual_time import in_virtual_time, until

ANN, SITE = AgentId("ann"), SiteId("a")


class Keeper:
    """Writes down which epochs it is told of."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def note_epoch(self, seen: int) -> None:
        """Be told."""
        self.seen.append(seen)


def steward_of(store: MemoryStore, mirror: Mirror, keeper: Keeper) -> Steward:
    """Return one that is not run: nobody is there whom it could tell."""
    settings = Settings(
        edge=EdgeId("a1"),
        site=SITE,
        sip="198.18.1.10:5081",
        kamailio_rpc=Path("rpc"),
        evapi="127.0.0.1:8448",
        ng="direct",
        etcd=("198.18.1.10:2379",),
        run_dir=Path("run"),
        command_socket=Path("edge.sock"),
    )
    return Steward(
        settings=settings,
        clock=ManualClock(),
        store=store,
        mirror=mirror,
        snapshot=lambda: mirror.snapshot,
        is_alone=lambda: False,
        media=cast("Relay", None),
        unreachable=frozenset,
        keeper=cast("PresenceKeeper", keeper),
        on_applied=lambda _: None,
    )


@in_virtual_time
async def test_a_gate_loaded_with_a_token_made_alone_lifts_the_tokens_of_the_store() -> None:
    clock, keeper = ManualClock(), Keeper()
    store = MemoryStore(clock)
    mirror = Mirror(store, clock)
    agent = Agent(id=ANN, name="Ann", site=SITE, skills={})
    offer = Offer(
        agent=ANN,
        call=CallId("c1"),
        edge=EdgeId("a1"),
        state=OfferState.RINGING,
        since_ms=0,
        epoch=FIRST_EPOCH + 1,
        granted=1,
    )
    await store.txn((), [Put(key=keys.agent(ANN), value=encode(agent))])
    await store.txn((), [Put(key=keys.offer(ANN), value=encode(offer))])
    following = asyncio.create_task(mirror.run())
    await until(lambda: mirror.state is MirrorState.LIVE, "the mirror is live")
    load = await steward_of(store, mirror, keeper)._to_load()  # noqa: SLF001 - what its proxy asks
    assert load.offers[ANN].token.is_alone
    assert keeper.seen == [FIRST_EPOCH + 1]
    following.cancel()
