"""The media of one call: what `edge.acd` wants of the relay, one step after the other.

Keeps what rtpengine does not: the last session description of each side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, assert_never

import structlog

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call_events import Side
from edge.calls.ears import Ears
from edge.calls.media_failure import MediaEffect, failure
from edge.calls.pair_media import PairMedia
from edge.calls.played import Played, Sounds
from edge.media.edits import asked_offer, open_to_all, with_events, with_ours
from edge.media.errors import MediaError, MediaExhausted, MediaUnavailable, SdpError
from edge.media.facing import standing_answer
from edge.media.pinned import is_served
from edge.media.plan import AGENT, CALLER, Party
from edge.media.relay import Relay
from edge.media.sdp import audio, keys_apart, speaks_opus, talk
from state.model import CallId

log = structlog.get_logger()


class _Ahead(NamedTuple):
    """What the relay has said of an agent's offer before there was an agent."""

    said: bytes
    """By the caller: of this it is."""
    told: bytes | MediaExhausted | MediaUnavailable


class CallMedia:
    """One call's dealings with the relay."""

    def __init__(self, engine: Relay, call: CallId, sounds: Sounds) -> None:
        self._engine = engine
        self._call = call
        self._turn = asyncio.Lock()
        self._said: dict[Side, bytes] = {}
        """What each side last said of itself."""
        self._withdrawn: set[Side] = set()
        """Whose offer has been cancelled while it was with the relay."""
        self._told: dict[Side, bytes] = {}
        """What each side was last told."""
        self._stands = b""
        """What the caller goes by: they have accepted it."""
        self._is_joined = False
        self._is_closed = False
        self._ahead: _Ahead | None = None
        self._is_forgotten = False
        """By a relay of before: what the caller was told is of ports that are no more."""
        self.ears = Ears(engine, call)
        self.played = Played(engine, call, sounds)

    def beside(self, suffix: str) -> PairMedia:
        """Return the media of two agents who talk about this call."""
        return PairMedia(self._engine, f"{self._call}{suffix}")

    @property
    def is_joined(self) -> bool:
        """Whether the relay has joined the two."""
        return self._is_joined

    @property
    def hears_keys(self) -> bool:
        """Whether the agent hears what the caller keys: tones in the audio, as far as is known."""
        # Theirs and ours: who was answered without telephone-event may key none.
        descriptions = (self._said.get(Side.CALLER), self._told.get(Side.CALLER))
        return not all(sdp is not None and keys_apart(sdp) for sdp in descriptions)

    @property
    def said(self) -> Mapping[Side, bytes]:
        """What each side last said of itself."""
        return self._said

    @property
    def told(self) -> Mapping[Side, bytes]:
        """What each side was last told."""
        return self._told

    def is_to_be_heard(self, side: Side) -> bool:
        """Whether a side sends, by its own last word."""
        said = self._said.get(side)
        try:
            return said is not None and not talk(said).may_be_silent
        except SdpError:
            return False

    def restore(
        self,
        *,
        said: Mapping[Side, bytes],
        told: Mapping[Side, bytes],
        is_joined: bool,
        is_forgotten: bool = False,
    ) -> None:
        """Go on where a former process left off; `is_forgotten`: not so the relay."""
        self._is_forgotten = is_forgotten
        self._said.update(said)
        self._told.update(told)
        self._stands = told.get(Side.CALLER, b"")
        self._is_joined = is_joined

    async def carry_out(self, effect: MediaEffect) -> ev.Event | None:
        """Do one step, after those before it; tell what came of it, if anything does."""
        async with self._turn:
            try:
                return await self._do(effect)
            except MediaError as error:
                log.warning(
                    "media_failed",
                    call=self._call,
                    step=type(effect).__name__,
                    error=str(error),
                )
                return failure(effect, error)

    async def _do(self, effect: MediaEffect) -> ev.Event | None:  # noqa: PLR0911 - one case an effect
        match effect:
            case fx.OpenMedia(sdp=sdp):
                return ev.MediaOpened(sdp=await self._open(sdp))
            case fx.Play(prompt=prompt):
                await self.played.play(prompt)
                return None
            case fx.PrepareAgent(attempt=attempt):
                told = await self._offer_to_agent()
                # Nobody tells the agent when a caller who holds just now resumes.
                sdp = self._told[Side.AGENT] = open_to_all(told)
                return ev.AgentMediaReady(attempt=attempt, sdp=sdp)
            case fx.JoinMedia(attempt=attempt, sdp=sdp):
                told = await self._join(sdp)
                return ev.MediaJoined(attempt=attempt, sdp=told, is_needed=self._needs(told))
            case fx.RequeueMedia():
                told = await self._requeue()
                return ev.MediaRequeued(sdp=told, is_needed=self._needs(told))
            case fx.SettleMedia(side=side, sdp=sdp):
                await self._settle(side, sdp)
                return None
            case fx.Renegotiate(side=side, sdp=sdp):
                return await self._offered(side, sdp)
            case fx.AskLastHeard():
                return await self._last_heard()
            case fx.CloseMedia():
                self._is_closed = True
                await self._engine.release(self._call)
                return None
            case _:
                assert_never(effect)

    async def look_ahead(self) -> None:
        """Ask the relay for what an agent is offered before there is one, if it can be told.

        It does not depend on who that will be, takes as long as the transaction that reserves them,
        and need not wait for it. If nobody comes of it the next agent is offered the same.
        """
        async with self._turn:
            said = self._said.get(Side.CALLER)
            is_up = Side.CALLER in self._told and not self._is_closed and not self._is_joined
            is_known = self._ahead is not None and not isinstance(
                self._ahead.told, MediaUnavailable
            )
            if said is None or not is_up or is_known:
                return
            self._ahead = None
            try:
                told = await self._engine.offer_to_agent(self._call, said)
            except MediaExhausted as error:
                # The relay has let go of the call: whoever asks again gets one without its caller.
                self._ahead = _Ahead(said, error)
            except MediaError as error:
                # It is asked again when there is an agent, and what comes of that counts.
                if isinstance(error, MediaUnavailable):
                    self._ahead = _Ahead(said, error)
                log.info("media_not_ahead", call=self._call, error=str(error))
            else:
                self._ahead = _Ahead(said, told)

    async def _offer_to_agent(self) -> bytes:
        said, ahead = self._said[Side.CALLER], self._ahead
        self._ahead = None
        if ahead is None or ahead.said is not said:
            return await self._engine.offer_to_agent(self._call, said)
        if isinstance(ahead.told, MediaExhausted):
            raise ahead.told
        if isinstance(ahead.told, MediaUnavailable):
            # The agent, reserved meanwhile, has waited for that answer: not once more as long.
            return await self._engine.offer_to_agent(self._call, said, is_again=True)
        return ahead.told

    async def _last_heard(self) -> ev.LastHeard:
        heard = await self._engine.last_heard(self._call) or {}
        return ev.LastHeard(
            until_ms={
                side: heard[party] * 1000
                for side, party in _PARTY.items()
                if party in heard and self.is_to_be_heard(side)
            }
        )

    async def _open(self, sdp: bytes | None) -> bytes:
        if sdp is None:
            told = await self._engine.offer_caller(self._call)
        else:
            self._said[Side.CALLER] = sdp
            told = await self._engine.hold_caller(self._call, sdp, is_new=True)
        self._told[Side.CALLER] = self._stands = told
        return told

    def _needs(self, told: bytes) -> bool:
        """Whether the caller has to accept this to hear who is there, and to be heard."""
        return not is_served(self._said.get(Side.CALLER, b""), self._stands, told)

    @property
    def is_silenced(self) -> bool:
        """Whether the agent hears silence in the caller's place, for certain; never if in Opus."""
        return self.ears.silenced.is_so and not speaks_opus(self._said.get(Side.CALLER, b""))

    @property
    def _can_be_silenced(self) -> bool:
        """Not a caller who speaks Opus; nor is it wanted of one who keys no tones."""
        return self.hears_keys and not speaks_opus(self._said.get(Side.CALLER, b""))

    async def silence_caller(self, *, on: bool) -> bool:
        """Let the agent hear silence where the caller may key tones, or the caller again.

        Tell whether it is done: nobody may go on listening to silence who has asked for its end.
        """
        silenced = self.ears.silenced
        if on and not self._can_be_silenced:
            return False
        if not on and not self._can_be_silenced and not silenced.may_be:
            return True
        async with self._turn:
            await self.ears.silence(on=on)
        return self.is_silenced if on else not silenced.may_be

    async def hold_back(self) -> None:
        """Let the agent hear a caller who may key tones later than the recorder hears them.

        Copies that are begun later end that.
        """
        async with self._turn:
            if not self._is_joined or not self.hears_keys:
                return
            try:
                await self._engine.hold_back(self._call)
            except MediaError as error:
                log.warning("media_failed", call=self._call, step="hold_back", error=str(error))
                return
            await self.ears.part(self._said[Side.AGENT], on=self.ears.parted.may_be)

    async def part(self, *, on: bool) -> None:
        """Send the agent nothing of a caller who keys tones, or all again; `ears` tells which.

        A caller who hears no agent has nobody to be kept from.
        """
        async with self._turn:
            if self._is_joined:
                await self.ears.part(self._said[Side.AGENT], on=on)
            else:
                self.ears.forget_parting()

    async def apologize(self) -> None:
        """Tell the caller that the call is not recorded."""
        async with self._turn:
            await self.played.apologize()

    def _taking_events(self, sdp: bytes) -> bytes:
        """Return what the agent says, as one who takes the caller's events; none ever come.

        Where the agent's telephone has none the relay would hand the caller's on as they are, and
        the caller would be told to key tones. RFC 3264 §6.1 lets an answer have more formats.
        """
        return with_events(sdp, self._said.get(Side.CALLER, b""))

    async def _join(self, sdp: bytes) -> bytes:
        talk(sdp)  # The relay takes an answer without audio, too, and would tell the caller so.
        sdp = self._taking_events(sdp)
        self._said[Side.AGENT] = sdp
        self.ears.forget_parting()
        if self.ears.silenced.may_be:
            # Who comes has not asked for it, and would wonder.
            await self.ears.silence(on=False)
        # Nobody tells the caller when an agent who holds just now resumes.
        told = open_to_all(await self._engine.join(self._call, sdp))
        self._is_joined = True
        self._told[Side.CALLER] = told
        return told

    async def _requeue(self) -> bytes:
        self._ahead = None
        told = await self._engine.hold_caller(self._call, self._said[Side.CALLER])
        await self._engine.drop_agent(self._call)
        if self.ears.silenced.may_be or self._can_be_silenced:
            # Also what only the recorder knows of, which may be away: an agent has keyed it.
            self.ears.silenced.note(may_be=True, is_so=self.ears.silenced.is_so)
            await self.ears.silence(on=False)
        self.played.stop_speaking()
        await self.played.play_again()
        self._is_joined = False
        self.ears.forget_parting()
        self._told[Side.CALLER] = told
        return told

    async def _settle(self, side: Side, sdp: bytes) -> None:
        """Take in what a side answered to an offer of ours."""
        is_first = side not in self._said
        if side is Side.CALLER and not is_first:
            sdp = with_ours(sdp, self._said[side])
        self._said[side] = sdp
        if side is Side.CALLER and not self._is_joined and is_first:
            await self._engine.caller_answered(self._call, sdp)
            return
        # To the relay it is as if that side had made the offer itself: only its address matters.
        await self._renegotiate(side, sdp)

    def withdraw(self, side: Side) -> None:
        """Take in that a side has cancelled the offer that is with the relay."""
        self._withdrawn.add(side)

    async def _offered(self, side: Side, sdp: bytes | None) -> ev.Event:
        """Take their offer to the relay; if it is cancelled meanwhile, put the relay back."""
        said, told = self._said.get(side), self._told.get(side)
        try:
            answer = await self._renegotiate(side, sdp)
            if side not in self._withdrawn:
                return ev.Renegotiated(side=side, sdp=answer, is_offer=sdp is None)
            if said is not None and told is not None:
                await self._renegotiate(side, said)
                # They were never told otherwise.
                self._told[side] = told
                if side is Side.CALLER:
                    self._stands = told
            return ev.RenegotiationFailed(side=side)
        finally:
            self._withdrawn.discard(side)

    async def _renegotiate(self, side: Side, sdp: bytes | None) -> bytes:
        """Take an offer of one side to the relay and answer for the other."""
        if sdp is None and side is Side.CALLER and self._is_forgotten and not self._is_joined:
            sdp = self._said[side]
        if sdp is None:
            return asked_offer(self._told[side])
        if side is Side.AGENT:
            sdp = self._taking_events(sdp)
        kept = sdp
        self._ahead = None  # what the relay has said of this side before holds no longer
        if not self._is_joined:
            told = await self._engine.hold_caller(self._call, sdp)
            await self.played.play_again()
        else:
            if side is Side.CALLER:
                # What they can be brought back to the queue with: it plays in our codecs alone.
                kept = with_ours(sdp, self._said[side])
                audio(kept)
            other = Side.AGENT if side is Side.CALLER else Side.CALLER
            answer = standing_answer(self._said[other], sdp)
            me, them = _PARTY[side], _PARTY[other]
            await self._engine.relay_offer(self._call, me, them, sdp)
            told = await self._engine.relay_answer(self._call, me, them, answer)
            if self.ears.parted.may_be:
                await self.ears.part_again(sdp if side is Side.AGENT else answer)
        self._said[side] = kept
        self._told[side] = told
        if side is Side.CALLER:
            self._stands = told
            self._is_forgotten = False
        return told


_PARTY: dict[Side, Party] = {Side.CALLER: CALLER, Side.AGENT: AGENT}
