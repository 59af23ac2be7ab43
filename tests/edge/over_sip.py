"""An edge with a real SIP endpoint, on loopback, for tests of what telephones see on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from edge.calls.telephony import Telephony
from edge.sip.endpoint import SipEndpoint
from edge.sip.events import Address
from tests.edge.one_edge import Edge
from tests.edge.stage import Center

HOST: Final = "127.0.0.1"


@asynccontextmanager
async def edge_over_sip(made: Center) -> AsyncIterator[tuple[Edge, SipEndpoint]]:
    """Let edge a1 serve there during the block; it dies with it."""
    edges: list[Edge] = []
    endpoint = SipEndpoint.open(
        local=Address(HOST, 0),
        product="test",
        on_event=lambda event: edges[0].switchboard.take(event),  # noqa: PLW0108 - made below
        contact_user="everline",
    )
    edge = Edge("a1", made.store, telephony=Telephony(endpoint))
    edges.append(edge)
    made.edges["a1"] = edge
    await edge.start()
    try:
        yield edge, endpoint
    finally:
        await edge.kill()
        endpoint.close()
