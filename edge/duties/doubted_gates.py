"""Which gates may hold an agent for an offer that is gone, and frees them as soon as that is felt.

Else such an agent is offered in vain until the next time when all gates are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from edge.proxy.errors import ProxyError
from edge.proxy.gate import GateState
from edge.proxy.proxy import Proxy
from state.model import AgentId, SiteId
from state.snapshot import Snapshot
from state.wake import Wake

log = structlog.get_logger()

_PAUSE_S = 0.01
"""Doubts come in bursts."""
_AGAIN_S = 1.0
"""After a look at which nobody knew what stands, as while a sister serves alone."""


class DoubtedGates:
    """Those of one site. `run` looks at them until cancelled."""

    def __init__(
        self,
        proxy: Proxy,
        snapshot: Callable[[], Snapshot],
        *,
        site: SiteId,
        is_alone: Callable[[], bool],
    ) -> None:
        self._proxy = proxy
        self._snapshot = snapshot
        self._site = site
        self._is_alone = is_alone
        self._agents: set[AgentId] = set()
        """Whom a gate has just not let ring, or whom nobody has heard hang up."""
        self._due = Wake()
        self._unheard: set[AgentId] = set()
        """Whom nobody has heard hang up: no BYE of their edge will free the gate."""

    def refused(self, agent: AgentId) -> None:
        """Take in that a gate has not let this agent ring."""
        self._agents.add(agent)
        self._due.set()

    def goodbye_unheard(self, agent: AgentId) -> None:
        """Take in that this agent's phone has hung up, and no edge said that it heard that."""
        self._unheard.add(agent)
        self.note_offers()

    def note_offers(self) -> None:
        """Have those looked at whose offers are gone; of the others the call may go on."""
        if self._is_alone():
            self._due.set()  # a copy does not know of all offers of others
            return
        offers = self._snapshot().offers
        gone = {agent for agent in self._unheard if agent not in offers}
        if gone:
            self._unheard -= gone
            self._agents |= gone
            self._due.set()

    async def run(self) -> None:
        """Free those that hold somebody for an offer that is gone, until cancelled."""
        while True:
            await self._due.wait(None)
            agents, self._agents = self._agents, set()
            pause_s = _PAUSE_S
            try:
                if agents and await self._proxy.settle_gate(agents) is None:
                    self._agents |= agents
                    pause_s = _AGAIN_S
                if self._unheard and self._is_alone():
                    await self._free_guests()
            except ProxyError as error:
                log.warning("gates_not_settled", error=str(error))
            if self._agents or (self._unheard and self._is_alone()):
                self._due.set()
                pause_s = _AGAIN_S
            await asyncio.sleep(pause_s)

    async def _free_guests(self) -> None:
        """Free those of other sites' callers who have hung up: their edges are not heard here.

        By no token of this site: what its edges make alone, and what they had before, they free.
        """
        snapshot = self._snapshot()
        for agent in tuple(self._unheard):
            entry, offer = await self._proxy.gate_of(agent), snapshot.offers.get(agent)
            life = None if offer is None else snapshot.edges.get(offer.value.edge)
            is_ours = life is not None and life.value.site == self._site
            if entry is not None and entry.state is not GateState.IDLE:
                if is_ours or entry.token.is_alone:
                    continue
                log.warning("guest_hung_up", agent=agent, token=str(entry.token))
                await self._proxy.free_gate(agent, entry.token)
            self._unheard.discard(agent)
