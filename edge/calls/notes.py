"""What one call writes down: where it stands, for this edge's next life, and the record it owes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from edge.acd import call_events as ev
from edge.acd.call import PAST, AgentLeg, Call, State
from edge.acd.call_events import Side
from edge.acd.call_resume import Passing
from edge.acd.owed import Owed
from edge.calls.consulting import Consulting
from edge.calls.journal import CallNote
from edge.calls.legs import CallLegs
from edge.calls.media import CallMedia
from edge.calls.recording import CallRecording
from edge.calls.tools import Tools
from edge.calls.writer import CallWriter
from edge.sip.errors import LocalError
from state.model import Ticket

log = structlog.get_logger()


class CallNotes:
    """One call's lines of the journal. Each time it is told the `ticket` as it will be."""

    def __init__(  # noqa: PLR0913 - what it writes down of
        self,
        tools: Tools,
        legs: CallLegs,
        *,
        media: CallMedia,
        recording: CallRecording,
        writer: CallWriter,
        consulting: Consulting,
        heard_until_ms: Callable[[], int | None],
    ) -> None:
        self._tools = tools
        self._legs = legs
        self._media = media
        self._recording = recording
        self._writer = writer
        self._consulting = consulting
        self._heard_until_ms = heard_until_ms
        self.is_confirmed = False
        """Whether the caller has acknowledged our answer: now the dialog can be taken up."""

    def write_down(self, event: ev.Event, before: Call, call: Call, ticket: Ticket) -> None:
        """Write down what an event has made of the call, if its next life has to know."""
        if isinstance(event, ev.Confirmed) and event.side is Side.CALLER:
            self.is_confirmed = True
        if call.state in PAST:
            self._owe(before, call, ticket)
        elif self.is_confirmed and (
            call.state is not before.state
            or call.transferor != before.transferor
            or call.hears_nothing is not before.hears_nothing
            or call.hold.since != before.hold.since
            or call.asked != before.asked
            or isinstance(event, ev.Confirmed | ev.Renegotiated)
        ):
            self.note(call, ticket)

    def note_again(self, call: Call, ticket: Ticket) -> None:
        """Write down where the call stands: something beside it has changed."""
        if self.is_confirmed and call.state not in PAST:
            self.note(call, ticket)

    def note(self, call: Call, ticket: Ticket) -> None:
        """Write down where the call stands."""
        try:
            self._tools.journal.note(self._note(call, ticket))
        except LocalError as error:
            log.info("leg_gone", call=call.id, effect="journal", because=str(error))

    def _owe(self, before: Call, call: Call, ticket: Ticket) -> None:
        """Write down how the call ended until the store has its record, if it is ours to write."""
        verdict = call.verdict
        if call.state is State.ENDED or call.is_ticket_lost or verdict is None:
            self._tools.journal.forget(call.id)
        elif verdict != before.verdict:
            self._tools.journal.owe(
                Owed(
                    ticket=ticket,
                    ending=self._writer.ending(verdict, call.decision),
                    part=verdict.part,
                    leaving=verdict.leaving,
                    wrap_up_s=call.rules.wrap_up_s,
                    at=verdict.at,
                )
            )

    def _note(self, call: Call, ticket: Ticket) -> CallNote:
        agent = transferor = None
        if call.agent_leg is not AgentLeg.NONE:
            agent = self._legs.note(call.attempt, is_up=call.agent_leg is AgentLeg.UP)
        if call.transferor is not None:
            passed_on = call.transferor
            transferor = self._legs.note(passed_on.attempt, is_up=passed_on.is_up, is_beside=True)
        return CallNote(
            ticket=ticket,
            rules=call.rules,
            state=call.state,
            caller=self._legs.dialog(None),
            said=self._media.said,
            told=self._media.told,
            is_joined=self._media.is_joined,
            decision=call.decision,
            agent=agent,
            hold=call.hold,
            has_talked=call.has_talked,
            hears_nothing=call.hears_nothing,
            heard_until_ms=self._heard_until_ms() if call.state is State.GREETING else None,
            heard=self._recording.heard,
            unrecorded=self._recording.unrecorded,
            recording=self._recording.rules,
            music=self._media.played.music,
            asked=call.asked,
            passing=Passing.of(call),
            transferor=transferor,
            consultation=self._consulting.note,
            ears=self._media.ears.as_noted,
        )
