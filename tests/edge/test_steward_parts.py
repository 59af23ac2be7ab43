"""An edge's care for a real Kamailio: restarted while its site was alone, and whole again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import cast

import pytest

from edge.acd.token import Token, token_of
from edge.alone.sister import Lone
from edge.duties.presence import PresenceKeeper
from edge.duties.steward import Steward
from edge.media.relay import Relay
from edge.proxy import proxy
from edge.settings import Settings
from state import keys
from state.clock import SystemClock
from state.codec import encode
from state.memory import MemoryStore
from state.mirror import Mirror
from state.model import (
    Agent,
    AgentId,
    CallId,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Readiness,
    SiteId,
    Wish,
)
from state.model import Site as SiteRecord
from state.snapshot import Delta, Snapshot
from state.store import Delete, Put
from tests.edge.virtual_time import until
from tests.kemi.phone import offer, register
from tests.kemi.sip_peer import SDP, Message, ha1_of
from tests.kemi.site import Site, running

pytestmark = pytest.mark.parts

A1, HERE, ALICE, CALL = EdgeId("a1"), SiteId("a"), AgentId("alice"), CallId("c1")
ALONE = Token(epoch=2, revision=1)
_OK, _RING_S = 200, 0.5


async def no_sister() -> Lone:
    """Tell of no other edge of the site that serves alone."""
    return Lone(merged_ago_s=inf)


class House:
    """One site's Kamailio and the parts of its edge that care for it, over a store in memory."""

    def __init__(self, kamailio: Site) -> None:
        self.kamailio = kamailio
        self.edge = kamailio.peer()
        self.phone = kamailio.peer()
        self.is_alone = False
        clock = SystemClock()
        self.store = MemoryStore(clock)
        self.mirror = Mirror(self.store, clock)
        self.keeper = PresenceKeeper(
            store=self.store,
            clock=clock,
            edge=A1,
            site=HERE,
            snapshot=lambda: self.mirror.snapshot,
            is_alone=lambda: self.is_alone,
        )
        self.steward = Steward(
            settings=Settings(
                edge=A1,
                site=HERE,
                sip=self.edge.address,
                kamailio_rpc=kamailio.rpc_socket,
                evapi=f"{kamailio.events[0]}:{kamailio.events[1]}",
                ng="direct",
                etcd=("198.18.1.10:2379",),
                run_dir=kamailio.run_dir,
                command_socket=kamailio.run_dir / "edge.sock",
            ),
            clock=clock,
            store=self.store,
            mirror=self.mirror,
            snapshot=lambda: self.mirror.snapshot,
            is_alone=lambda: self.is_alone,
            lone_sisters=no_sister,
            media=cast("Relay", None),
            unreachable=frozenset,
            keeper=self.keeper,
            on_applied=lambda _: None,
        )
        self.mirror.subscribe(self._news)

    def _news(self, _: Snapshot, deltas: tuple[Delta, ...]) -> None:
        self.steward.take({delta.kind for delta in deltas})
        self.keeper.take(deltas)

    async def configure(self) -> None:
        """Let there be one number, one queue, one agent who wants calls, and this edge."""
        life = EdgeLife(
            edge=A1, site=HERE, sip=self.edge.address, state=EdgeState.SERVING, started_ms=0
        )
        alice = Agent(id=ALICE, name="Alice", site=HERE, skills={}, ha1=ha1_of(ALICE, "pw"))
        queue = Queue(id=QueueId("q"), needs=())
        records = (
            (keys.site(HERE), SiteRecord(id=HERE, name="A", sip=f"{self.kamailio.address}:5060")),
            (keys.queue(queue.id), queue),
            (keys.did(DidNumber("4930")), Did(number=DidNumber("4930"), queue=queue.id)),
            (keys.agent(ALICE), alice),
            (keys.wish(ALICE), Wish(agent=ALICE, readiness=Readiness.READY)),
            (keys.edge(A1), life),
        )
        await self.store.txn((), [Put(key=key, value=encode(value)) for key, value in records])

    async def signed_in(self) -> None:
        """Register the agent's telephone, as it does after each restart of Kamailio."""
        answer = await asyncio.to_thread(register, self.phone, ALICE)
        assert answer.status == _OK
        await until(
            lambda: self.presence is not None and self.presence.state is PresenceState.READY,
            "the agent is ready",
        )

    @property
    def presence(self) -> Presence | None:
        """What the home site says of the agent."""
        found = self.mirror.snapshot.presences.get(ALICE)
        return None if found is None else found.value

    async def rings(self, token: Token) -> bool:
        """Offer the agent; return whether the telephone is rung, or the gate refuses."""
        call_id = offer(self.edge, ALICE, CALL, (token.epoch, token.revision))

        def is_rung() -> bool:
            for message in self.phone.messages(_RING_S):
                if (message.method, message["Call-ID"]) == ("INVITE", call_id):
                    return True
            return False

        return await asyncio.to_thread(is_rung)

    def talks(self, token: Token) -> Message:
        """Offer the agent, who answers; return what the edge hears of that."""
        offer(self.edge, ALICE, CALL, (token.epoch, token.revision))
        self.phone.respond(self.phone.wait("INVITE"), _OK, body=SDP)
        return self.edge.wait(_OK)

    def hangs_up(self, answer: Message, status: int) -> None:
        """Let the phone say BYE, which the edge answers so."""
        routes = "".join(f"Route: {each}\r\n" for each in answer.all("Record-Route"))
        self.phone.send(
            self.phone.request(
                "BYE",
                f"sip:test@{self.edge.address}",
                call_id=answer["Call-ID"],
                cseq=9,
                to_tag="t",
                headers=routes,
            )
        )
        self.edge.respond(self.edge.wait("BYE"), status)
        assert self.phone.final().status == status

    async def reserve(self, *, alone: Token | None = None) -> Token:
        """Write an offer for the agent, as a reservation does or (`alone`) a merge."""
        assert self.presence is not None
        given = Offer(
            agent=ALICE,
            call=CALL,
            edge=A1,
            state=OfferState.RINGING,
            since_ms=0,
            epoch=self.presence.epoch if alone is None else alone.epoch,
            granted=None if alone is None else alone.revision,
        )
        await self.store.txn((), (Put(key=keys.offer(ALICE), value=encode(given)),))
        await until(lambda: ALICE in self.mirror.snapshot.offers, "the mirror shows the offer")
        return token_of(self.mirror.snapshot.offers[ALICE])

    async def give_back(self) -> None:
        """Delete the offer: the agent has not answered."""
        await self.store.txn((), (Delete(key=keys.offer(ALICE)),))
        await until(lambda: ALICE not in self.mirror.snapshot.offers, "the mirror shows it")

    def gate(self) -> str:
        """Return the state of the agent's gate."""
        row = self.kamailio.row("gate", ALICE) or "0.0.idle."
        return row.split(".")[2]


@asynccontextmanager
async def house(run_dir: Path) -> AsyncIterator[House]:
    """Bring one up."""
    kamailio = Site(run_dir)
    with running(kamailio):
        made = House(kamailio)
        await made.configure()
        tasks = [
            asyncio.create_task(each)
            for each in (made.mirror.run(), made.keeper.run(), made.steward.run())
        ]
        try:
            await until(lambda: made.steward.is_in_step, "Kamailio is told, its gate is open")
            await made.signed_in()
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_agent_whose_gate_was_restarted_while_alone_is_rung_soon_after_the_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new gate is loaded with a token made alone, and nobody tells it how that offer ended."""
    for name in ("SETTLE_S", "AFTER_LOAD_S"):
        monkeypatch.setattr(proxy, name, 600.0)  # the time when all gates are looked at is far off
    async with house(tmp_path / "run") as made:
        made.is_alone = True
        assert await made.rings(ALONE)
        await asyncio.to_thread(made.kamailio.stop, signal.SIGKILL)
        await asyncio.to_thread(made.kamailio.start)
        await until(lambda: not made.steward.is_in_step, "it is a new Kamailio", within_s=5)
        assert not await made.rings(Token(epoch=2, revision=2)), "alone, nobody opens a new gate"
        assert await made.reserve(alone=ALONE) == ALONE
        made.is_alone = False
        made.steward.wake()
        await until(lambda: made.steward.is_in_step, "the gate is loaded", within_s=5)
        await made.signed_in()
        assert made.gate() == "ringing"
        await until(
            lambda: made.presence is not None and made.presence.epoch > ALONE.epoch, within_s=5
        )
        # No CANCEL comes through: the Kamailio that rang the telephone is gone.
        await made.give_back()
        if not await made.rings(await made.reserve()):
            await until(lambda: made.gate() == "idle", "the gate is freed", within_s=3)
            await made.give_back()
            assert await made.rings(await made.reserve())


@pytest.mark.parametrize("is_over", [True, False])
async def test_an_agent_whom_nobody_heard_hang_up_is_free_as_soon_as_the_store_has_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_over: bool
) -> None:
    """Their edge was killed, or stood still: nobody says BYE of that call any more."""
    for name in ("SETTLE_S", "AFTER_LOAD_S"):
        monkeypatch.setattr(proxy, name, 600.0)
    async with house(tmp_path / "run") as made:
        answer = await asyncio.to_thread(made.talks, await made.reserve())
        assert made.gate() == "talking"
        if is_over:
            await made.give_back()
        await asyncio.to_thread(made.hangs_up, answer, 481 if is_over else 500)
        if not is_over:
            assert made.gate() == "talking"
            await made.give_back()
        await until(lambda: made.gate() == "idle", "the gate is freed", within_s=3)
