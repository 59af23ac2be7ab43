"""Notices an agent who is gone and whose goodbye could not reach us: their home site is dead.

The dialog runs through the home site's Kamailio, the audio does not: a dead site is no reason to
cut off two people who hear each other. So an agent counts as gone only if their site is out of
reach and the relay has had nothing of them for some seconds; one who has put the caller on hold, or
is muted by their own word, says nothing by right. The same answer of the relay tells whether the
caller is gone with them, if theirs is out of reach too (`edge.acd.gone` decides).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from edge.acd.call_events import AgentSilent, Side
from edge.acd.gone import Gone, Pair, gone, listened
from edge.calls.call import CallShell
from edge.media.errors import MediaError
from edge.media.plan import AGENT, CALLER
from edge.media.relay import Relay
from state.clock import Clock
from state.model import CallId, SiteId

log = structlog.get_logger()

PERIOD_S = 1.0


class LegWatch:
    """Asks the relay about calls whose agents are at sites out of reach; there are seldom any."""

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
        self._heard: dict[CallId, Pair] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            sites = self._unreachable()
            watched = [each for each in self._calls() if _tells(each, sites)] if sites else []
            self._heard = {
                call.id: heard
                for call in watched
                if (heard := self._heard.get(call.id)) is not None
            }
            for call in watched:
                await self._look(call, sites)

    async def _look(self, call: CallShell, out_of_reach: frozenset[SiteId]) -> None:
        try:
            packets = await self._relay.packets_from(call.id) or {}
        except MediaError as error:
            log.warning("relay_not_asked", call=call.id, error=str(error))
            return
        now_s = self._clock.now().mono_s
        if AGENT not in packets or not _tells(call, out_of_reach):
            return
        pair = listened(
            self._heard.get(call.id), call.attempt, packets[AGENT], packets.get(CALLER), now_s
        )
        self._heard[call.id] = pair
        is_cut_off = call.way_of(None) in out_of_reach and call.media.is_to_be_heard(Side.CALLER)
        found = gone(pair, now_s, is_caller_cut_off=is_cut_off)
        if found is None:
            return
        is_caller_silent = found is Gone.BOTH
        log.warning(
            "agent_silent", call=call.id, site=call.talks_to, is_caller_silent=is_caller_silent
        )
        del self._heard[call.id]
        call.deliver(AgentSilent(attempt=pair.attempt, is_caller_silent=is_caller_silent))


def _tells(call: CallShell, out_of_reach: frozenset[SiteId]) -> bool:
    """Tell whether an agent's silence says anything: they are cut off, and should be heard."""
    return call.talks_to in out_of_reach and call.media.is_to_be_heard(Side.AGENT)
