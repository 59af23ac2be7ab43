"""What the edge wants of whoever carries the media: rtpengine or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from edge.media.plan import AGENT, CALLER, Party


class Relay(Protocol):
    """Media of calls, step by step, as `MediaEngine` explains it. Raises `MediaError`."""

    async def start(self) -> None:
        """Open what has to be open."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    async def hold_caller(self, call: str, caller_sdp: bytes, *, is_new: bool = False) -> bytes:
        """Take the caller in; return the answer for them. Who `is_new` is to hear soon of a no."""
        ...

    async def offer_caller(self, call: str) -> bytes:
        """Make an offer for a caller who sent none."""
        ...

    async def caller_answered(self, call: str, caller_sdp: bytes) -> None:
        """Take in the answer to that."""
        ...

    async def play(
        self, call: str, file: Path, *, times: int = 1, listener: Party = CALLER
    ) -> float:
        """Play a file; return its length in seconds."""
        ...

    async def offer_to_agent(
        self, call: str, caller_sdp: bytes, *, agent: Party = AGENT, is_again: bool = False
    ) -> bytes:
        """Return the offer for an agent. What is asked `is_again` is given up soon."""
        ...

    async def join(self, call: str, agent_sdp: bytes, *, agent: Party = AGENT) -> bytes:
        """Connect the two; return the answer for the caller."""
        ...

    async def silence_caller(self, call: str, *, on: bool) -> None:
        """Let the agent hear silence in the caller's place, or the caller again."""
        ...

    async def hold_back(self, call: str) -> None:
        """Let the agent hear the caller later than copies have them, once `part` is said again."""
        ...

    async def part(self, call: str, agent_sdp: bytes, *, on: bool) -> None:
        """Send the agent nothing more of the caller, or all again; copies go on."""
        ...

    async def drop_agent(self, call: str) -> None:
        """Take an agent out."""
        ...

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:
        """Return an offer for `receiver`."""
        ...

    async def relay_answer(self, call: str, offerer: Party, answerer: Party, sdp: bytes) -> bytes:
        """Return the answer for `offerer`."""
        ...

    async def release(self, call: str) -> None:
        """End the call's media."""
        ...

    async def has(self, call: str) -> bool:
        """Tell whether it still knows the call."""
        ...

    async def packets_from(self, call: str) -> Mapping[Party, int] | None:
        """Return how many packets it has had of each party; None: it does not know the call."""
        ...

    async def last_heard(self, call: str) -> Mapping[Party, int] | None:
        """Return by which second each party was heard last; None: it does not know the call.

        Unix time, by the relay's clock, as late as may be; of those of whom it has had anything.
        """
        ...

    async def calls(self) -> tuple[str, ...]:
        """Return the calls of this edge that it has."""
        ...

    async def release_all_of(self, owner: str) -> int:
        """End every call of an edge; return how many."""
        ...
