"""A desk on a store in memory, behind a real socket, and answers invented for its tables."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from drills.desk import path as places
from drills.desk.answers import AgentRow, EdgeRow, Health, QueueRow, Role, SiteRow, Status
from drills.desk.asks import PlaceAsk
from drills.desk.call_answers import CallRow
from drills.desk.desk import Desk, Place
from drills.desk.reception import open_desk
from drills.lab.lab import Lab
from drills.lab.plan import plan_lab
from edge.acd.agent_state import AgentState
from state import keys
from state.clock import SystemClock
from state.codec import Record, encode
from state.memory import MemoryStore
from state.model import (
    AgentId,
    CallId,
    CallRecord,
    Decision,
    DidNumber,
    EdgeId,
    Outcome,
    Presence,
    PresenceState,
    QueueId,
    SiteId,
    SkillId,
    TicketState,
)
from state.snapshot import Snapshot
from state.store import Put

LAUNCHER = 4711
NOW_MS = 1_700_000_100_000


@dataclass(slots=True)
class Switchboard:
    """Places calls that talk until they are hung up."""

    placed: list[str] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    talks: bool = False

    async def __call__(self, ask: PlaceAsk, tell: Callable[[bytes], None], /) -> None:
        """Answer at once, and end at once or never."""
        self.placed.append(ask.did)
        steps = (
            {"event": "invite", "sip_call_id": "x@y", "local_tag": "t", "wall_ms": NOW_MS},
            {"event": "answered", "wall_ms": NOW_MS + 20},
            {"event": "joined", "wall_ms": NOW_MS + 2500},
        )
        for step in steps:
            tell(json.dumps(step).encode() + b"\n")
        try:
            if self.talks:
                await asyncio.Event().wait()
            tell(json.dumps({"event": "call", "how": "hung_up", "wall_ms": NOW_MS}).encode())
        finally:
            self.hung_up.set()


@dataclass(slots=True)
class Asked:
    """A desk that can be asked, and the store behind it."""

    desk: Desk
    store: MemoryStore
    switchboard: Switchboard

    async def put(self, key: str, record: Record | bytes) -> None:
        """Write a record, or bytes that are none."""
        value = record if isinstance(record, bytes) else encode(record)
        await self.store.txn((), (Put(key=key, value=value),))

    async def fill(self, snapshot: Snapshot) -> None:
        """Write all that a snapshot holds."""
        await self.store.txn(
            (), [Put(key=raw.key, value=raw.value) for raw in snapshot.raw.values()]
        )

    async def home_follows(self, agent: str) -> None:
        """Take up every wish of an agent, as the home edge does, until cancelled."""
        async with contextlib.aclosing(self.store.watch(keys.STATE + "wish/", 1)) as batches:
            async for batch in batches:
                for change in batch.changes:
                    if change.key == keys.wish(AgentId(agent)) and change.value is not None:
                        wanted = PresenceState(json.loads(change.value)["readiness"])
                        await self.put(keys.presence(AgentId(agent)), presence(agent, "a", wanted))


def presence(agent: str, site: str, state: PresenceState) -> Presence:
    return Presence(agent=AgentId(agent), site=SiteId(site), state=state, since_ms=NOW_MS)


@contextlib.asynccontextmanager
async def opened(
    sockets: Path, monkeypatch: pytest.MonkeyPatch, launcher: int = LAUNCHER
) -> AsyncIterator[Asked]:
    """Open a desk for a lab that is planned and not up: it can answer all but `status`."""
    monkeypatch.setattr(places, "SOCKETS", sockets)
    store, switchboard = MemoryStore(SystemClock(), heartbeat_s=0.05), Switchboard()
    place = Place(launcher=launcher, kind="up")
    async with open_desk(place, Lab(plan_lab()), store, switchboard) as desk:
        yield Asked(desk, store, switchboard)


def record(call: CallId, *, decided: bool = True, **other: object) -> CallRecord:
    """Return a call of the ledger, of three seconds' waiting and four of talk."""
    decision = Decision(
        revision=52,
        wall_ms=NOW_MS + 2_500,
        winner=AgentId("bob"),
        score=1.5,
        parts={"skill_fit": 0.5, "load": 1.0, "idle": 0.0},
        runners_up=((AgentId("ann"), 1.2), (AgentId("gone"), 1.1)),
        excluded={"paused": 2, "of_a_later_version": 1},
    )
    made = CallRecord(
        call=call,
        did=DidNumber("15550100"),
        queue=QueueId("sales"),
        outcome=Outcome.ANSWERED if decided else Outcome.ABANDONED,
        cause="caller_hung_up",
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="x@y",
        arrived_ms=NOW_MS,
        queued_ms=NOW_MS + 1_000,
        connected_ms=NOW_MS + 3_000 if decided else None,
        ended_ms=NOW_MS + 7_000,
        agent=AgentId("bob") if decided else None,
        agent_site=SiteId("b") if decided else None,
        decision=decision if decided else None,
    )
    return replace(made, **other)  # fields by name


def status() -> Status:
    """Return a status in which much is wrong, with names as long as they get."""
    sites = [SiteId(letter) for letter in "abc"]
    return Status(
        lab=LAUNCHER,
        kind="demo",
        up_s=754.0,
        now_ms=NOW_MS,
        revision=123456,
        snapshot="live",
        snapshot_age_s=0.4,
        sites=tuple(_site(site) for site in sites),
        edges=tuple(_edge(f"{site}{number}") for site in sites for number in (1, 2)),
        queues=tuple(_queue(name) for name in ("orders", "german-support", "billing")),
        agents={site: dict.fromkeys(AgentState, 12) for site in sites},
        alone={},
        bad_records={"/everline/state/wish/ann": "/everline/state/wish/ann: write it anew"},
    )


def _site(site: SiteId) -> SiteRow:
    is_dead = site == "b"
    health = Health.DOWN if is_dead else Health.UP
    return SiteRow(
        site=site,
        name=site,
        address="198.18.3.10",
        is_cut_off=is_dead,
        is_draining=site == "c",
        processes={f"{name}-{site}": health for name in ("etcd", "kamailio", "rtpengine")},
        restarts=3,
        etcd={"a": Role.LEADER, "b": Role.SILENT}.get(site, Role.FOLLOWER),
        calls=120,
    )


def _edge(edge: str) -> EdgeRow:
    row = EdgeRow(edge=EdgeId(edge), site=SiteId(edge[0]), has_lease=edge != "b1", answers=False)
    if edge.startswith("b"):
        return row
    return replace(
        row,
        answers=True,
        state="draining",
        snapshot="stale",
        snapshot_age_s=12.3,
        unreachable=(SiteId("b"),),
        calls={"queued": 20, "connected": 100},
        calls_taken=12345,
        legs=240,
        media_calls=120 if edge != "c2" else None,
    )


def _queue(name: str) -> QueueRow:
    return QueueRow(
        queue=QueueId(name),
        dids=(DidNumber("15550100"),),
        needs={SkillId("orders"): 1},
        waiting=12,
        longest_s=725.0,
        ringing=3,
        talking=14,
        free=0,
    )


def agent_row(agent: str, **other: object) -> AgentRow:
    row = AgentRow(
        agent=AgentId(agent),
        name=agent,
        site=SiteId("a"),
        presence=PresenceState.READY,
        state=AgentState.READY,
        since_ms=NOW_MS - 65_000,
        calls=3,
        skills={SkillId("orders"): 9, SkillId("billing"): 3},
    )
    return replace(row, **other)  # fields by name


def call_row(call: str, **other: object) -> CallRow:
    row = CallRow(
        call=CallId(call),
        did=DidNumber("15550100"),
        queue=QueueId("german-support"),
        site=SiteId("a"),
        edge=EdgeId("a1"),
        arrived_ms=NOW_MS,
        state=TicketState.CONNECTED,
        outcome=None,
        cause="",
        waited_s=12.5,
        talked_s=3.0,
        ended_ms=None,
        agent=AgentId("carla"),
        agent_site=SiteId("c"),
    )
    return replace(row, **other)  # fields by name
