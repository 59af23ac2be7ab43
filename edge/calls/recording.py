"""The recording of one call: whether there is one, what the caller is asked for it, and its end.

What follows from the configuration `edge.acd.recorded` decides. Here is remembered what came of it,
and what becomes of a call that should be recorded and cannot be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from edge.acd import recorded
from edge.acd.call_events import Answer
from edge.acd.recorded import NO_RECORDER, NOT_ASKED, Before, Heard
from edge.acd.region import international
from edge.call_recorder import CallRecorder
from state.model import AgentId, Queue, RecordingFailure, RecordingRules, Ticket

log = structlog.get_logger()

CONFIRMED_S: Final = 3.0
"""So long after an agent has joined, the recorder has said that it records, or it does not."""
LONGEST_KEY_S: Final = 30.0
"""For no key the recorder waits longer."""
CANNOT_BE_RECORDED: Final = "cannot_be_recorded"
"""Why a call ends whose queue would rather have no call than one without a recording."""


class CallRecording:
    """One call's dealings with the recorder."""

    def __init__(
        self,
        recorder: CallRecorder,
        ticket: Ticket,
        rules: RecordingRules,
        *,
        records: Callable[[AgentId], bool],
    ) -> None:
        """Begin. `records` tells whether an agent is recorded at all."""
        self._recorder = recorder
        self._ticket = ticket
        self._rules = rules
        self._records = records
        self._has_failed = False
        self._because = ""
        self._was_confirmed = False
        self.heard: Heard = NOT_ASKED

    @property
    def unrecorded(self) -> str:
        """Why there is no recording, or none of a part; empty: there is, or nobody has answered.

        A recorder that came late has made one, and its manifest tells the gap.
        """
        if self._because != recorded.NO_RECORDER:
            return self._because
        came_late = not self._has_failed and (self._was_confirmed or self.is_confirmed)
        return "" if came_late else self._because

    @property
    def rules(self) -> RecordingRules:
        """By which it goes: its queue's."""
        return self._rules

    @property
    def before(self) -> Before:
        """What the caller hears before the queue."""
        return recorded.before(self._rules, self._ticket.call, self._caller)

    @property
    def _caller(self) -> str:
        return international(self._ticket.caller, self._ticket.region)

    @property
    def apology(self) -> str | None:
        """The prompt for a call that goes on unrecorded."""
        return self._rules.apology

    def restore(self, heard: Heard, unrecorded: str) -> None:
        """Go on where a former process left off."""
        self.heard, self._because = heard, unrecorded
        self._has_failed = unrecorded != "" and not self._may_come_late(unrecorded)

    def move(self, queue: Queue) -> None:
        """Go by another queue's rules: the caller waits there now."""
        self._rules = queue.recording
        self._ticket = replace(self._ticket, queue=queue.id)

    def announce(self) -> None:
        """Note that the caller has heard that the call is recorded."""
        self.heard = replace(self.heard, announced=True)

    async def ask(self, within_s: float) -> None:
        """Wait for the key by which the caller consents."""
        call, key = self._ticket.call, self.before.key
        consents = await self._recorder.await_key(call, key, within_s)
        self.heard = replace(self.heard, consents=consents)
        log.info("consent_asked", call=call, consents=consents)

    async def ask_back(self, spoken_s: float) -> Answer:
        """Wait for the key by which the caller wants to be called back: the recorder hears keys."""
        call, rules = self._ticket.call, self._ticket.call_back
        if rules is None or not self._recorder.is_there:
            self.cannot_ask_back()
            return Answer.NOT_ASKED
        within_s = min(spoken_s + rules.wait_s, LONGEST_KEY_S)
        takes = await self._recorder.await_key(call, rules.key, within_s)
        log.info("callback_offered", call=call, takes=takes)
        return Answer.TAKES if takes else Answer.WAITS

    def cannot_ask_back(self) -> None:
        """Say that the caller is not asked whether they want to be called back."""
        because = "prompt_not_played" if self._recorder.is_there else NO_RECORDER
        log.warning("callback_not_offered", call=self._ticket.call, because=because)

    def join(self, agent: AgentId, attempt: int, *, held: bool) -> bool:
        """Have the call with this agent recorded, if it is to be; return whether it is."""
        call = self._ticket.call
        because = recorded.unrecorded_because(
            self._rules,
            call,
            self._caller,
            self.heard,
            agent_recorded=self._records(agent),
        )
        if self._has_failed:
            return False
        if because:
            self._because = because
            self._recorder.leave(call)
            log.info("call_unrecorded", call=call, because=because)
            return False
        self._recorder.record(call, self._ticket.queue, agent, attempt)
        self._recorder.hold(call, on=held)
        return True

    def hold(self, *, on: bool) -> None:
        """Tell the recorder of a hold."""
        self._recorder.hold(self._ticket.call, on=on)

    def leave(self) -> None:
        """Tell it that the agent has left."""
        self._recorder.leave(self._ticket.call)

    def stop(self) -> None:
        """Tell it that the call is over."""
        self._was_confirmed = self._was_confirmed or self.is_confirmed
        self._recorder.stop(self._ticket.call)

    @property
    def confirmed_s(self) -> float:
        """How long the recorder has to say that it records the call."""
        return CONFIRMED_S if self._recorder.is_there else 0.0

    @property
    def is_confirmed(self) -> bool:
        """Whether the recorder has said that it records this call."""
        return self._recorder.confirms(self._ticket.call)

    def fail(self, because: str) -> RecordingFailure | None:
        """Take in that the call cannot be recorded; return what is to become of it, once.

        None: nothing. A recorder that goes away later has made a part of the recording, and the gap
        will be in its manifest: only a queue that ends such calls is concerned. One that is not
        there yet may come late, unless the caller has been told that there is none.
        """
        ends = self._rules.failure is RecordingFailure.END
        goes_on = because == recorded.NO_RECORDER and self.is_confirmed and not ends
        if self._has_failed or goes_on:
            return None
        self._because = because
        if not self._may_come_late(because):
            self._has_failed = True
            self._recorder.stop(self._ticket.call)
        # A site without a recorder has said so when it started; of each call its record says so.
        if ends or self._recorder.is_there:
            note = log.error if ends else log.info
            then = self._rules.failure
            note("call_unrecorded", call=self._ticket.call, because=because, then=then)
        return self._rules.failure

    def _may_come_late(self, because: str) -> bool:
        goes_on = self._rules.failure is RecordingFailure.GO_ON
        return because == recorded.NO_RECORDER and goes_on and self._rules.apology is None
