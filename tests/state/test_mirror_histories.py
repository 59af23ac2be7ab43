"""A mirror ends up with what the store has, whatever the watch, the store and compaction do to it.

Its deltas, folded one after the other, are its snapshot at every turn, and so is what a snapshot
made from nothing of the same records says. On a store in memory, in virtual time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from state import keys
from state.codec import encode
from state.errors import UnavailableError
from state.memory import MemoryStore
from state.mirror import Mirror, MirrorSettings, MirrorState
from state.model import Agent, AgentId, Move, Readiness, SiteId, Wish
from state.raw import KeyValue
from state.snapshot import FIELDS, Delta, Snapshot, replace
from state.store import Delete, Put, RangeResult, WatchBatch
from tests.edge.virtual_time import LoopClock, play

QUICK = MirrorSettings(check_every_s=2.0, grace_s=0.5)
AGENTS = (AgentId("ann"), AgentId("bob"))
SITES = (SiteId("a"), SiteId("b"))
QUIET_S = 30.0
"""Long enough for some comparisons with the store."""


class Troubled(MemoryStore):
    """Loses, delays and repeats what a watch should tell, and breaks off, by chance."""

    def __init__(self, clock: LoopClock, chance: random.Random) -> None:
        super().__init__(clock)
        self.chance: random.Random | None = chance

    def happens(self, share: float) -> bool:
        """Tell whether something happens that does so often."""
        return self.chance is not None and self.chance.random() < share

    async def range(self, *args: Any, **named: Any) -> RangeResult:  # noqa: ANN401 - the store's own
        """Read, sometimes late; or be away."""
        if self.happens(0.1):
            raise UnavailableError("away")
        if self.happens(0.5):
            await asyncio.sleep(0.05)
        return await super().range(*args, **named)

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what has changed, more or less."""
        before = WatchBatch(revision=from_revision - 1, changes=())
        async with aclosing(super().watch(prefix, from_revision)) as batches:
            async for whole in batches:
                if self.happens(0.03):
                    raise UnavailableError("broken off")
                if self.happens(0.2):
                    await asyncio.sleep(0.3)
                if self.happens(0.05):
                    yield before
                before = whole
                told = tuple(each for each in whole.changes if not self.happens(0.05))
                yield WatchBatch(revision=whole.revision, changes=told)


def written(chance: random.Random) -> tuple[str, bytes]:
    """Return something to write: also what nobody can read, and what nobody knows."""
    agent, site = chance.choice(AGENTS), chance.choice(SITES)
    return chance.choice(
        (
            (keys.wish(agent), encode(Wish(agent=agent, readiness=chance.choice([*Readiness])))),
            (keys.agent(agent), encode(Agent(id=agent, name="x", site=site, skills={}))),
            (
                keys.move(agent),
                encode(Move(agent=agent, site=site, home=chance.choice(SITES), since_ms=0)),
            ),
            (
                chance.choice((keys.agent, keys.move, keys.wish))(agent),
                chance.choice((b"{", b'{"v":9}', b'{"v":8}', b"\xff")),
            ),
            ("/everline/state/novelty/x", b"%d" % chance.randrange(9)),
        )
    )


class Follower:
    """Folds the deltas, and looks at every snapshot."""

    def __init__(self) -> None:
        self.folded: Mapping[str, dict[str, object]] = {name: {} for name in FIELDS.values()}

    def take(self, snapshot: Snapshot, deltas: tuple[Delta, ...]) -> None:
        """Take in a turn of the mirror."""
        for delta in deltas:
            known = self.folded[FIELDS[delta.kind]]
            assert known.get(delta.id) == delta.before
            if delta.after is None:
                del known[delta.id]
            else:
                known[delta.id] = delta.after
        for name, known in self.folded.items():
            assert dict(getattr(snapshot, name)) == known, name
        fresh, _ = replace(Snapshot(), snapshot.raw.values(), snapshot.revision, 0.0)
        assert told(fresh) == told(snapshot)


def told(snapshot: Snapshot) -> Mapping[str, object]:
    """Return what a snapshot says, but for when this reader saw it."""
    said: dict[str, object] = {
        name: {key: (entry.value, entry.mod_revision) for key, entry in of.items()}
        for name in FIELDS.values()
        if (of := getattr(snapshot, name))
    }
    return said | {"bad": dict(snapshot.bad)}


async def _live(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    store = Troubled(LoopClock(), chance)
    mirror, follower = Mirror(store, LoopClock(), settings=QUICK), Follower()
    mirror.subscribe(follower.take)
    following = asyncio.create_task(mirror.run())
    compacted = 1
    for _ in range(chance.randint(1, 40)):
        await asyncio.sleep(chance.choice((0.0, 0.01, 0.1, 0.5)))
        some = dict(written(chance) for _ in range(chance.randint(1, 3)))
        gone = {key for key in some if chance.random() < 0.35}
        await store.txn(
            (),
            tuple(
                Delete(key=key) if key in gone else Put(key=key, value=value)
                for key, value in some.items()
            ),
        )
        newest = (await MemoryStore.range(store, keys.STATE)).revision
        if newest > compacted and chance.random() < 0.1:
            store.compact(newest)
            compacted = newest
    store.chance = None
    await asyncio.sleep(QUIET_S)
    assert mirror.counters.listener_errors == 0
    assert mirror.state is MirrorState.LIVE
    there = (await store.range(keys.STATE, prefix=True)).records
    assert _plain(mirror.snapshot.raw.values()) == _plain(there)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def _plain(records: Iterable[KeyValue]) -> Mapping[str, tuple[bytes, int, int]]:
    return {each.key: (each.value, each.create_revision, each.mod_revision) for each in records}


@settings(max_examples=25, deadline=None)
@example(50)
@given(st.integers(0, 2**32))
def test_a_mirror_has_what_the_store_has_in_the_end(seed: int) -> None:
    play(_live(seed))
