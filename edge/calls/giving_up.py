"""Lets go of a call of which a fault of ours has made something that does not end in order."""

from __future__ import annotations

from edge.acd import call_effects as fx
from edge.acd.ending import NO_REST, WITHDRAWN, Ending
from edge.acd.owed import Owed
from edge.calls.legs import CallLegs
from edge.calls.media import CallMedia
from edge.calls.recording import CallRecording
from edge.calls.tasks import CallTasks
from edge.calls.tools import Tools
from edge.calls.writer import CallWriter
from state.model import Outcome, Ticket

FAULT = "internal_error"
"""The cause in the record."""


class GivingUp:
    """Ends whatever one call has, in whichever way that can be done."""

    def __init__(  # noqa: PLR0913 - all that a call has
        self,
        tools: Tools,
        legs: CallLegs,
        *,
        media: CallMedia,
        recording: CallRecording,
        writer: CallWriter,
        tasks: CallTasks,
    ) -> None:
        self._tools = tools
        self._legs = legs
        self._media = media
        self._recording = recording
        self._writer = writer
        self._tasks = tasks

    def let_go(self, ticket: Ticket) -> None:
        """Owe the record of a call whose ticket would be that; end the legs, then all else."""
        self._tools.journal.owe(
            Owed(
                ticket=ticket,
                ending=Ending(outcome=Outcome.LOST, cause=FAULT, talk=NO_REST),
                part=WITHDRAWN,
                at=self._tools.clock.now(),
            )
        )
        self._legs.let_go(FAULT)
        self._tasks.spawn(self._clear(ticket))

    async def _clear(self, ticket: Ticket) -> None:
        self._recording.stop()
        try:
            await self._media.carry_out(fx.CloseMedia())
            await self._writer.abandon(FAULT)
            self._tools.journal.forget(ticket.call)
            self._legs.answer_goodbyes()
        finally:
            self._tools.finished(ticket.call)
