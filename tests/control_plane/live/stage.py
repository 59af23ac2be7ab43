"""A shared state that the tests write as edges would, and a control plane that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from control_plane.configuration.desk import DESK
from state import keys
from state.clock import ManualClock
from state.codec import Record, encode
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorState
from state.model import (
    Agent,
    AgentId,
    CallId,
    CallRecord,
    Decision,
    Did,
    DidNumber,
    EdgeId,
    EdgeLife,
    EdgeState,
    Offer,
    OfferState,
    Outcome,
    Presence,
    PresenceState,
    Queue,
    QueueId,
    Readiness,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    TenantId,
    Ticket,
    TicketState,
    Trunk,
    TrunkId,
    Wish,
    Work,
)
from state.nesting import keys_of
from state.store import Delete, Operation, Put
from tests.control_plane.center import Center

ANNA_CALLS = "+493098765"


def call_id(number: int) -> CallId:
    """Return a call's id that one can tell from others."""
    return CallId(f"{number:024x}")


@dataclass
class Scene:
    """The shared state, and the control plane under test."""

    store: MemoryStore
    clock: ManualClock
    center: Center

    @property
    def mirror(self) -> Mirror:
        """Return what the control plane follows it by."""
        found = self.center.app[DESK].mirror
        assert found is not None
        return found

    async def write(self, *operations: Operation) -> int:
        """Do all at one revision, and wait until the control plane has seen it."""
        revision = (await self.store.txn((), operations)).revision
        if any(key.startswith(keys.STATE) for key in keys_of(operations)):
            await self.mirror.wait_until(lambda snapshot: snapshot.revision >= revision, 10)
        return revision

    async def advance(self, seconds: float) -> None:
        """Let time pass, and the control plane hear of the shared state again."""
        self.clock.advance(seconds)

        async def is_live() -> bool:
            return self.mirror.state is MirrorState.LIVE

        await eventually(is_live, "the shared state is heard of")

    async def put(self, *records: tuple[str, Record]) -> int:
        """Write records."""
        return await self.write(*(Put(key=key, value=encode(value)) for key, value in records))

    async def furnish(self) -> None:
        """Let there be sites a and b, edges, queues of two tenants, and agents."""
        await self.put(
            *(
                (keys.site(SiteId(each)), Site(id=SiteId(each), name=each.upper(), sip=f"{each}:1"))
                for each in "ab"
            ),
            *((keys.edge(EdgeId(f"{each}1")), life(each)) for each in "ab"),
            (keys.queue(QueueId("sales")), queue("sales")),
            (keys.queue(QueueId("t2.sales")), queue("t2.sales", tenant="t2")),
            (keys.did(DidNumber("100")), Did(number=DidNumber("100"), queue=QueueId("sales"))),
            (
                keys.did(DidNumber("200")),
                Did(number=DidNumber("200"), queue=QueueId("t2.sales"), tenant=TenantId("t2")),
            ),
            *agent("ann", team="north"),
            *agent("ben", team="south"),
            *agent("out", team="x", employer="x"),
            *agent("t2.zoe", team="north", tenant="t2"),
        )

    # ---- a call's life ---------------------------------------------------------------------------

    async def arrive(self, number: int, *, caller: str = ANNA_CALLS, did: str = "100") -> CallId:
        """Let somebody call and wait."""
        made = self.ticket(number, caller=caller, did=did)
        await self.put((keys.ticket(made.call), made))
        return made.call

    def ticket(self, number: int, **changes: Any) -> Ticket:  # noqa: ANN401
        """Return a ticket that waits."""
        did = changes.pop("did", "100")
        queue_ = "t2.sales" if did == "200" else "sales"
        now = self.clock.now().wall_ms
        usual: dict[str, Any] = {
            "call": call_id(number),
            "did": DidNumber(did),
            "queue": QueueId(queue_),
            "needs": (SkillNeed(skill=SkillId("talk"), level=1),),
            "priority": 0,
            "state": TicketState.QUEUED,
            "holder": EdgeId("a1"),
            "site": SiteId("a"),
            "via": SiteId("a"),
            "caller": ANNA_CALLS,
            "sip_call_id": f"sip-{number}",
            "arrived_ms": now,
            "queued_ms": now,
        }
        return Ticket(**(usual | changes))

    async def know_region(self, region: str, *tenants: str) -> None:
        """Let a trunk say how the numbers of these tenants' callers are written."""
        trunk = Trunk(
            id=TrunkId(f"in-{region.lower()}"), addresses=("198.51.100.9",), region=region,
            tenants=tuple(map(TenantId, tenants)),
        )  # fmt: skip
        await self.put((keys.trunk(trunk.id), trunk))

    async def arrive_for(self, number: int, **about: str) -> None:
        """Let somebody wait in any queue."""
        made = self.ticket(number)
        changed = msgspec.structs.replace(made, **about)
        await self.put((keys.ticket(made.call), changed))

    async def ring(self, number: int, who: str, **changes: Any) -> None:  # noqa: ANN401
        """Let an agent be rung for a call."""
        await self._offered(number, who, OfferState.RINGING, TicketState.OFFERED, **changes)

    async def connect(self, number: int, who: str, **changes: Any) -> None:  # noqa: ANN401
        """Let an agent talk with a caller."""
        now = self.clock.now().wall_ms
        await self._offered(
            number, who, OfferState.TALKING, TicketState.CONNECTED, connected_ms=now, **changes
        )

    async def _offered(
        self,
        number: int,
        who: str,
        offer: OfferState,
        state: TicketState,
        **changes: Any,  # noqa: ANN401
    ) -> None:
        agent_ = AgentId(who)
        ticket = self.ticket(number, state=state, agent=agent_, **changes)
        made = Offer(
            agent=agent_, call=ticket.call, edge=ticket.holder, state=offer,
            since_ms=self.clock.now().wall_ms,
        )  # fmt: skip
        await self.put((keys.ticket(ticket.call), ticket), (keys.offer(agent_), made))

    async def end(self, number: int, who: str = "", *, rest_s: float = 30.0, **changes: Any) -> int:  # noqa: ANN401
        """Let a call be over, and its agent wrap up; return the revision."""
        record = self.record(number, who, **changes)
        operations: list[Operation] = [Put(key=keys.ended(record.call), value=encode(record))]
        if record.call in self.mirror.snapshot.tickets:
            operations.append(Delete(key=keys.ticket(record.call)))
        if who:
            work = Work(
                agent=AgentId(who), calls=1, rest_s=rest_s, ended_ms=record.ended_ms,
            )  # fmt: skip
            operations += [
                Put(key=keys.work(AgentId(who)), value=encode(work)),
            ]
            if AgentId(who) in self.mirror.snapshot.offers:
                operations.append(Delete(key=keys.offer(AgentId(who))))
        return await self.write(*operations)

    def record(self, number: int, who: str = "", **changes: Any) -> CallRecord:  # noqa: ANN401
        """Return the record of a call that is over."""
        now, did = self.clock.now().wall_ms, changes.pop("did", "100")
        usual: dict[str, Any] = {
            "call": call_id(number),
            "did": DidNumber(did),
            "queue": QueueId("t2.sales" if did == "200" else "sales"),
            "outcome": Outcome.ANSWERED if who else Outcome.ABANDONED,
            "cause": "caller_hung_up",
            "edge": EdgeId("a1"),
            "site": SiteId("a"),
            "via": SiteId("a"),
            "sip_call_id": f"sip-{number}",
            "arrived_ms": now - 20_000,
            "queued_ms": now - 20_000,
            "connected_ms": now - 10_000 if who else None,
            "ended_ms": now,
            "agent": AgentId(who) if who else None,
            "agent_site": SiteId("a") if who else None,
            "decision": decision(who) if who else None,
        }
        return CallRecord(**(usual | changes))


def decision(who: str) -> Decision:
    """Return why an agent was chosen."""
    return Decision(
        revision=7,
        wall_ms=1_000,
        winner=AgentId(who),
        score=1.5,
        parts={"skill_fit": 1.5},
        runners_up=((AgentId("ben"), 0.5),),
        excluded={"paused": 2},
    )


def life(site: str) -> EdgeLife:
    """Return an edge that serves."""
    return EdgeLife(
        edge=EdgeId(f"{site}1"), site=SiteId(site), sip=f"{site}:2", state=EdgeState.SERVING,
        started_ms=1_000,
    )  # fmt: skip


def queue(name: str, tenant: str = "main", employer: str = "") -> Queue:
    """Return a queue that needs `talk`."""
    return Queue(
        id=QueueId(name),
        needs=(SkillNeed(skill=SkillId("talk"), level=1),),
        employer=employer,
        tenant=TenantId(tenant),
    )


def agent(
    name: str, *, team: str, employer: str = "", tenant: str = "main"
) -> tuple[tuple[str, Record], ...]:
    """Return an agent at site a who is ready."""
    who = AgentId(name)
    return (
        (
            keys.agent(who),
            Agent(
                id=who,
                name=name.title(),
                site=SiteId("a"),
                skills={SkillId("talk"): 5},
                team=team,
                employer=employer,
                tenant=TenantId(tenant),
            ),
        ),
        (
            keys.presence(who),
            Presence(agent=who, site=SiteId("a"), state=PresenceState.READY, since_ms=2_000),
        ),
        (keys.wish(who), Wish(agent=who, readiness=Readiness.READY)),
    )


async def eventually(question: Callable[[], Awaitable[Any]], what: str) -> Any:  # noqa: ANN401
    """Ask until the answer is yes, and return it."""
    async with asyncio.timeout(20):
        while True:
            if found := await question():
                return found
            await asyncio.sleep(0.02)
    raise AssertionError(what)
