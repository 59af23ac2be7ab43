"""How long the end of a run is waited for: until all is at rest, or nothing moves any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from drills.prove.asking import Edges
from drills.prove.history import History, Stock
from drills.prove.peace import PEACE_S, STILL_S, Peace
from drills.prove.people import Crowd
from drills.prove.proxy import Proxy
from drills.prove.watcher import Watcher
from drills.prove.world import QUORUM
from state import keys
from state.codec import encode
from state.memory import MemoryStore
from state.model import AgentId, EdgeId, Presence, PresenceState, Readiness, SiteId, Wish
from state.store import Put
from tests.edge.virtual_time import LoopClock, in_virtual_time

ANN = AgentId("a01")


class Lab:
    """One edge, one gate, one agent; and people who have all hung up."""

    def __init__(self, gate: str) -> None:
        self.gate = gate
        self.calls = 0
        self.callers = 0
        self.phones = {ANN: None}

    def gates(self) -> Mapping[str, str]:
        """Return the gate's state, as a proxy does."""
        return {ANN: self.gate}

    async def stock(self) -> Mapping[EdgeId, Mapping[str, int]]:
        """Return what the edge holds, as edges do."""
        return {EdgeId("a1"): {"calls": self.calls, "legs": 0}}

    async def modes(self) -> list[str | None]:
        """Return by what it serves."""
        return [QUORUM]

    async def watch_modes(self, history: History) -> None:  # noqa: ARG002 - as the real one
        """See no change."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Let nobody call any more."""

    def on_phones(self) -> Mapping[AgentId, str]:
        """Return nobody."""
        return {}

    async def stop(self) -> None:
        """End the watching."""


async def _took_s(lab: Lab, *, is_planted: bool) -> float:
    clock, history = LoopClock(), History()
    store = MemoryStore(clock)
    here = Presence(agent=ANN, site=SiteId("a"), state=PresenceState.READY, since_ms=0)
    last = Wish(agent=ANN, readiness=Readiness.READY)
    for key, value in ((keys.presence(ANN), here), (keys.wish(ANN), last)):
        await store.txn((), (Put(key=key, value=encode(value)),))
    peace = Peace(
        store=store, clock=clock, edges=cast("Edges", lab), proxies={"a": cast("Proxy", lab)}
    )
    began_s = clock.now().mono_s
    await peace.make(cast("Crowd", lab), history, cast("Watcher", lab), is_planted=is_planted)
    assert isinstance(history.events[-1], Stock)
    assert history.events[-1].gates == {ANN: lab.gate}
    return clock.now().mono_s - began_s


@in_virtual_time
async def test_a_run_at_rest_is_over_at_once() -> None:
    for is_planted in (True, False):
        assert await _took_s(Lab("idle"), is_planted=is_planted) < 1.0


@in_virtual_time
@pytest.mark.parametrize(("is_planted", "for_s"), [(True, STILL_S), (False, PEACE_S)])
async def test_what_stands_still_is_waited_for_less_long_where_a_bug_is_planted(
    *, is_planted: bool, for_s: float
) -> None:
    took_s = await _took_s(Lab("ringing"), is_planted=is_planted)
    assert for_s <= took_s < for_s + 1.0


@in_virtual_time
async def test_what_moves_is_waited_for() -> None:
    lab = Lab("ringing")
    loop = asyncio.get_running_loop()
    for at_s in (10.0, 20.0, 30.0):
        loop.call_later(at_s, setattr, lab, "calls", int(at_s))
    loop.call_later(40.0, setattr, lab, "calls", 0)
    loop.call_later(40.0, setattr, lab, "gate", "idle")
    assert 40.0 <= await _took_s(lab, is_planted=True) < 41.0
