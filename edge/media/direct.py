"""Calls without a media relay: the two telephones send to each other.

For measuring what the edge itself costs, and for sites whose carrier and agents share a network.
The caller hears nothing while waiting, and neither prompts nor recording are to be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.media.errors import MediaRefused, UnknownCall
from edge.media.inert import inert_answer, inert_offer
from edge.media.plan import AGENT, CALLER, Party


class DirectMedia:
    """What `MediaEngine` does, as far as it can be done without a relay."""

    def __init__(self) -> None:
        self._callers: dict[str, bytes] = {}

    async def start(self) -> None:
        """Nothing has to be opened."""

    def close(self) -> None:
        """Nothing has to be closed."""

    async def hold_caller(
        self,
        call: str,
        caller_sdp: bytes,
        *,
        is_new: bool = False,  # noqa: ARG002 - nobody is waited for
    ) -> bytes:
        """Answer the caller with the discard port: nobody is there yet."""
        answer = inert_answer(caller_sdp)
        self._callers[call] = caller_sdp
        return answer

    async def offer_caller(self, call: str) -> bytes:
        """Make an offer for a caller who sent none; where they are, the answer tells."""
        self._callers[call] = b""
        return inert_offer()

    async def caller_answered(self, call: str, caller_sdp: bytes) -> None:
        """Remember where the caller is."""
        self._callers[call] = caller_sdp

    async def play(
        self,
        call: str,  # noqa: ARG002 - nobody plays
        file: Path,  # noqa: ARG002 - as above
        *,
        times: int = 1,  # noqa: ARG002 - as above
        listener: Party = CALLER,  # noqa: ARG002 - as above
    ) -> float:
        """Nobody is there to play: it is over at once."""
        return 0.0

    async def offer_to_agent(
        self,
        call: str,  # noqa: ARG002 - the same for all
        caller_sdp: bytes,
        *,
        agent: Party = AGENT,  # noqa: ARG002 - one agent
        is_again: bool = False,  # noqa: ARG002 - nobody is waited for
    ) -> bytes:
        """Offer the caller's own session."""
        return caller_sdp

    async def join(self, call: str, agent_sdp: bytes, *, agent: Party = AGENT) -> bytes:  # noqa: ARG002 - one agent
        """Tell the caller where the agent is."""
        if not self._callers.get(call):
            raise UnknownCall(f"call {call} has no caller here")
        return agent_sdp

    async def silence_caller(self, call: str, *, on: bool) -> None:  # noqa: ARG002 - of no call
        """Refuse: nobody stands between the two."""
        raise MediaRefused("there is no relay that could silence anybody")

    async def hold_back(self, call: str) -> None:  # noqa: ARG002 - of no call
        """Refuse: nobody stands between the two."""
        raise MediaRefused("there is no relay that could hold anybody back")

    async def part(self, call: str, agent_sdp: bytes, *, on: bool) -> None:  # noqa: ARG002 - of no call
        """Refuse: nobody stands between the two."""
        raise MediaRefused("there is no relay that could part anybody")

    async def drop_agent(self, call: str) -> None:
        """Nothing stands between the two that had to be taken away."""

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:  # noqa: ARG002 - as it came
        """Hand an offer on as it came."""
        return sdp

    async def relay_answer(
        self,
        call: str,  # noqa: ARG002 - as it came
        offerer: Party,  # noqa: ARG002 - as above
        answerer: Party,  # noqa: ARG002 - as above
        sdp: bytes,
    ) -> bytes:
        """Hand an answer on as it came."""
        return sdp

    async def release(self, call: str) -> None:
        """Forget the call."""
        self._callers.pop(call, None)

    async def has(self, call: str) -> bool:
        """Tell whether the call is remembered."""
        return call in self._callers

    async def packets_from(self, call: str) -> Mapping[Party, int] | None:
        """Count nothing: the packets do not come by here."""
        return {} if call in self._callers else None

    async def last_heard(self, call: str) -> Mapping[Party, int] | None:
        """Tell of nobody: the packets do not come by here."""
        return {} if call in self._callers else None

    async def calls(self) -> tuple[str, ...]:
        """Return the calls that are remembered."""
        return tuple(self._callers)

    async def release_all_of(self, owner: str) -> int:  # noqa: ARG002 - it knows no other edges
        """Nothing outlives this process."""
        return 0
