"""Takes the telephones of a site for gone once its Kamailio is: nothing rings them there.

Registrations are in that Kamailio's memory and nowhere else. As long as the site says that it has
a telephone, no other site takes its agent over (`edge.steering.moves`), though theirs may have
registered there long ago.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from edge.proxy.errors import ProxyUnreachableError
from state.model import AgentId

log = structlog.get_logger()

LOOK_S: Final = 1.0
GONE_S: Final = 5.0
"""Longer than Kamailio takes to be started anew, and about as long as telephones wait for it before
they register elsewhere."""
NEVER_HEARD_S: Final = 15.0
"""So long a Kamailio may take that an edge has not heard in its life: both may have just been
started with their machine, or their site. Whoever had it before may have written whom it had."""


class Asked(Protocol):
    """What it needs of the way to Kamailio."""

    @property
    def is_connected(self) -> bool:
        """Whether Kamailio was there when last heard of."""
        ...

    async def is_gate_open(self) -> bool:
        """Ask something, by the other way. Raises ProxyUnreachableError: nobody answers there."""
        ...


class Registrations(Protocol):
    """What it needs of who writes presence."""

    def reading(self) -> None:
        """Forget what was heard before."""
        ...

    def set_registered(self, agents: frozenset[AgentId]) -> None:
        """Take it that these are registered, and nobody else."""
        ...


class LostPhones:
    """Those of one site. `run` looks until cancelled."""

    def __init__(self, proxy: Asked, keeper: Registrations) -> None:
        self._proxy = proxy
        self._keeper = keeper

    async def run(self) -> None:
        """Say once that nobody is registered, each time that Kamailio is gone by both its ways.

        Who is there again is read when it is back, and it may have stood still and lost nobody.
        """
        loop = asyncio.get_running_loop()
        heard_s: float | None = loop.time()
        patience_s = NEVER_HEARD_S
        while True:
            await asyncio.sleep(LOOK_S)
            if self._proxy.is_connected:
                heard_s, patience_s = loop.time(), GONE_S
            elif heard_s is not None and loop.time() - heard_s >= patience_s:
                if not await self._is_gone():
                    continue
                log.warning("phones_lost", away_s=round(loop.time() - heard_s, 1))
                heard_s = None
                self._keeper.reading()
                self._keeper.set_registered(frozenset())

    async def _is_gone(self) -> bool:
        try:
            await self._proxy.is_gate_open()
        except ProxyUnreachableError:
            return not self._proxy.is_connected
        return False
