"""The media of two agents who talk about a call: nobody waits, nothing is played or recorded.

To the relay it is a call of its own, beside the caller's; the asker is its caller.
"""

from __future__ import annotations

import asyncio

import structlog

from edge.acd.call_events import Side
from edge.media.edits import asked_offer
from edge.media.errors import MediaError, UnknownCall
from edge.media.facing import standing_answer
from edge.media.plan import AGENT, CALLER, Party
from edge.media.relay import Relay
from edge.media.sdp import talk

log = structlog.get_logger()

_PARTY: dict[Side, Party] = {Side.CALLER: CALLER, Side.AGENT: AGENT}


class PairMedia:
    """One consultation's; `name` is what the relay calls it."""

    def __init__(self, relay: Relay, name: str) -> None:
        self._relay = relay
        self._name = name
        self._turn = asyncio.Lock()
        self._said: dict[Side, bytes] = {}
        """What each side last said of itself."""
        self._told: dict[Side, bytes] = {}
        """What each side was last told."""
        self._is_closed = False

    async def prepare(self, asker: bytes) -> bytes:
        """Take the asker's offer; return the one for the colleague."""
        async with self._turn:
            self._said[Side.CALLER] = asker
            told = await self._relay.relay_offer(self._name, CALLER, AGENT, asker)
            self._told[Side.AGENT] = told
            return told

    async def join(self, colleague: bytes) -> bytes:
        """Take the colleague's answer; return the one for the asker. SdpError: it has no audio."""
        talk(colleague)
        async with self._turn:
            self._said[Side.AGENT] = colleague
            told = await self._relay.relay_answer(self._name, CALLER, AGENT, colleague)
            self._told[Side.CALLER] = told
            return told

    async def renegotiate(self, side: Side, sdp: bytes | None) -> bytes:
        """Take a further offer of one side, and answer it for the other."""
        async with self._turn:
            return await self._renegotiated(side, sdp)

    async def withdraw(self, side: Side, before: bytes) -> None:
        """Put the relay back: the offer has been cancelled; `before` it they had said this."""
        await self._take_in(side, before, "withdraw")

    async def settle(self, side: Side, sdp: bytes) -> None:
        """Take in what a side has answered to the offer that it had asked for."""
        await self._take_in(side, sdp, "settle")

    async def _take_in(self, side: Side, sdp: bytes, step: str) -> None:
        async with self._turn:
            try:
                await self._renegotiated(side, sdp)
            except MediaError as error:
                log.warning("media_failed", call=self._name, step=step, error=str(error))

    def said(self, side: Side) -> bytes:
        """Return what a side last said of itself."""
        return self._said[side]

    async def close(self) -> None:
        """Take it out of the relay."""
        async with self._turn:
            self._is_closed = True
            try:
                await self._relay.release(self._name)
            except MediaError as error:
                log.warning("media_failed", call=self._name, step="close", error=str(error))

    async def _renegotiated(self, side: Side, sdp: bytes | None) -> bytes:
        if self._is_closed:
            # With an offer the relay would take it in anew, and nobody let go of it again.
            raise UnknownCall(f"{self._name} is over")
        if sdp is None:
            return asked_offer(self._told[side])
        other = Side.AGENT if side is Side.CALLER else Side.CALLER
        answer = standing_answer(self._said[other], sdp)
        me, them = _PARTY[side], _PARTY[other]
        await self._relay.relay_offer(self._name, me, them, sdp)
        told = await self._relay.relay_answer(self._name, me, them, answer)
        self._said[side], self._told[side] = sdp, told
        return told
