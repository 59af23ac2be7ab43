"""Several such edges on one store, with a configuration and agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from edge import former_life
from edge.calls.journal import Journal
from edge.sip.events import LegId
from state import keys
from state.codec import Record, decode, encode
from state.keys import Kind
from state.memory import MemoryStore
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Did,
    Offer,
    Outcome,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Site,
    SiteId,
    SkillNeed,
    Ticket,
)
from state.store import Put
from tests.edge.clearing import Clearing
from tests.edge.one_edge import (
    GREETED,
    NOWHERE,
    PAUSE_S,
    RING_S,
    SALES,
    TALKING,
    WRAP_UP_S,
    Edge,
    leaks,
)
from tests.edge.virtual_time import WALL_MS, LoopClock, settle


class Center:
    """A store, a configuration, edges."""

    def __init__(self) -> None:
        self.store = MemoryStore(LoopClock())
        self.edges: dict[str, Edge] = {}
        self.clearing = Clearing(self.store)
        """Looks when a test lets it run."""

    async def put(self, key: str, record: Record | bytes) -> None:
        """Write a record as its writer would."""
        value = record if isinstance(record, bytes) else encode(record)
        await self.store.txn((), (Put(key=key, value=value),))

    async def edge(self, name: str, run_dir: Path | None = None) -> Edge:
        """Start an edge; with `run_dir`, by the journal there, if an earlier life has left one.

        Then the relay is the one that it had.
        """
        journal = None if run_dir is None else Journal(run_dir / f"journal-{name}")
        before = None if run_dir is None else self.edges.get(name)
        media = None if before is None else before.media
        made = self.edges[name] = Edge(name, self.store, journal, media=media)
        await former_life.release_media(made.media, made.left.calls.keys())
        await made.start()
        return made

    async def next_life(self, edge: Edge, run_dir: Path) -> Edge:
        """Kill an edge, and bring it up again by the journal that it has left."""
        await edge.kill()
        return await self.edge(edge.name, run_dir)

    async def configure(self) -> None:
        """Publish two queues and three numbers, of which one leads nowhere."""
        for number, site in enumerate("ab", start=1):
            await self.put(
                keys.site(SiteId(site)),
                Site(id=SiteId(site), name=site, sip=f"198.18.{number}.10:5060"),
            )
        for name, greeting in (("sales", None), ("greeted", "hello")):
            await self.put(
                keys.queue(QueueId(name)),
                Queue(
                    id=QueueId(name),
                    needs=(SkillNeed(skill=TALKING, level=3),),
                    greeting=greeting,
                    ring_timeout_s=RING_S,
                    wrap_up_s=WRAP_UP_S,
                    no_answer_pause_s=PAUSE_S,
                ),
            )
        for number_, queue in ((SALES, "sales"), (GREETED, "greeted"), (NOWHERE, "nowhere")):
            await self.put(keys.did(number_), Did(number=number_, queue=QueueId(queue)))

    async def change_queue(self, **changes: object) -> None:
        """Let sales have other rules, and every edge know them."""
        key = keys.queue(QueueId("sales"))
        queue = decode(Queue, (await self.store.range(key)).records[0].value, key)
        await self.put(key, replace(queue, **changes))
        await settle()

    async def agent(self, name: str, *, site: str = "a") -> None:
        """Let an agent be there and ready."""
        agent, home = AgentId(name), SiteId(site)
        await self.put(
            keys.agent(agent), Agent(id=agent, name=name, site=home, skills={TALKING: 5})
        )
        await self.presence(name, PresenceState.READY, site=site)

    async def presence(self, name: str, state: PresenceState, *, site: str = "a") -> None:
        """Say what an agent's home site says."""
        agent = AgentId(name)
        await self.put(
            keys.presence(agent),
            Presence(agent=agent, site=SiteId(site), state=state, since_ms=WALL_MS),
        )

    # -- taking stock

    async def _all(self, kind: Kind, cls: type[Record]) -> list[Record]:
        listed = await self.store.range(f"{keys.ROOT}{kind.value}/", prefix=True)
        return [decode(cls, each.value, each.key) for each in listed.records]

    async def tickets(self) -> list[Ticket]:
        """Return the places taken."""
        return [each for each in await self._all(Kind.TICKET, Ticket) if isinstance(each, Ticket)]

    async def offers(self) -> list[Offer]:
        """Return who is given to whom."""
        return [each for each in await self._all(Kind.OFFER, Offer) if isinstance(each, Offer)]

    async def records(self) -> dict[CallId, CallRecord]:
        """Return the ledger."""
        found = await self._all(Kind.ENDED, CallRecord)
        return {each.call: each for each in found if isinstance(each, CallRecord)}

    async def record(self, edge: Edge, leg: LegId) -> CallRecord:
        """Return the record of a caller's call, when it is written."""
        call = edge.call_of(leg)
        for _ in range(3000):
            found = (await self.records()).get(call)
            if found is not None:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"no record of {call}")

    async def outcome(self, edge: Edge, leg: LegId) -> tuple[Outcome, str]:
        """Return how a caller's call ended, and of what, when it is written."""
        record = await self.record(edge, leg)
        return record.outcome, record.cause

    async def left(self) -> list[str]:
        """Name whatever is left of any call."""
        found = [f"ticket {each.call} {each.state}" for each in await self.tickets()]
        found += [f"offer of {each.agent}" for each in await self.offers()]
        for edge in self.edges.values():
            if edge.is_deaf:
                continue
            board = edge.switchboard
            found += [f"{edge.name}: calls {board.states()}"] if board.states() else []
            backs = edge.callbacks.stages()
            found += [f"{edge.name}: callbacks {backs}"] if backs else []
            found += [f"{edge.name}: leg {each}" for each in edge.sip.open.values()]
            found += [f"{edge.name}: media {each}" for each in await edge.media.calls()]
            found += [f"{edge.name}: {word}" for word in leaks(edge)]
        return found

    async def nothing_is_left(self, *, within_s: float = 30.0) -> None:
        """Wait until nothing is."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + within_s
        while found := await self.left():
            assert loop.time() < ends_s, found
            await asyncio.sleep(0.05)


async def everybody_leaves(made: Center) -> None:
    """Let everybody hang up; nothing may be left."""
    for _ in range(4):
        for edge in made.edges.values():
            for leg in list(edge.sip.open):
                edge.sip.hang_up(leg)
                edge.sip.decline(leg)
        await settle()
    await made.nothing_is_left()


@asynccontextmanager
async def center(*agents: str, edges: Sequence[str] = ("a1",)) -> AsyncIterator[Center]:
    """Run a center with these agents ready at site a."""
    made = Center()
    await made.configure()
    for name in agents:
        await made.agent(name)
    for name in edges:
        await made.edge(name)
    # An edge that has just begun does not know yet how often callers come to the others.
    await asyncio.sleep(1.0)
    try:
        yield made
        for edge in made.edges.values():
            assert not edge.dead_parts()
    finally:
        for edge in made.edges.values():
            await edge.kill()
