"""Asks the edges of a run over their command sockets; one that does not answer says nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from drills.lab.paths import Paths
from drills.prove.faults import EDGES
from drills.prove.history import History, Mirrored, Mode
from drills.prove.laws_mirrors import ASKED_S
from state.clock import Clock
from state.model import EdgeId

MODES_S = 0.3
"""How often an edge is asked by what it serves."""


class Edges:
    """All of them."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        self._paths = paths
        self._clock = clock

    async def stock(self) -> Mapping[EdgeId, Mapping[str, int]]:
        """Return what each says that it holds; empty: it did not answer."""
        found: dict[EdgeId, Mapping[str, int]] = {}
        for edge in map(EdgeId, EDGES):
            said = await self.ask(edge, "stock")
            found[edge] = {k: int(said[k]) for k in ("calls", "legs") if k in said}
        return found

    async def modes(self) -> list[str | None]:
        """Return by what each serves; None: it did not answer."""
        return [await self._mode(edge) for edge in map(EdgeId, EDGES)]

    async def watch_modes(self, history: History) -> None:
        """Note by what each edge says that it serves, when that has changed; until cancelled."""
        async with asyncio.TaskGroup() as group:
            for edge in map(EdgeId, EDGES):
                group.create_task(self._watch_mode(edge, history))

    async def _watch_mode(self, edge: EdgeId, history: History) -> None:
        known = {event.edge: event.mode for event in history.events if isinstance(event, Mode)}
        while True:
            mode = await self._mode(edge)
            if mode is not None and mode != known.get(edge):
                known[edge] = mode
                history.note(Mode(at_s=self._clock.now().mono_s, edge=edge, mode=mode))
            await asyncio.sleep(MODES_S)

    async def _mode(self, edge: EdgeId) -> str | None:
        serving: Mapping[str, str] = (await self.ask(edge, "status")).get("serving", {})
        return serving.get("mode")

    async def watch_mirrors(self, history: History) -> None:
        """Note what each edge's mirror holds, again and again; until cancelled."""
        async with asyncio.TaskGroup() as group:
            for edge in map(EdgeId, EDGES):
                group.create_task(self._watch_mirror(edge, history))

    async def _watch_mirror(self, edge: EdgeId, history: History) -> None:
        while True:
            said = await self.ask(edge, "mirror")
            if said.get("digest"):
                history.note(
                    Mirrored(
                        at_s=self._clock.now().mono_s,
                        edge=edge,
                        revision=said["revision"],
                        digest=said["digest"],
                    )
                )
            await asyncio.sleep(ASKED_S)

    async def ask(self, edge: EdgeId, command: str, within_s: float = 2.0) -> Mapping[str, Any]:
        """Ask one; nothing if it does not answer."""
        path = self._paths.of(edge[0]) / f"edge-{edge}.sock"
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(json.dumps({"cmd": command}).encode() + b"\n")
                    answer: Mapping[str, Any] = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError):
            return {}
        return answer
