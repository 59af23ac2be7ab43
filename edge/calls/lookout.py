"""What those who watch calls see of them: where they go by, and what the relay has had of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import structlog

from edge.calls.call import CallShell
from edge.media.errors import MediaError, MediaRefused
from edge.media.plan import Party
from edge.media.relay import Relay
from state.clock import Clock
from state.model import SiteId

log = structlog.get_logger()

PERIOD_S = 1.0
"""From one round of a watch to the next."""


class Lookout:
    """The calls of this edge, and what tells who is in them."""

    def __init__(
        self,
        *,
        relay: Relay,
        clock: Clock,
        calls: Callable[[], Iterable[CallShell]],
        unreachable: Callable[[], frozenset[SiteId]],
    ) -> None:
        self._relay = relay
        self.clock = clock
        self.calls = calls
        self.unreachable = unreachable
        """Which sites are out of reach."""

    async def look(
        self, calls: Iterable[CallShell], take: Callable[[CallShell, Mapping[Party, int]], None]
    ) -> None:
        """Tell of each how many packets the relay has had of whom; of nobody: it does not say.

        Where it does not answer at all the others are left for another time: each would wait as
        long for it.
        """
        for call in calls:
            packets: Mapping[Party, int] | None = None
            try:
                packets = await self._relay.packets_from(call.id)
            except MediaError as error:
                log.warning("relay_not_asked", call=call.id, error=str(error))
                if not isinstance(error, MediaRefused):
                    return
            take(call, packets or {})
