"""Notices who has fallen silent because their line is dead, while all sites live.

Looks now and then at every talk and at everybody who waits, and asks the telephone of who has
fallen silent (`edge.acd.fallen_silent` decides). In a talk the agent's first, and the caller's only
while the agent is heard: whoever is left in silence may have nothing to say. One who has put the
other on hold, or is muted by their own word, says nothing by right. Those whose site is out of
reach cannot be asked: they are `edge.calls.leg_watch`'s.

Nor is anybody given up whose like has never answered such a question: there are carriers that pass
on no OPTIONS within a dialog, and send nothing while somebody listens. So each host is asked once
while it is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog
from msgspec import Struct, field

from edge.acd.call_events import AgentSilent, Attempt, CallerSilent, Side
from edge.acd.fallen_silent import LOOK_S, Line, Next, answered, asked, due, looked
from edge.calls.call import CallShell
from edge.media.errors import MediaError, MediaRefused
from edge.media.plan import AGENT, CALLER, Party
from edge.media.relay import Relay
from state.clock import Clock
from state.model import CallId, SiteId

log = structlog.get_logger()

PERIOD_S = 1.0
MOST_HOSTS = 10_000
"""Of which it is known that they answer; the one that was learnt first is forgotten."""
_PARTIES: dict[Side, Party] = {Side.AGENT: AGENT, Side.CALLER: CALLER}


class _Watched(Struct, kw_only=True):
    """A talk, or a caller who waits."""

    attempt: Attempt
    waits: bool
    looked_s: float
    """When it was looked at last, or begun to be watched; monotonic."""
    lines: dict[Side, Line] = field(default_factory=dict)
    hosts: dict[Side, str] = field(default_factory=dict)
    """Where the telephones are that were asked."""


class LineWatch:
    """Asks the relay about calls, and telephones about themselves."""

    def __init__(
        self,
        *,
        relay: Relay,
        clock: Clock,
        calls: Callable[[], Iterable[CallShell]],
        unreachable: Callable[[], frozenset[SiteId]],
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._calls = calls
        self._unreachable = unreachable
        self._watches: dict[CallId, _Watched] = {}
        self._answering: dict[str, None] = {}
        """The hosts that have answered, the oldest first."""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self._round()

    def take(self, call: CallId, attempt: Attempt | None, *, is_there: bool) -> None:
        """Take in whether a telephone has answered; attempt None: the caller's."""
        watched = self._watches.get(call)
        side = Side.CALLER if attempt is None else Side.AGENT
        if watched is None or attempt not in {None, watched.attempt}:
            return
        if is_there and side in watched.hosts:
            self.learn(watched.hosts[side])
        if side not in watched.lines:
            return
        watched.lines[side] = answered(watched.lines[side], is_there=is_there)
        if not is_there:
            # Nothing may have been heard since: that is looked at soon.
            watched.looked_s = 0.0

    def learn(self, host: str) -> None:
        """Take in that those at a host answer when they are asked if they are there."""
        self._answering.setdefault(host)
        if len(self._answering) > MOST_HOSTS:
            del self._answering[next(iter(self._answering))]

    async def _round(self) -> None:
        now_s = self._clock.now().mono_s
        sides = {call: of for call in self._calls() if (of := self._sides(call))}
        self._watches = {call.id: self._watched(call, now_s) for call in sides}
        for call in sides:
            if now_s - self._watches[call.id].looked_s < LOOK_S:
                continue
            try:
                packets = await self._relay.packets_from(call.id) or {}
            except MediaError as error:
                log.warning("relay_not_asked", call=call.id, error=str(error))
                if isinstance(error, MediaRefused):
                    # Of this call alone.
                    self._watches[call.id].looked_s = now_s
                    continue
                # The next would wait as long for it.
                return
            if call.id in self._watches:
                self._look(call, self._watches[call.id], packets)

    def _sides(self, call: CallShell) -> tuple[Side, ...]:
        """Return who is to be heard in a call, in the order in which they are asked."""
        if call.is_waiting:
            return (Side.CALLER,)
        site = call.talks_to
        return () if site is None or site in self._unreachable() else (Side.AGENT, Side.CALLER)

    def _watched(self, call: CallShell, now_s: float) -> _Watched:
        watched = self._watches.get(call.id)
        if watched is None or (watched.attempt, watched.waits) != (call.attempt, call.is_waiting):
            return _Watched(attempt=call.attempt, waits=call.is_waiting, looked_s=now_s)
        return watched

    def _look(self, call: CallShell, watched: _Watched, packets: Mapping[Party, int]) -> None:
        watched.looked_s = now_s = self._clock.now().mono_s
        if (call.attempt, call.is_waiting) != (watched.attempt, watched.waits):
            return
        for side in self._sides(call):
            is_known = _PARTIES[side] in packets and self._can_answer(call, side)
            if not is_known or not call.media.is_to_be_heard(side):
                watched.lines.pop(side, None)
                continue
            line = looked(watched.lines.get(side), packets[_PARTIES[side]], now_s)
            watched.lines[side] = line
            then = due(line, now_s) if self._answers(call, watched, side) else Next.NOTHING
            if then is Next.GIVE_UP:
                self._give_up(call, watched, side)
                return
            if then is Next.ASK:
                watched.lines[side] = asked(line, now_s)
                call.ask(side)
            if side is Side.AGENT and line.since_s < now_s:
                return

    def _answers(self, call: CallShell, watched: _Watched, side: Side) -> bool:
        """Tell whether their host has ever answered; ask it, once a call, if it has not."""
        host = call.host_of(side)
        if host in self._answering:
            return True
        if host and watched.hosts.get(side) != host and watched.lines[side].packets:
            watched.hosts[side] = host
            call.ask(side)
        return False

    def _can_answer(self, call: CallShell, side: Side) -> bool:
        """Tell whether their way is whole: a proxy that was frozen may say that they are gone."""
        return side is Side.AGENT or call.way_of(None) not in self._unreachable()

    def _give_up(self, call: CallShell, watched: _Watched, side: Side) -> None:
        log.warning("line_dead", call=call.id, side=side)
        self._watches.pop(call.id, None)
        if side is Side.AGENT:
            call.deliver(AgentSilent(attempt=watched.attempt))
        else:
            call.deliver(CallerSilent(attempt=watched.attempt))
