"""Rings an agent: one INVITE to the Kamailio of the home site, with the reservation's token."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from msgspec import Struct

from edge.acd.token import Token
from edge.calls.telephony import Telephony
from edge.settings import address
from edge.sip.events import Address, LegId
from state.model import AgentId, Queue, QueueId, SiteId, Ticket
from state.snapshot import Snapshot

TIMER_B_S = 2.5
"""A home site that says nothing for so long is gone: the caller must not wait 32 s to learn it."""
STILL_RINGS_S: Final = 5
"""So much longer than we let it ring a telephone may: it is CANCEL that ends a ring. Should that
never come, as the telephone's proxy has died, the telephone gives up by itself (RFC 3261 §13.3.1).
"""


class Rung(Struct, frozen=True, kw_only=True):
    """An agent's leg that has been started."""

    leg: LegId
    site: SiteId
    sip_call_id: str


class Ringing:
    """Knows how to reach an agent."""

    def __init__(
        self, *, sip: Telephony, snapshot: Callable[[], Snapshot], token: Callable[[], str]
    ) -> None:
        self._sip = sip
        self._snapshot = snapshot
        self._token = token

    def ring(
        self,
        ticket: Ticket,
        agent: AgentId,
        sdp: bytes,
        token: Token,
        *,
        calling: AgentId | None = None,
    ) -> Rung | None:
        """Send the INVITE; None: the agent or their site is no longer configured.

        `calling`: not the caller is on the line but this agent.
        """
        snapshot = self._snapshot()
        who = snapshot.agents.get(agent)
        site = snapshot.sites.get(who.value.site) if who is not None else None
        if who is None or site is None:
            return None
        sip_call_id = f"{ticket.call}-{self._token()}"
        leg = self._sip.invite(
            request_uri=f"sip:{agent}@everline",
            from_uri=f"sip:{calling or ticket.caller}@everline",
            to_uri=f"sip:{agent}@everline",
            next_hop=Address(*address(site.value.sip)),
            sdp=sdp,
            headers={
                "X-Everline-Offer": f"{ticket.call} {token.epoch} {token.revision}",
                "X-Everline-Call": ticket.call,
                "Expires": str(self._expires_s(ticket.queue)),
            },
            sip_call_id=sip_call_id,
            timer_b_s=TIMER_B_S,
        )
        return Rung(leg=leg, site=site.value.id, sip_call_id=sip_call_id)

    def _expires_s(self, queue: QueueId) -> int:
        found = self._snapshot().queues.get(queue)
        rings_s = (found.value if found is not None else Queue(id=queue, needs=())).ring_timeout_s
        return ceil(rings_s) + STILL_RINGS_S
