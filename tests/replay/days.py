"""Recorded days whose truth another model tells: one line of callers, agents who are all alike.

The waits of such a line follow from Kiefer and Wolfowitz's recursion, which shares nothing with the
matcher: a caller waits until the agent who is free first is free, or leaves before.
"""

from __future__ import annotations

import random

from drills.replay.day import read_day, recorded
from edge.acd.simulation import Day
from state import keys
from state.eventlog import lines
from state.model import (
    AgentId,
    CallRecord,
    Decision,
    DidNumber,
    EdgeId,
    Now,
    Outcome,
    Queue,
    QueueId,
    SiteId,
    Strategy,
)
from tests.acd.worlds import NOW, World, call_id, needs

RING_MS = 1500
WRAP_UP_S = 5.0


def queue(**rules: object) -> Queue:
    fields = {
        "needs": needs(sales=1),
        "wrap_up_s": WRAP_UP_S,
        "strategy": Strategy.LONGEST_IDLE,
        **rules,
    }
    return Queue(id=QueueId("sales"), **fields)  # type: ignore[arg-type]


def staff(agents: int, rules: Queue) -> World:
    """Return a center with so many agents who are all alike."""
    world = World()
    world.set_queue(rules)
    world.did("4930100", "sales")
    for number in range(agents):
        world.agent(f"agent{number}", site="abc"[number % 3], sales=3)
    return world


def line_of(count: int, agents: int, seed: int, *, load: float = 0.95) -> list[CallRecord]:
    """Return what becomes of callers in one line, by the recursion."""
    chance = random.Random(seed)  # noqa: S311 - an example, no secret
    talk_s = 60.0
    every_s = (talk_s + RING_MS / 1000 + WRAP_UP_S) / agents / load
    free_ms = [0] * agents
    at_ms, told = NOW.wall_ms + 1000, []
    for number in range(1, count + 1):
        at_ms += 1 + round(chance.expovariate(1 / every_s) * 1000)
        patience_ms = round(chance.expovariate(1 / 45.0) * 1000)
        talk_ms = 1000 + round(chance.expovariate(1 / talk_s) * 1000)
        free_ms.sort()
        chosen_ms = max(at_ms, free_ms[0])
        if chosen_ms + RING_MS - at_ms >= patience_ms:
            told.append(_gone(number, at_ms, at_ms + patience_ms))
            # One whom it rang for is free again when the caller leaves.
            if chosen_ms < at_ms + patience_ms:
                free_ms[0] = at_ms + patience_ms
            continue
        ends_ms = chosen_ms + RING_MS + talk_ms
        free_ms[0] = ends_ms + round(WRAP_UP_S * 1000)
        told.append(_answered(number, at_ms, chosen_ms, ends_ms))
    return told


def day_of(world: World, records: list[CallRecord], *later: bytes) -> Day:
    """Return the day with these calls."""
    log = lines.encode(lines.begin("a1", world.snapshot, NOW)) + b"".join(later)
    return read_day(recorded(lines.read(log), records), "test")


def _record(number: int, at_ms: int, ends_ms: int, **more: object) -> CallRecord:
    return CallRecord(
        call=call_id(number),
        did=DidNumber("4930100"),
        queue=QueueId("sales"),
        edge=EdgeId("a1"),
        site=SiteId("a"),
        via=SiteId("a"),
        sip_call_id="x",
        arrived_ms=at_ms,
        queued_ms=at_ms,
        ended_ms=ends_ms,
        **more,  # type: ignore[arg-type]
    )


def _gone(number: int, at_ms: int, ends_ms: int) -> CallRecord:
    return _record(
        number,
        at_ms,
        ends_ms,
        connected_ms=None,
        outcome=Outcome.ABANDONED,
        cause="caller_hung_up",
    )


def _answered(number: int, at_ms: int, chosen_ms: int, ends_ms: int) -> CallRecord:
    decision = Decision(
        revision=1, wall_ms=chosen_ms, winner=AgentId("agent0"), score=0.0, parts={}
    )
    return _record(
        number,
        at_ms,
        ends_ms,
        connected_ms=chosen_ms + RING_MS,
        outcome=Outcome.ANSWERED,
        cause="caller_hung_up",
        agent=AgentId("agent0"),
        decision=decision,
    )


def presence_gone(world: World, name: str, at_ms: int) -> bytes:
    """Return the log's line of an agent who goes home."""
    revision = world.snapshot.revision + 1
    from state.raw import Change  # noqa: PLC0415

    gone = Change(
        key=keys.presence(AgentId(name)), value=None, create_revision=0, mod_revision=revision
    )
    return lines.encode(lines.changed(revision, (gone,), Now(mono_s=0.0, wall_ms=at_ms)))
