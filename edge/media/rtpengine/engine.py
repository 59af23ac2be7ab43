"""The media of calls, step by step, as the edge's shell wants it: `MediaEngine`.

Joins the plan (what to ask) with the client (how to ask). Holds nothing about a call: what a step
needs is in its arguments, so that any edge could go on where another left off.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edge.media import plan
from edge.media.errors import MediaRefused, NotPlaying, UnknownCall
from edge.media.ng import Command, Reply, Verb
from edge.media.plan import AGENT, CALLER, QUEUE, Party
from edge.media.rtpengine.client import Counts, NgClient

FOREVER = 1_000_000
"""Repetitions of a file: a caller gives up before."""
_LISTED = 100_000


class MediaEngine:
    """One site's rtpengine, for the calls of one edge.

    `call` is any word that names the call here; it goes out as `OWNER:call`, so that two edges
    which both took the same INVITE do not get at each other's media, and `calls_of` a dead edge
    can be ended. Session descriptions are bytes in and bytes out. Every method raises
    `MediaUnavailable` when there is no answer in time, `MediaExhausted` when there are no
    ports (the call is then gone, with its music), `UnknownCall` when rtpengine has lost the call,
    and `SdpError` for a description that cannot be used.

    In time is `timeout_s` a command for new callers, whom another site can still take, and for
    questions, also one that is put again; `patience_s` for calls that are taken, which would end
    for want of an answer.
    """

    def __init__(
        self,
        *,
        owner: str,
        host: str,
        port: int,
        timeout_s: float = 1.0,
        patience_s: float = 3.0,
    ) -> None:
        self._owner = owner
        self._client = NgClient(host, port, timeout_s=timeout_s)
        self._patience_s = patience_s

    async def start(self) -> None:
        """Open the socket. Succeeds without a running rtpengine."""
        await self._client.start()

    def close(self) -> None:
        """Close the socket."""
        self._client.close()

    # -- the caller waits

    async def hold_caller(self, call: str, caller_sdp: bytes, *, is_new: bool = False) -> bytes:
        """Take the caller in, or back from an agent; return the answer for them (200 OK).

        From an agent, follow it with `drop_agent` and `play`.
        """
        ask = self._ask_soon if is_new else self._ask
        offered, answered = plan.to_queue(self._name(call), caller_sdp)
        await ask(offered)
        return _sdp(await ask(answered))

    async def offer_caller(self, call: str) -> bytes:
        """Make an offer for a caller who sent none (late offer); then `caller_answered`."""
        return _sdp(await self._ask_soon(plan.from_queue(self._name(call))))

    async def caller_answered(self, call: str, caller_sdp: bytes) -> None:
        """Take in the answer to `offer_caller` (it came with the ACK)."""
        await self._ask(plan.answer(self._name(call), QUEUE, CALLER, caller_sdp))

    async def play(
        self, call: str, file: Path, *, times: int = 1, listener: Party = CALLER
    ) -> float:
        """Play a WAV to `listener` instead of what was playing; return its length in seconds, once.

        The file is opened by rtpengine, under its working directory and user. 0.0 if it cannot
        tell.
        """
        reply = await self._ask(plan.play(self._name(call), listener, str(file), times))
        return reply.duration_ms / 1000

    async def stop(self, call: str, *, listener: Party = CALLER) -> None:
        """Stop what is played to `listener`; nothing playing is fine."""
        # A relay that was started anew may have taken the caller in with the agent's offer.
        with suppress(NotPlaying):
            await self._ask(plan.stop(self._name(call), listener))

    # -- an agent is rung and joined

    async def offer_to_agent(
        self, call: str, caller_sdp: bytes, *, agent: Party = AGENT, is_again: bool = False
    ) -> bytes:
        """Return the offer for an INVITE to an agent. The caller's music goes on.

        If the agent refuses, do nothing: offer to the next one. The agent is not heard before
        `join`. `is_again`: the same has been asked, with patience, and there was no answer.
        """
        ask = self._ask_soon if is_again else self._ask
        name = self._name(call)
        reply = await ask(plan.offer(name, CALLER, agent, caller_sdp))
        await ask(plan.block(name, agent))
        return _sdp(reply)

    async def join(self, call: str, agent_sdp: bytes, *, agent: Party = AGENT) -> bytes:
        """Connect the agent who answered with the caller, stop the music.

        Digits that the caller keys do not reach the agent. Return the answer for the caller.
        The caller's port does not move. If the result equals what the caller was last sent, a
        re-INVITE tells them nothing new.
        """
        name = self._name(call)
        await self._ask(plan.hide_digits(name, CALLER))
        reply = await self._ask(plan.answer(name, CALLER, agent, agent_sdp))
        await self._ask(plan.unblock(name, agent))
        await self.stop(call)
        return _sdp(reply)

    async def silence_caller(self, call: str, *, on: bool) -> None:
        """Let the agent hear silence in the caller's place, or the caller again.

        The caller hears the agent all the same. Not for callers who speak Opus.
        """
        await self._ask(plan.silence(self._name(call), CALLER, on=on))

    async def hold_back(self, call: str) -> None:
        """Let the agent hear the caller later than the copies have them, once `part` is said again.

        So that there is time to part them. A copy that is begun later ends it.
        """
        await self._ask(plan.hide_digits(self._name(call), CALLER, holds_back=True))

    async def part(self, call: str, agent_sdp: bytes, *, on: bool) -> None:
        """Send the agent nothing more of the caller, or all again; copies go on.

        The caller hears the agent all the same.
        """
        name = self._name(call)
        if on:
            for command in plan.part(name, CALLER, AGENT, agent_sdp):
                await self._ask(command)
        else:
            await self._ask(plan.answer(name, CALLER, AGENT, agent_sdp))

    async def drop_agent(self, call: str) -> None:
        """Take an agent out of the call. Stops what is played to the caller, so play again."""
        await self._ask(plan.drop(self._name(call), AGENT))

    # -- either side re-negotiates

    async def relay_offer(self, call: str, sender: Party, receiver: Party, sdp: bytes) -> bytes:
        """`sender` offered anew (hold, resume, another address); return the offer for `receiver`.

        To bring the caller's re-INVITE to the queue, use `hold_caller`.
        """
        return _sdp(await self._ask(plan.offer(self._name(call), sender, receiver, sdp)))

    async def relay_answer(self, call: str, offerer: Party, answerer: Party, sdp: bytes) -> bytes:
        """`answerer` answered the relayed offer; return the answer for `offerer`."""
        return _sdp(await self._ask(plan.answer(self._name(call), offerer, answerer, sdp)))

    # -- the end, and taking stock

    async def release(self, call: str) -> None:
        """End the call's media. One that is gone already is fine."""
        await self._ask(plan.release(self._name(call)))

    async def ping(self) -> None:
        """Ask whether it lives."""
        await self._ask_soon(Command(verb=Verb.PING))

    async def packets_from(self, call: str) -> dict[Party, int] | None:
        """Return how many RTP packets each party has sent; None when rtpengine has no such call."""
        reply = await self._query(call)
        return None if reply is None else packets_of(reply)

    async def last_heard(self, call: str) -> dict[Party, int] | None:
        """Return by which second, in Unix time, each party was heard last; None: no such call.

        Of those of whom rtpengine has had RTP. Another offer or answer counts as if they had been
        heard then.
        """
        # A call that is deleted whole is not told of in the reply (10.5.3.5): it has to be asked.
        reply = await self._query(call)
        return None if reply is None else last_heard_of(reply)

    async def _query(self, call: str) -> Reply | None:
        try:
            return await self._ask_soon(Command(verb=Verb.QUERY, call=self._name(call)))
        except UnknownCall:
            return None

    async def has(self, call: str) -> bool:
        """Tell whether rtpengine still knows the call: not after a restart.

        One that was started anew takes a call in with an agent's offer, or with a hold, and the
        caller sends to ports that are no more. Only who was brought to the queue is known.
        """
        return QUEUE in (await self.packets_from(call) or {})

    async def calls(self) -> tuple[str, ...]:
        """Return the calls of this edge that rtpengine has."""
        return await self.calls_of(self._owner)

    async def calls_of(self, owner: str) -> tuple[str, ...]:
        """Return the calls of another edge of this site."""
        reply = await self._ask_soon(Command(verb=Verb.LIST, limit=_LISTED))
        prefix = f"{owner}:"
        return tuple(name[len(prefix) :] for name in reply.calls if name.startswith(prefix))

    async def release_all_of(self, owner: str) -> int:
        """End every call of an edge (a dead one, or our own former life); return how many."""
        calls = await self.calls_of(owner)
        for call in calls:
            await self._ask(plan.release(f"{owner}:{call}"))
        return len(calls)

    @property
    def counts(self) -> Counts:
        """Counters of the client."""
        return self._client.counts

    def _name(self, call: str) -> str:
        return f"{self._owner}:{call}"

    async def _ask(self, command: Command) -> Reply:
        return await self._client.ask(command, within_s=self._patience_s)

    async def _ask_soon(self, command: Command) -> Reply:
        return await self._client.ask(command)


def packets_of(reply: Reply) -> dict[Party, int]:
    """Return how many RTP packets each party of a call has sent."""
    return {
        Party(tag): sum(media.streams[0].stats.packets for media in party.medias if media.streams)
        for tag, party in reply.tags.items()
    }


def last_heard_of(reply: Reply) -> dict[Party, int]:
    """Return by which second each party of a call was heard last, RTP or RTCP."""
    packets = packets_of(reply)
    return {
        Party(tag): 1 + max(each.last_packet for media in party.medias for each in media.streams)
        for tag, party in reply.tags.items()
        if packets[Party(tag)]
    }


def _sdp(reply: Reply) -> bytes:
    if not reply.sdp:
        raise MediaRefused("rtpengine answered without a session description")
    return reply.sdp.encode()
