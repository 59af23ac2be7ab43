"""Carries the faults of a run out, and undoes each when its time is over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from drills.lab.lab import Lab
from drills.prove.faults import SITES, Fault
from drills.prove.history import Broken, FaultKind, History, Mended
from drills.prove.people import Crowd
from drills.prove.proxy import Proxy
from state.clock import Clock

WRONG_MS = 600_000
LOST, LATE_S = 0.01, 0.4
DISK_STALLS_S, DISK_WORKS_S = 0.15, 0.05
"""A member is stopped for the one and runs for the other: its disk's fsync as good as takes so
long. There is no way to slow fsync alone down without a kernel module or a debugger."""
UP_WITHIN_S = 20.0
NOTICED_S = 1.5
"""Whoever hears nothing of their edge for less does not dial again."""
_CUTS = frozenset({FaultKind.CUT, FaultKind.CUT_OFF})
_LOSES_EDGE = _CUTS | {FaultKind.KILL_EDGE, FaultKind.FREEZE_EDGE}


def _ways(source: str, sink: str) -> list[tuple[str, str]]:
    """Return the ways from a site to a site; an empty one stands for all."""
    return [
        (one, other)
        for one in SITES
        for other in SITES
        if one != other and source in {one, ""} and sink in {other, ""}
    ]


class Breaker:
    """Breaks one lab."""

    def __init__(  # noqa: PLR0913 - all that can be broken
        self,
        *,
        lab: Lab,
        proxies: dict[str, Proxy],
        crowd: Crowd,
        history: History,
        clock: Clock,
        plant: str | None,
    ) -> None:
        self._lab = lab
        self._proxies = proxies
        self._crowd = crowd
        self._history = history
        self._clock = clock
        self._said: dict[str, dict[str, Any]] = {
            edge: {"plant": plant} for site in lab.plan.sites for edge in lab.plan.edges(site)
        }

    async def run(self, faults: Sequence[Fault]) -> None:
        """Do them all; return when all are over."""
        began_s = self._clock.now().mono_s
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._one(fault, began_s + fault.at_s))

    async def _one(self, fault: Fault, at_s: float) -> None:
        await self._sleep_until(at_s)
        now_s = self._clock.now().mono_s
        self._history.note(Broken(at_s=now_s, kind=fault.kind, target=fault.target))
        if fault.for_s >= NOTICED_S and fault.kind in _LOSES_EDGE:
            is_cut = fault.kind in _CUTS
            self._crowd.edge_is_lost(fault.target[0], fault.for_s, to_others=is_cut)
        try:
            await self._break(fault)
        finally:
            now_s = self._clock.now().mono_s
            self._history.note(Mended(at_s=now_s, kind=fault.kind, target=fault.target))

    async def _break(self, fault: Fault) -> None:  # noqa: C901 - one case a kind
        supervisor, target = self._lab.supervisor, fault.target
        match fault.kind:
            case FaultKind.KILL_EDGE:
                await self._kill_edge(target, fault.for_s)
            case FaultKind.FREEZE_EDGE:
                await self._freeze(f"edge-{target}", fault.for_s)
            case FaultKind.KILL_ETCD:
                supervisor.kill(f"etcd-{target}")
                await supervisor.wait_ready(f"etcd-{target}", UP_WITHIN_S)
            case FaultKind.FREEZE_ETCD:
                await self._freeze(f"etcd-{target}", fault.for_s)
            case FaultKind.SLOW_DISK:
                await self._stutter(f"etcd-{target}", fault.for_s)
            case FaultKind.CUT | FaultKind.CUT_OFF:
                await self._cut([*_ways(target, ""), *_ways("", target)], fault.for_s)
            case FaultKind.CUT_ONE_WAY | FaultKind.CUT_OFF_ONE_WAY:
                source, _, sink = target.partition(">")
                await self._cut(_ways(source, sink), fault.for_s)
            case FaultKind.LOSE_EVENTS:
                await self._disturb(target, fault.for_s, lose=LOST)
            case FaultKind.LATE_EVENTS:
                await self._disturb(target, fault.for_s, late_s=LATE_S)
            case FaultKind.WRONG_CLOCK:
                skew_ms = WRONG_MS if int(fault.at_s) % 2 else -WRONG_MS
                await self._disturb(target, fault.for_s, skew_ms=skew_ms)
            case FaultKind.RESTART_PROXY:
                self._proxies[target].restart()
                self._crowd.proxy_restarted(target)

    async def _cut(self, ways: Sequence[tuple[str, str]], for_s: float) -> None:
        for source, sink in ways:
            self._lab.wan.cut(source, sink)
        await asyncio.sleep(for_s)
        for source, sink in ways:
            self._lab.wan.heal(source, sink)

    async def _kill_edge(self, edge: str, for_s: float) -> None:
        until_s = self._clock.now().mono_s + for_s
        self.say(edge, not_before_s=until_s)
        supervisor = self._lab.supervisor
        if supervisor.pid(f"edge-{edge}") is not None:
            supervisor.kill(f"edge-{edge}")
        await self._sleep_until(until_s)
        await supervisor.wait_ready(f"edge-{edge}", UP_WITHIN_S)

    async def _freeze(self, process: str, for_s: float) -> None:
        pid = self._lab.supervisor.pid(process)
        if pid is None:
            return
        self._lab.supervisor.freeze(process)
        try:
            await asyncio.sleep(for_s)
        finally:
            if self._lab.supervisor.pid(process) == pid:
                self._lab.supervisor.thaw(process)

    async def _stutter(self, process: str, for_s: float) -> None:
        ends_s = self._clock.now().mono_s + for_s
        while self._clock.now().mono_s < ends_s:
            await self._freeze(process, DISK_STALLS_S)
            await asyncio.sleep(DISK_WORKS_S)

    async def _disturb(self, edge: str, for_s: float, **how: float) -> None:
        self.say(edge, **how)
        await asyncio.sleep(for_s)
        self.say(edge, **dict.fromkeys(how))

    async def _sleep_until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._clock.now().mono_s))

    def say(self, edge: str, **what: object) -> None:
        """Change what the edge is told to suffer."""
        said = self._said[edge]
        said.update(what)
        path = self._lab.paths.of(edge[0]) / f"edge-{edge}.disturb"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(said))
        part.replace(path)
