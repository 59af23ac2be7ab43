"""Notices an agent who is gone and whose goodbye could not reach us: their home site is dead.

The dialog runs through the home site's Kamailio, the audio does not: a dead site is no reason to
cut off two people who hear each other. So an agent counts as gone only if their site is out of
reach and the relay has had nothing of them for some seconds; one who has put the caller on hold, or
is muted by their own word, says nothing by right. The same answer of the relay tells whether the
caller is gone with them, if theirs is out of reach too (`edge.acd.gone` decides).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from edge.acd.call_events import AgentSilent, Side
from edge.acd.gone import Gone, Pair, gone, listened
from edge.calls.call import CallShell
from edge.calls.lookout import PERIOD_S, Lookout
from edge.media.plan import AGENT, CALLER, Party
from state.model import CallId

log = structlog.get_logger()


class LegWatch:
    """Asks the relay about calls whose agents are at sites out of reach; there are seldom any."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._heard: dict[CallId, Pair] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            calls = self._lookout.calls() if self._lookout.unreachable() else ()
            watched = [each for each in calls if self._tells(each)]
            self._heard = {
                call.id: heard
                for call in watched
                if (heard := self._heard.get(call.id)) is not None
            }
            await self._lookout.look(watched, self._look)

    def _look(self, call: CallShell, packets: Mapping[Party, int]) -> None:
        now_s = self._lookout.clock.now().mono_s
        if AGENT not in packets or not self._tells(call):
            return
        pair = listened(
            self._heard.get(call.id), call.attempt, packets[AGENT], packets.get(CALLER), now_s
        )
        self._heard[call.id] = pair
        is_cut_off = call.way_of(None) in self._lookout.unreachable()
        found = gone(
            pair, now_s, is_caller_cut_off=is_cut_off and call.media.is_to_be_heard(Side.CALLER)
        )
        if found is None:
            return
        is_caller_silent = found is Gone.BOTH
        log.warning(
            "agent_silent", call=call.id, site=call.talks_to, is_caller_silent=is_caller_silent
        )
        del self._heard[call.id]
        call.deliver(AgentSilent(attempt=pair.attempt, is_caller_silent=is_caller_silent))

    def _tells(self, call: CallShell) -> bool:
        """Tell whether an agent's silence says anything: they are cut off, and should be heard."""
        is_cut_off = call.talks_to in self._lookout.unreachable()
        return is_cut_off and call.media.is_to_be_heard(Side.AGENT)
