"""What one call's people hear, and what is recorded of it: carries the media effects out.

One after the other, each telling its result as an event. Owns the greeting, which may announce the
recording or ask for consent before the queue, and when the recorder is told what. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from edge.acd import call_effects as fx
from edge.acd import call_events as ev
from edge.acd.call import Call, State
from edge.acd.call_events import Side
from edge.acd.recorded import NO_RECORDER
from edge.calls.media import CallMedia
from edge.calls.media_failure import MediaEffect
from edge.calls.played import Spoken
from edge.calls.recording import CANNOT_BE_RECORDED, CallRecording
from edge.calls.tasks import CallTasks
from edge.calls.timers import CallTimers, Own
from state.clock import Clock
from state.model import RecordingFailure


class CallSound:
    """One call's. `call` says how it stands now; `deliver` takes what comes of an effect."""

    def __init__(  # noqa: PLR0913 - what it works with, and whom it tells
        self,
        media: CallMedia,
        recording: CallRecording,
        timers: CallTimers,
        tasks: CallTasks,
        *,
        call: Callable[[], Call | None],
        deliver: Callable[[ev.Event], None],
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Make it. `changed` notes what is not in the call itself."""
        self._media = media
        self._recording = recording
        self._timers = timers
        self._tasks = tasks
        self._call = call
        self._deliver = deliver
        self._changed = changed
        self._clock = clock
        self.heard_until_ms: int | None = None
        """By the wall clock, when what is played before the queue ends; None: it has not begun."""
        self._open_offers: set[Side] = set()
        """Whose offer is with the relay."""

    def is_offering(self, side: Side) -> bool:
        """Tell whether an offer of that side is with the relay."""
        return side in self._open_offers

    def withdraw_offer(self, side: Side) -> None:
        """Take in that a side has cancelled its offer before we answered it."""
        if side in self._open_offers:
            self._media.withdraw(side)

    def do(self, effect: MediaEffect) -> None:
        """Carry a media effect out, after those that are under way."""
        if isinstance(effect, fx.RequeueMedia):
            self._timers.stop(Own.RECORDING)
            self._recording.leave()
        if isinstance(effect, fx.Renegotiate):
            self._open_offers.add(effect.side)
        self._tasks.spawn(self._tell(self._carry_out(effect)))

    async def _carry_out(self, effect: MediaEffect) -> ev.Event | None:
        event = await self._media.carry_out(effect)
        if isinstance(effect, fx.JoinMedia | fx.RequeueMedia | fx.SettleMedia):
            # What the relay has done is not in the call, and the next life would not know.
            self._changed()
        if isinstance(event, ev.MediaJoined):
            self.record()
        if isinstance(effect, fx.Renegotiate):
            self._open_offers.discard(effect.side)
        if isinstance(effect, fx.Renegotiate | fx.SettleMedia) and self._media.played.takes_anew():
            self._begun_anew()
        if isinstance(effect, fx.Play) and effect.prompt is fx.Prompt.GREETING and event is None:
            self._begun_to_speak()
        elif isinstance(effect, fx.Play) and effect.prompt in _TOLD and event is None:
            self._begun_to_tell(effect.prompt)
        return event

    async def _tell(self, doing: Coroutine[None, None, ev.Event | None]) -> None:
        event = await doing
        if event is not None:
            self._deliver(event)

    # -- the recording

    def record(self) -> None:
        """Have the talk of the agent who is there recorded."""
        call = self._call()
        if call is None or call.agent is None:
            return
        is_held = call.hold.since is not None
        if self._recording.join(call.agent, call.attempt, held=is_held):
            self._timers.start(Own.RECORDING, self._recording.confirmed_s, self._check_recording)

    def _check_recording(self) -> None:
        if not self._recording.is_confirmed:
            self.recording_failed(NO_RECORDER)

    def recording_failed(self, because: str) -> None:
        """Take in that the call cannot be recorded: the queue says whether it goes on."""
        call = self._call()
        if call is None or call.state not in _TALKING:
            return
        match self._recording.fail(because):
            case RecordingFailure.END:
                self._deliver(ev.Stop(cause=CANNOT_BE_RECORDED))
            case RecordingFailure.GO_ON:
                self._changed()
                self._tasks.spawn(self._media.apologize())
            case None:
                pass

    # -- what the caller hears before the queue

    def _begun_to_speak(self) -> None:
        spoken_s = self._media.played.spoken_s
        asks = self._media.played.spoken is Spoken.CONSENT and bool(spoken_s)
        if asks:
            spoken_s += self._recording.before.wait_s
            self._timers.stop(Own.GREETING)
            self._tasks.spawn(self._ask(spoken_s))
        else:
            self._timers.start(Own.GREETING, spoken_s, self._spoken)
        self._note_end(spoken_s)

    # -- whether the caller wants to be called back

    def _begun_to_tell(self, prompt: fx.Prompt) -> None:
        spoken_s = self._media.played.spoken_s
        if prompt is fx.Prompt.OFFER:
            self._tasks.spawn(self._ask_back(spoken_s))
        elif prompt is fx.Prompt.NOTICE:
            # Who cannot hear it is called back all the same.
            self._timers.start(Own.NOTICE, spoken_s, self._told_back)

    async def _ask_back(self, spoken_s: float) -> None:
        answer = ev.Answer.NOT_ASKED
        if spoken_s:
            answer = await self._recording.ask_back(spoken_s)
        else:
            self._recording.cannot_ask_back()
        self._deliver(ev.OfferOver(answer=answer))

    def _told_back(self) -> None:
        self._deliver(ev.NoticeOver())

    # -- what the caller hears before the queue, again

    def _begun_anew(self) -> None:
        """Let it be heard to its end; for a key nobody waits longer."""
        call, spoken_s = self._call(), self._media.played.spoken_s
        is_going_on = call is not None and call.state is State.GREETING
        if is_going_on and self._media.played.spoken is not Spoken.CONSENT:
            self._timers.start(Own.GREETING, spoken_s, self._spoken)
            self._note_end(spoken_s)

    def _note_end(self, spoken_s: float) -> None:
        self.heard_until_ms = self._clock.now().wall_ms + round(spoken_s * 1000)
        self._changed()

    def _spoken(self) -> None:
        """Go on with what is to be heard next, or to the queue."""
        if self._media.played.spoken is Spoken.ANNOUNCEMENT and self._media.played.spoken_s:
            self._recording.announce()
        call = self._call()
        if call is None or call.state is not State.GREETING:
            return
        if self._media.played.has_more:
            self.do(fx.Play(prompt=fx.Prompt.GREETING))
        else:
            self._deliver(ev.GreetingOver())

    async def _ask(self, within_s: float) -> None:
        await self._recording.ask(within_s)
        self._deliver(ev.GreetingOver())


_TOLD = frozenset({fx.Prompt.OFFER, fx.Prompt.NOTICE})
_TALKING = frozenset({State.JOINING, State.CONNECTED})
