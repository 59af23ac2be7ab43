"""Notices who has fallen silent in a talk because their line is dead, while all sites live.

Looks at every talk now and then, and asks the telephone of who has fallen silent
(`edge.acd.fallen_silent` decides). The agent's first, and the caller's only while the agent is
heard: whoever is left in silence may have nothing to say. One who has put the other on hold, or is
muted by their own word, says nothing by right. Those whose site is out of reach cannot be asked:
they are `edge.calls.leg_watch`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog
from msgspec import Struct, field

from edge.acd.call_events import AgentSilent, Attempt, CallerSilent, Side
from edge.acd.fallen_silent import LOOK_S, Line, Next, answered, asked, due, looked
from edge.calls.call import CallShell
from edge.media.errors import MediaError
from edge.media.plan import AGENT, CALLER, Party
from edge.media.relay import Relay
from state.clock import Clock
from state.model import CallId, SiteId

log = structlog.get_logger()

PERIOD_S = 1.0
_PARTIES: tuple[tuple[Side, Party], ...] = ((Side.AGENT, AGENT), (Side.CALLER, CALLER))


class _Talk(Struct, kw_only=True):
    """A talk that is watched."""

    attempt: Attempt
    looked_s: float
    """When it was looked at last, or begun to be watched; monotonic."""
    lines: dict[Side, Line] = field(default_factory=dict)


class LineWatch:
    """Asks the relay about calls in talk, and telephones about themselves."""

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
        self._talks: dict[CallId, _Talk] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self._round()

    def take(self, call: CallId, attempt: Attempt | None, *, is_there: bool) -> None:
        """Take in whether a telephone has answered; attempt None: the caller's."""
        talk = self._talks.get(call)
        side = Side.CALLER if attempt is None else Side.AGENT
        if talk is None or attempt not in {None, talk.attempt} or side not in talk.lines:
            return
        talk.lines[side] = answered(talk.lines[side], is_there=is_there)
        if not is_there:
            # Nothing may have been heard since: that is looked at soon.
            talk.looked_s = 0.0

    async def _round(self) -> None:
        sites, now_s = self._unreachable(), self._clock.now().mono_s
        talking = [
            call
            for call in self._calls()
            if (site := call.talks_to) is not None and site not in sites
        ]
        talks = {call.id: self._talk(call, now_s) for call in talking}
        self._talks = talks
        for call in talking:
            if now_s - talks[call.id].looked_s < LOOK_S:
                continue
            try:
                packets = await self._relay.packets_from(call.id) or {}
            except MediaError as error:
                # The next would wait as long for it.
                log.warning("relay_not_asked", call=call.id, error=str(error))
                return
            self._look(call, talks[call.id], packets)

    def _talk(self, call: CallShell, now_s: float) -> _Talk:
        talk = self._talks.get(call.id)
        if talk is None or talk.attempt != call.attempt:
            return _Talk(attempt=call.attempt, looked_s=now_s)
        return talk

    def _look(self, call: CallShell, talk: _Talk, packets: Mapping[Party, int]) -> None:
        talk.looked_s = now_s = self._clock.now().mono_s
        if call.talks_to is None or call.attempt != talk.attempt:
            return
        for side, party in _PARTIES:
            if party not in packets or not call.media.is_to_be_heard(side):
                talk.lines.pop(side, None)
                continue
            line = talk.lines[side] = looked(talk.lines.get(side), packets[party], now_s)
            then = due(line, now_s)
            if then is Next.GIVE_UP:
                self._give_up(call, talk, side)
                return
            if then is Next.ASK and self._can_be_asked(call, side):
                talk.lines[side] = asked(line, now_s)
                call.ask(side)
            if side is Side.AGENT and line.since_s < now_s:
                return

    def _can_be_asked(self, call: CallShell, side: Side) -> bool:
        return side is Side.AGENT or call.way_of(None) not in self._unreachable()

    def _give_up(self, call: CallShell, talk: _Talk, side: Side) -> None:
        log.warning("line_dead", call=call.id, side=side)
        self._talks.pop(call.id, None)
        if side is Side.AGENT:
            call.deliver(AgentSilent(attempt=talk.attempt))
        else:
            call.deliver(CallerSilent(attempt=talk.attempt))
