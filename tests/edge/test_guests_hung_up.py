"""Who hangs up on another site's caller, whose edge is not heard, is free again alone, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast

import pytest

from edge.acd.token import Token
from edge.duties.doubted_gates import DoubtedGates
from edge.proxy.gate import GateEntry, GateState
from edge.proxy.proxy import Proxy
from state import keys
from state.codec import encode
from state.model import (
    AgentId,
    CallId,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    SiteId,
)
from state.raw import KeyValue
from state.snapshot import Snapshot, replace
from tests.edge.virtual_time import in_virtual_time

ANN, CALL = AgentId("ann"), CallId("1" * 24)
OF_STORE, ALONE = Token(epoch=1, revision=7), Token(epoch=2, revision=1)


class Gate:
    """Ann's, as the way to Kamailio tells of it."""

    def __init__(self, token: Token) -> None:
        self.token = token
        self.state = GateState.TALKING

    @property
    def is_free(self) -> bool:
        """Whether it holds nobody."""
        return self.state is GateState.IDLE

    async def gate_of(self, _: AgentId) -> GateEntry:
        """Tell what it holds."""
        return GateEntry(token=self.token, state=self.state, call=CALL)

    async def free_gate(self, _: AgentId, token: Token) -> None:
        """Free it."""
        assert token == self.token
        self.state = GateState.IDLE

    async def settle_gate(self, _: Collection[AgentId]) -> None:
        """Know of no offer for certain."""


def shown(by: str) -> Snapshot:
    """Return a state in which an edge has given Ann to a call; empty: nobody is known to have."""
    records = []
    for site in "ab":
        edge = EdgeId(f"{site}1")
        life = EdgeLife(
            edge=edge, site=SiteId(site), sip="h:1", state=EdgeState.SERVING, started_ms=0
        )
        records.append((keys.edge(edge), encode(life)))
    if by:
        offer = Offer(agent=ANN, call=CALL, edge=EdgeId(by), state=OfferState.TALKING, since_ms=0)
        records.append((keys.offer(ANN), encode(offer)))
    listed = [
        KeyValue(key=key, value=value, create_revision=1, mod_revision=1) for key, value in records
    ]
    return replace(Snapshot(), listed, 1, 0.0)[0]


@asynccontextmanager
async def looking(
    by: str, token: Token, modes: list[bool]
) -> AsyncIterator[tuple[Gate, DoubtedGates]]:
    """Let an edge of site a look after the gates; `modes`: whether it is alone."""
    gate, snapshot = Gate(token), shown(by)
    doubted = DoubtedGates(
        cast("Proxy", gate), lambda: snapshot, site=SiteId("a"), is_alone=lambda: modes[0]
    )
    running = asyncio.create_task(doubted.run())
    yield gate, doubted
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("by", "token", "is_alone", "is_freed"),
    [
        ("b1", OF_STORE, True, True),
        ("", OF_STORE, True, True),
        ("a1", OF_STORE, True, False),
        ("a1", ALONE, True, False),
        ("", ALONE, True, False),
        ("b1", OF_STORE, False, False),
    ],
    ids=[
        "of another site",
        "of nobody known",
        "of this site, from before",
        "of this site",
        "of a sister, not heard of yet",
        "while the store tells what stands",
    ],
)
@in_virtual_time
async def test_whose_goodbye_no_edge_of_another_site_heard_is_free_again(
    by: str, token: Token, *, is_alone: bool, is_freed: bool
) -> None:
    async with looking(by, token, [is_alone]) as (gate, doubted):
        doubted.goodbye_unheard(ANN)
        await asyncio.sleep(5.0)
        assert gate.is_free is is_freed


@in_virtual_time
async def test_so_is_one_who_hung_up_before_it_was_known_that_their_site_is_alone() -> None:
    modes = [False]
    async with looking("b1", OF_STORE, modes) as (gate, doubted):
        doubted.goodbye_unheard(ANN)
        await asyncio.sleep(1.0)
        assert not gate.is_free
        modes[0] = True
        doubted.note_offers()
        await asyncio.sleep(1.0)
        assert gate.is_free
