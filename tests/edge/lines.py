"""Two who talk, of whom the relay hears as much as a test says; and who of them is asked."""

from __future__ import annotations

import asyncio

from edge.acd.fallen_silent import LOOK_S, PATIENCE_S
from edge.sip.events import LegId
from tests.edge.one_edge import Edge

ASKED_WITHIN_S = 2 * LOOK_S + 1.5
"""A look falls up to `LOOK_S` after the line died; the next one finds nothing new."""
GIVEN_UP_S = PATIENCE_S + LOOK_S
"""After the proxy has said that they do not answer."""


async def talk(edge: Edge) -> tuple[LegId, LegId]:
    """Let a caller and ann talk, and be heard; return their legs."""
    theirs, ours = await edge.talking("ann")
    await edge.sees_them_talk()
    await speak(edge, 10)
    return theirs, ours


async def speak(edge: Edge, seconds: float, *, agent: bool = True, caller: bool = True) -> None:
    """Let so much time go, in whole seconds, in which those speak."""
    for _ in range(int(seconds)):
        edge.media.packets += 50 * agent
        edge.media.callers_packets += 50 * caller
        await asyncio.sleep(1.0)


def asked(edge: Edge, leg: LegId) -> int:
    """Return how often a telephone was asked if it is there."""
    return edge.sip.open[leg].said.count("ask")
