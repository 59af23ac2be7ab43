"""One edge's store and relay, which can go wrong in every way that their contracts name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from edge.media.direct import DirectMedia
from edge.media.edits import at_discard_port
from edge.media.errors import MediaUnavailable, UnknownCall
from edge.media.plan import AGENT, CALLER, Party
from state.errors import OutcomeUnknownError, RejectedError, UnavailableError
from state.memory import MemoryStore
from state.store import Compare, Operation, RangeResult, TxnResult, WatchBatch
from tests.state.passing import PassingStore

TROUBLES: Final = ("loses_requests", "loses_answers", "is_away")
"""What may happen to a transaction on a `Way`."""
UNAVAILABLE: Final = MediaUnavailable("the relay gave no answer")


class TroubledStore(PassingStore[MemoryStore]):
    """One edge's way to the store, which can go wrong in every way that the contract names."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.is_away = False
        self.loses_requests = 0
        """So many transactions are not done, and nobody knows."""
        self.loses_answers = 0
        """So many transactions are done, and nobody knows."""
        self.rejects = 0
        """So many transactions are rejected."""
        self.latency_s = 0.0
        self.watch_latency_s = 0.0
        self.loses_events_of = ""
        """The watch loses what happens to keys in which this stands; empty: none."""
        self.txns = 0
        self.reads = 0
        self.patience_s: list[float] = []
        """Of each transaction, how long it might wait for others."""

    def refuse(self) -> None:
        """Raise if away."""
        if self.is_away:
            raise UnavailableError("the store is away")

    async def range(self, key: str, **asked: Any) -> RangeResult:  # noqa: ANN401 - passed on
        """Read, unless away."""
        self.refuse()
        self.reads += 1
        return await super().range(key, **asked)

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do, unless in trouble."""
        await asyncio.sleep(self.latency_s)
        self.refuse()
        self.txns += 1
        self.patience_s.append(patience_s)
        if self.rejects:
            self.rejects -= 1
            raise RejectedError("too many operations")
        if self.loses_requests:
            self.loses_requests -= 1
            raise OutcomeUnknownError("no answer")
        result = await self.inner.txn(compares, success, failure, patience_s=patience_s)
        if self.loses_answers:
            self.loses_answers -= 1
            raise OutcomeUnknownError("no answer")
        await asyncio.sleep(self.latency_s)
        return result

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Tell what happens, until away."""
        self.refuse()
        async with aclosing(self.inner.watch(prefix, from_revision)) as batches:
            async for batch in batches:
                self.refuse()
                await asyncio.sleep(self.watch_latency_s)
                lost = self.loses_events_of
                kept = tuple(each for each in batch.changes if not lost or lost not in each.key)
                yield replace(batch, changes=kept)


class Way(TroubledStore):
    """An edge's way to the store, on which so many transactions go well before the next trouble."""

    def __init__(self, inner: MemoryStore, troubles: Sequence[tuple[int, str]]) -> None:
        super().__init__(inner)
        self.troubles = list(troubles)
        self.well = self.troubles[0][0] if self.troubles else 0

    async def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        *,
        patience_s: float = 0.0,
    ) -> TxnResult:
        """Compare and do, or get into trouble."""
        await asyncio.sleep(0.01)
        if self.troubles:
            self.well -= 1
            if self.well < 0:
                _, kind = self.troubles.pop(0)
                self.well = self.troubles[0][0] if self.troubles else 0
                if kind == "is_away":
                    self.is_away = True
                    asyncio.get_running_loop().call_later(0.5, self.is_back)
                else:
                    setattr(self, kind, 1)
        return await super().txn(compares, success, failure, patience_s=patience_s)

    def is_back(self) -> None:
        """Be there again."""
        self.is_away = False


class TroubledMedia(DirectMedia):
    """A relay that fails when told to, and plays greetings of a second."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_with: dict[str, Exception] = {}
        """Step -> what it raises, once."""
        self.is_dead = False
        self.is_unasked = False
        """Whoever asks is dead themselves: nothing is done."""
        self.delay_s = 0.0
        self.offers: list[tuple[str, bytes]] = []
        self.released: list[str] = []
        self.packets = 0
        """Had of the agent of every call."""
        self.callers_packets = 0
        """Had of every caller."""
        self.heard_s: dict[Party, int] = {}
        """By which second the people of every call were heard last."""
        self.asked_last: list[str] = []
        """Calls of which that was asked."""
        self.is_pinned = False
        """Callers are told one place, whoever is behind it, as by a relay that holds their port."""
        self.silences: list[bool] = []
        self.held_back: list[str] = []
        """Calls of which that was said; the agent's description has to be said after it."""
        self.silent: set[str] = set()
        """Calls in whose caller's place the agent hears silence."""
        self.agents: dict[str, bytes] = {}
        """Of each call, where the relay sends what the caller says: the agent's description."""
        self.played: list[str] = []
        """The names of the files, in their order."""
        self.lost_answers: set[str] = set()
        """Steps that are done once, and whose answer is lost."""

    async def silence_caller(self, call: str, *, on: bool) -> None:
        """Note it."""
        await self._step("silence_caller")
        self.silences.append(on)
        (self.silent.add if on else self.silent.discard)(call)

    async def part(self, call: str, agent_sdp: bytes, *, on: bool) -> None:
        """Turn the agent away from the caller, or back."""
        await self._step("part")
        if call not in self.agents:
            raise UnknownCall(f"call {call} has no agent here")
        self.agents[call] = at_discard_port(agent_sdp) if on else agent_sdp
        if "part" in self.lost_answers:
            self.lost_answers.remove("part")
            raise MediaUnavailable("the relay gave no answer")

    async def drop_agent(self, call: str) -> None:
        """Take the agent out, whatever goes wrong."""
        if not self.is_unasked:
            self.agents.pop(call, None)

    async def hold_back(self, call: str) -> None:
        """Note it; a real relay takes it, and this one has nothing to hold back."""
        await self._step("hold_back")
        self.held_back.append(call)

    async def _step(self, step: str) -> None:
        await asyncio.sleep(self.delay_s)
        if self.is_unasked:
            await asyncio.get_running_loop().create_future()
        if self.is_dead:
            raise MediaUnavailable("the relay gave no answer")
        fault = self.fails_with.pop(step, None)
        if fault is not None:
            raise fault

    async def hold_caller(self, call: str, caller_sdp: bytes, *, is_new: bool = False) -> bytes:
        """Bring the caller's audio to the queue."""
        await self._step("hold_caller")
        self.offers.append(("hold_caller", caller_sdp))
        self.agents.pop(call, None)  # the caller's audio goes to the queue
        return await super().hold_caller(call, caller_sdp, is_new=is_new)

    async def offer_caller(self, call: str) -> bytes:
        """Offer as another relay would."""
        await self._step("offer_caller")
        return await super().offer_caller(call)

    async def caller_answered(self, call: str, caller_sdp: bytes) -> None:
        """Take it."""
        await self._step("caller_answered")
        await super().caller_answered(call, caller_sdp)

    async def play(
        self, call: str, file: Path, *, times: int = 1, listener: Party = CALLER
    ) -> float:
        """Play: greetings last a second, music for ever."""
        await self._step("play")
        self.played.append(file.stem)
        await super().play(call, file, times=times, listener=listener)
        return 1.0 if times == 1 else 0.0

    async def offer_to_agent(
        self, call: str, caller_sdp: bytes, *, agent: Party = AGENT, is_again: bool = False
    ) -> bytes:
        """Offer as it came."""
        await self._step("offer_to_agent")
        return await super().offer_to_agent(call, caller_sdp, agent=agent, is_again=is_again)

    async def join(self, call: str, agent_sdp: bytes, *, agent: Party = AGENT) -> bytes:
        """Send the agent what the caller says."""
        await self._step("join")
        self.agents[call] = agent_sdp
        told = await super().join(call, agent_sdp, agent=agent)
        return at_discard_port(told) if self.is_pinned else told

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:
        """Hand it on; an agent who offers may have moved."""
        await self._step("relay_offer")
        self.offers.append((str(sender), sdp))
        if sender == AGENT:
            self.agents[call] = sdp
        return await super().relay_offer(call, sender, receiver, sdp)

    async def relay_answer(self, call: str, offerer: Party, answerer: Party, sdp: bytes) -> bytes:
        """Hand it on; an agent who is answered may have moved."""
        await self._step("relay_answer")
        if answerer == AGENT:
            self.agents[call] = sdp
        return await super().relay_answer(call, offerer, answerer, sdp)

    async def release(self, call: str) -> None:
        """Forget the call."""
        self.released.append(call)
        await self._step("release")
        self.agents.pop(call, None)
        self.silent.discard(call)
        await super().release(call)

    async def packets_from(self, call: str) -> Mapping[Party, int] | None:
        """Tell of the two."""
        await self._step("packets_from")
        known = await super().packets_from(call)
        if known is None:
            return None
        return {AGENT: self.packets, CALLER: self.callers_packets}

    async def last_heard(self, call: str) -> Mapping[Party, int] | None:
        """Tell of whoever is said to have been heard."""
        await self._step("last_heard")
        self.asked_last.append(call)
        known = await super().last_heard(call)
        return None if known is None else dict(self.heard_s)

    async def has(self, call: str) -> bool:
        """Tell whether it knows the call."""
        await self._step("has")
        return await super().has(call)
