"""Notices who has fallen silent because their line is dead, while all sites live.

Looks now and then at every talk and at everybody who waits, and asks the telephone of who has
fallen silent (`edge.acd.fallen_silent` decides; `edge.acd.answering_hosts`, whether that tells
anything). In a talk the agent's first, and the caller's only while the agent is heard, or silent by
right: whoever is left in silence may have nothing to say. Those whose site is out of reach cannot
be asked: they are `edge.calls.leg_watch`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from msgspec import Struct, field

from edge.acd.answering_hosts import AnsweringHosts
from edge.acd.call_events import AgentSilent, Attempt, CallerSilent, Side
from edge.acd.fallen_silent import LOOK_S, Line, Next, answered, asked, is_missing, looked, tried
from edge.calls.call import CallShell
from edge.calls.lookout import PERIOD_S, Lookout
from edge.media.plan import AGENT, CALLER, Party
from state.model import CallId

log = structlog.get_logger()

_PARTIES: dict[Side, Party] = {Side.AGENT: AGENT, Side.CALLER: CALLER}


class _Watched(Struct, kw_only=True):
    """A talk, or a caller who waits."""

    attempt: Attempt
    waits: bool
    looked_s: float
    """When it was looked at last, or begun to be watched; monotonic."""
    lines: dict[Side, Line] = field(default_factory=dict)


class LineWatch:
    """Asks the relay about calls, and telephones about themselves."""

    def __init__(self, lookout: Lookout, hosts: AnsweringHosts) -> None:
        self._lookout = lookout
        self._hosts = hosts
        self._watches: dict[CallId, _Watched] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            now_s = self._lookout.clock.now().mono_s
            calls = [call for call in self._lookout.calls() if self._sides(call)]
            self._watches = {call.id: self._watched(call, now_s) for call in calls}
            due_s = now_s - LOOK_S
            due = [call for call in calls if self._watches[call.id].looked_s <= due_s]
            await self._lookout.look(due, self._look)

    def take(self, call: CallId, attempt: Attempt | None, *, is_there: bool) -> None:
        """Take in whether a telephone has answered; attempt None: the caller's."""
        watched = self._watches.get(call)
        side = Side.CALLER if attempt is None else Side.AGENT
        if watched is None or attempt not in {None, watched.attempt} or side not in watched.lines:
            return
        line = watched.lines[side]
        if is_there and line.tried:
            self._hosts.learn(line.tried)
        watched.lines[side] = answered(line, is_there=is_there)
        if not is_there:
            # Nothing may have been heard since: that is looked at soon.
            watched.looked_s = 0.0

    def is_missing(self, call: CallId, attempt: Attempt | None) -> bool:
        """Tell whether one of two who talk is silent, and does not answer; None: the caller."""
        watched = self._watches.get(call)
        if watched is None or watched.waits or attempt not in {None, watched.attempt}:
            return False
        line = watched.lines.get(Side.CALLER if attempt is None else Side.AGENT)
        return line is not None and is_missing(line, self._lookout.clock.now().mono_s)

    def _sides(self, call: CallShell) -> tuple[Side, ...]:
        """Return who is to be heard in a call, in the order in which they are asked."""
        if call.is_waiting:
            return (Side.CALLER,)
        site = call.talks_to
        is_heard = site is not None and site not in self._lookout.unreachable()
        return (Side.AGENT, Side.CALLER) if is_heard else ()

    def _watched(self, call: CallShell, now_s: float) -> _Watched:
        watched = self._watches.get(call.id)
        if watched is None or (watched.attempt, watched.waits) != (call.attempt, call.is_waiting):
            return _Watched(attempt=call.attempt, waits=call.is_waiting, looked_s=now_s)
        return watched

    def _look(self, call: CallShell, packets: Mapping[Party, int]) -> None:
        watched = self._watches[call.id]
        watched.looked_s = now_s = self._lookout.clock.now().mono_s
        if (call.attempt, call.is_waiting) != (watched.attempt, watched.waits):
            return
        for side in self._sides(call):
            if _PARTIES[side] not in packets or not self._can_answer(call, side):
                watched.lines.pop(side, None)
                continue
            line = looked(
                watched.lines.get(side),
                packets[_PARTIES[side]],
                now_s,
                is_by_right=not call.media.is_to_be_heard(side),
            )
            host = call.host_of(side)
            match self._hosts.due(line, host, now_s):
                case Next.GIVE_UP:
                    self._give_up(call, watched, side)
                    return
                case Next.ASK:
                    line = asked(line, now_s)
                    call.ask(side)
                case Next.TRY:
                    line = tried(line, host)
                    call.ask(side)
                case Next.NOTHING:
                    pass
            watched.lines[side] = line
            if side is Side.AGENT and line.since_s < now_s and not line.is_by_right:
                return

    def _can_answer(self, call: CallShell, side: Side) -> bool:
        """Tell whether their way is whole: a proxy that was frozen may say that they are gone."""
        return side is Side.AGENT or call.way_of(None) not in self._lookout.unreachable()

    def _give_up(self, call: CallShell, watched: _Watched, side: Side) -> None:
        log.warning("line_dead", call=call.id, side=side)
        self._watches.pop(call.id, None)
        if side is Side.AGENT:
            call.deliver(AgentSilent(attempt=watched.attempt))
        else:
            call.deliver(CallerSilent(attempt=watched.attempt))
