"""Notices an agent who is gone and whose goodbye could not reach us: their home site is dead.

The dialog runs through the home site's Kamailio, the audio does not: a dead site is no reason to
cut off two people who hear each other. So an agent counts as gone only if their site is out of
reach and the relay has had nothing of them for some seconds; one who has put the caller on hold
says nothing by right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from msgspec import Struct

from edge.acd.call_events import AgentSilent, Attempt
from edge.calls.call import CallShell
from edge.media.errors import MediaError
from edge.media.plan import AGENT
from edge.media.relay import Relay
from state.clock import Clock
from state.model import CallId, SiteId

log = structlog.get_logger()

PERIOD_S = 1.0
SILENT_S = 5.0
"""Telephones that send nothing while nobody speaks say so much more often."""


class _Heard(Struct, frozen=True):
    """What the relay had of an agent, and since when no more."""

    attempt: Attempt
    packets: int
    since_s: float


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
        self._heard: dict[CallId, _Heard] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            sites = self._unreachable()
            watched = [each for each in self._calls() if each.talks_to in sites] if sites else []
            self._heard = {
                call.id: heard
                for call in watched
                if (heard := self._heard.get(call.id)) is not None
            }
            for call in watched:
                await self._look(call)

    async def _look(self, call: CallShell) -> None:
        try:
            packets = (await self._relay.packets_from(call.id) or {}).get(AGENT)
        except MediaError as error:
            log.warning("relay_not_asked", call=call.id, error=str(error))
            return
        site, now_s = call.talks_to, self._clock.now().mono_s
        if packets is None or site is None:
            return
        heard, attempt = self._heard.get(call.id), call.attempt
        if heard is None or (heard.attempt, heard.packets) != (attempt, packets):
            self._heard[call.id] = _Heard(attempt, packets, now_s)
        elif now_s - heard.since_s >= SILENT_S:
            log.warning("agent_silent", call=call.id, site=site)
            del self._heard[call.id]
            call.deliver(AgentSilent(attempt=attempt))
