"""Watches the center from outside while the demo runs, and notes when who noticed what.

Three witnesses: a watch of the shared state from its first revision, the etcd members' own word on
who leads, and the carrier's dispatcher. Nothing here acts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from drills.demo.failover import Detector, Sighting
from drills.demo.history import Seen
from drills.lab.lab import Lab
from state import keys
from state.clock import Clock
from state.errors import StoreError, UnavailableError
from state.model import SiteId
from state.raw import Change
from state.store import Store

LOOK_EVERY_S = 0.05
ANSWER_TIMEOUT_S = 0.5


class Observer:
    """Keeps all that it has seen, in order."""

    def __init__(self, *, store: Store, clock: Clock, on_seen: Callable[[Seen], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_seen = on_seen
        self._seen: list[Seen] = []
        self._watching: asyncio.Task[None] | None = None

    @property
    def seen(self) -> list[Seen]:
        """All of it. StoreError if the watch has ended by itself: there may have been more.

        Who reckons from a history that is cut short finds fewer faults than there were.
        """
        if self._watching is not None and self._watching.done():
            error = None if self._watching.cancelled() else self._watching.exception()
            if error is not None:
                raise StoreError(
                    f"the history of the shared state is not whole, as its watch ended: {error!r}"
                ) from error
        return self._seen

    def begin(self) -> asyncio.Task[None]:
        """Watch from the first revision on."""
        self._watching = asyncio.create_task(self.watch(1))
        return self._watching

    async def watch(self, from_revision: int) -> None:
        """Watch the shared state until cancelled; no change is missed, whichever member dies."""
        while True:
            try:
                async with contextlib.aclosing(
                    self._store.watch(keys.STATE, from_revision)
                ) as batches:
                    async for batch in batches:
                        self._take(batch.changes)
                        from_revision = batch.revision + 1
            except UnavailableError:
                # No quorum for a moment: the watch goes on where it was.
                await asyncio.sleep(LOOK_EVERY_S)

    def begin_anew(self) -> None:
        """Forget how things came to be as they stand, and keep how they stand."""
        last = {each.change.key: each for each in self.seen}
        self._seen[:] = [
            each
            for each in self._seen
            if each is last[each.change.key] and each.change.value is not None
        ]

    def _take(self, changes: Iterable[Change]) -> None:
        at_ms = self._clock.now().wall_ms
        for change in changes:
            each = Seen(at_ms=at_ms, change=change)
            self._seen.append(each)
            self._on_seen(each)


async def await_leader(lab: Lab, clock: Clock, dead: SiteId) -> Sighting:
    """Return when another site's etcd member led."""
    while True:
        leader = await lab.etcd_leader_site()
        if leader is not None and leader != dead:
            what = f"the member at {leader} leads"
            return Sighting(
                at_ms=clock.now().wall_ms, who="etcd", what=what, detected_by=Detector.ETCD
            )
        await asyncio.sleep(LOOK_EVERY_S)


async def await_carrier(rpc: Path, clock: Clock, address: str) -> Sighting:
    """Return when the carrier's dispatcher had taken the site at `address` out."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            if is_out(await _ask(rpc, "dispatcher.list"), address):
                return Sighting(
                    at_ms=clock.now().wall_ms,
                    who="carrier",
                    what="sends no more calls there",
                    detected_by=Detector.CARRIER,
                )
        await asyncio.sleep(LOOK_EVERY_S)


async def sites_out(rpc: Path, addresses: Mapping[SiteId, str]) -> frozenset[SiteId]:
    """Return the sites that the carrier's dispatcher has taken out; none where it does not say."""
    try:
        answer = await _ask(rpc, "dispatcher.list")
    except (OSError, ValueError):
        return frozenset()
    return frozenset(site for site, address in addresses.items() if is_out(answer, address))


def is_out(answer: object, address: str) -> bool:
    """Tell whether a `dispatcher.list` has every entry of `address` inactive or disabled."""
    flags = [
        str(entry["FLAGS"]) for entry in _destinations(answer) if f"{address}:" in str(entry["URI"])
    ]
    return bool(flags) and all(each[:1] in {"I", "D"} for each in flags)


def _destinations(node: object) -> list[dict[str, object]]:
    """Find the DEST records at whatever depth Kamailio's answer has them."""
    if isinstance(node, dict):
        if "URI" in node and "FLAGS" in node:
            return [node]
        return [found for value in node.values() for found in _destinations(value)]
    if isinstance(node, list):
        return [found for value in node for found in _destinations(value)]
    return []


async def _ask(rpc: Path, method: str) -> object:
    """Ask a Kamailio over its RPC socket; OSError when it does not answer.

    Ours has a path, as abstract names end at the border of a network namespace; and it is not
    connected, as Kamailio answers from another socket than the one it listens on.
    """
    own = rpc.with_name(f"{rpc.name}.observer")
    own.unlink(missing_ok=True)
    question = json.dumps({"jsonrpc": "2.0", "method": method, "id": 1}).encode()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.setblocking(False)  # noqa: FBT003 - its only parameter
        asker.bind(str(own))
        await loop.sock_sendto(asker, question, str(rpc))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await loop.sock_recv(asker, 1 << 18)
    found: object = json.loads(answer)
    return found
