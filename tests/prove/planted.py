"""Starts an edge that can be disturbed, and in which a bug may be planted. Run by path.

    python tests/prove/planted.py --config EDGE.toml

It is `python -m edge`, with what `EDGE.disturb` beside its configuration says: a bug to plant, an
instant before which it does not start, and, looked at again and again, a wrong wall clock and watch
events that come late or never. So the product has no switch for any of it.
"""

# ruff: noqa: E402 - only by then it is known which `tests` is meant

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import types
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
# Packages of others are called `tests` too: this one is meant.
sys.modules["tests"] = ours = types.ModuleType("tests")
ours.__path__ = [str(ROOT / "tests")]

from edge.acd.rivals import Rivals
from edge.media.direct import DirectMedia
from edge.media.plan import AGENT, Party
from edge.program import main
from state.clock import SystemClock
from state.etcd import EtcdStore
from state.model import Now
from state.store import WatchBatch
from tests.prove.bugs import BUGS
from tests.prove.replacing import put_in

Join = Callable[..., Coroutine[Any, Any, bytes]]
LOOK_S = 0.2
_AT_ONCE = 0.5
"""Of so many who come, the edge tries to reserve an agent before anybody has seen them."""


class Disturbance:
    """What the file says, never older than LOOK_S."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_s = 0.0
        self._said: dict[str, Any] = {}

    def get(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return what is said under a name; None: nothing."""
        now_s = time.monotonic()
        if now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            try:
                self._said = json.loads(self._path.read_text())
            except (OSError, ValueError):
                self._said = {}
        return self._said.get(name)

    def plant(self) -> None:
        """Disturb this process from now on."""
        chance = random.Random(time.monotonic_ns())  # noqa: S311 - no secret
        now, watch = SystemClock.now, EtcdStore.watch

        def wrong_now(clock: SystemClock) -> Now:
            true = now(clock)
            return replace(true, wall_ms=true.wall_ms + int(self.get("skew_ms") or 0))

        async def bad_watch(
            store: EtcdStore, prefix: str, from_revision: int
        ) -> AsyncGenerator[WatchBatch, None]:
            async for batch in watch(store, prefix, from_revision):
                late_s = self.get("late_s")
                if late_s and batch.changes:
                    await asyncio.sleep(chance.uniform(0.0, late_s))
                share = self.get("lose") or 0.0
                kept = tuple(each for each in batch.changes if chance.random() >= share)
                yield replace(batch, changes=kept)

        def few_at_times(_rivals: Rivals, _now_s: float) -> bool:
            # A proof's edges have many rivals, and both ways to an agent are to be proved.
            return chance.random() < _AT_ONCE

        put_in(Rivals, "are_few", few_at_times)
        put_in(DirectMedia, "join", joining_known(DirectMedia.join))
        put_in(DirectMedia, "has", always)
        put_in(SystemClock, "now", wrong_now)
        put_in(EtcdStore, "watch", bad_watch)


# -- a relay that outlives the edge, as rtpengine does


def joining_known(join: Join) -> Join:
    """Let a call that the former life of this edge has answered be known."""

    async def mutated(
        media: DirectMedia, call: str, agent_sdp: bytes, *, agent: Party = AGENT
    ) -> bytes:
        media._callers.setdefault(call, agent_sdp)  # noqa: SLF001 - the former life's, lost with it
        return await join(media, call, agent_sdp, agent=agent)

    return mutated


async def always(_media: DirectMedia, _call: str) -> bool:
    """Have every call."""
    return True


def begin() -> int:
    """Wait until it is time, plant, and be the edge."""
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    disturbance = Disturbance(config.with_suffix(".disturb"))
    while (disturbance.get("not_before_s") or 0.0) > time.monotonic():
        time.sleep(LOOK_S / 4)
    bug = disturbance.get("plant")
    if bug:
        BUGS[bug]()
    disturbance.plant()
    return main()


if __name__ == "__main__":
    sys.exit(begin())
