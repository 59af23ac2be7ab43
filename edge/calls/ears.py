"""What the relay keeps from one call's agent of a caller who keys tones, as far as an edge knows.

It is written down before the relay is asked, and struck out once the relay has said that it is so
no longer: whatever is lost between the two, and whoever dies, somebody sees to its end.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from edge.media.errors import MediaError, MediaUnavailable, UnknownCall
from edge.media.relay import Relay
from state.model import CallId

log = structlog.get_logger()


class Ears:
    """Of the agent who is in the call."""

    def __init__(self, relay: Relay, call: CallId) -> None:
        self._relay = relay
        self._call = call
        self.may_be_parted = False
        """The relay may send them nothing of the caller: it does, or has given no answer."""
        self.is_parted = False
        """It does."""
        self.on_change: Callable[[], None] = _nobody
        """Is told when the next life of this edge would have something else to see to."""

    def restore(self, *, may_be_parted: bool) -> None:
        """Go on where a former process left off."""
        self.may_be_parted = may_be_parted

    def forget(self) -> None:
        """Take in that another description of an agent stands in the relay, or none."""
        self.may_be_parted = self.is_parted = False

    async def part(self, agent_sdp: bytes, *, on: bool) -> None:
        """Send the agent, who has said this last, nothing of the caller, or all again.

        What comes of it `may_be_parted` and `is_parted` tell: nothing is raised.
        """
        before = self.may_be_parted
        self._note(may_be_parted=on or before)
        try:
            await self._relay.part(self._call, agent_sdp, on=on)
        except MediaError as error:
            log.warning("media_failed", call=self._call, step="part", error=str(error))
            self.is_parted = False
            if isinstance(error, UnknownCall):
                # It sends nobody anything: not for us to mend.
                self._note(may_be_parted=False)
            elif not isinstance(error, MediaUnavailable):
                self._note(may_be_parted=before)
            return
        self.is_parted = on
        self._note(may_be_parted=on)

    def _note(self, *, may_be_parted: bool) -> None:
        if self.may_be_parted is not may_be_parted:
            self.may_be_parted = may_be_parted
            self.on_change()


def _nobody() -> None:
    """Nobody wants to know."""
