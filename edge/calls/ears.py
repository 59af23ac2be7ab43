"""What the relay keeps from one call's agent of a caller who keys tones, as far as an edge knows.

It is written down before the relay is asked, and struck out once the relay has said that it is so
no longer: whatever is lost between the two, and whoever dies, somebody sees to its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from edge.media.errors import MediaError, MediaUnavailable, UnknownCall
from edge.media.relay import Relay
from state.model import CallId

log = structlog.get_logger()


class EarsNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a later process has to know of it."""

    may_be_parted: bool = False
    may_be_silenced: bool = False
    is_silenced: bool = False


ALL_IS_HEARD = EarsNote()


class Kept:
    """One way in which the relay keeps something from the agent, or does not."""

    def __init__(self, step: str, call: CallId, changed: Callable[[], None]) -> None:
        self._step = step
        self._call = call
        self._changed = changed
        self.may_be = False
        """It does, or has given no answer."""
        self.is_so = False
        """It does."""

    def note(self, *, may_be: bool, is_so: bool) -> None:
        """Take in how it is."""
        if (self.may_be, self.is_so) != (may_be, is_so):
            self.may_be, self.is_so = may_be, is_so
            self._changed()

    async def ask(self, doing: Callable[[], Awaitable[None]], *, on: bool) -> None:
        """Have the relay do so, or no longer. Raises nothing that the relay says."""
        before = self.may_be, self.is_so
        self.note(may_be=on or self.may_be, is_so=self.is_so)
        try:
            await doing()
        except UnknownCall as error:
            self._log(error)
            self.note(may_be=False, is_so=False)  # it sends nobody anything: not for us to mend
        except MediaUnavailable as error:
            self._log(error)
            self.note(may_be=self.may_be, is_so=False)
        except MediaError as error:
            self._log(error)
            self.note(may_be=before[0], is_so=before[1])
        else:
            self.note(may_be=on, is_so=on)

    def _log(self, error: MediaError) -> None:
        log.warning("media_failed", call=self._call, step=self._step, error=str(error))


class Ears:
    """Of the agent who is in the call."""

    def __init__(self, relay: Relay, call: CallId) -> None:
        self._relay = relay
        self._call = call
        self.on_change: Callable[[], None] = _nobody
        """Is told when the next life of this edge would have something else to see to."""
        self.parted = Kept("part", call, self._changed)
        """From the caller: the relay sends the agent nothing."""
        self.silenced = Kept("silence", call, self._changed)
        """It sends silence in the caller's place."""

    @property
    def as_noted(self) -> EarsNote:
        """What a later process has to know."""
        return EarsNote(
            may_be_parted=self.parted.may_be,
            may_be_silenced=self.silenced.may_be,
            is_silenced=self.silenced.is_so,
        )

    def restore(self, note: EarsNote) -> None:
        """Go on where a former process left off."""
        self.parted.may_be = note.may_be_parted
        self.silenced.may_be, self.silenced.is_so = note.may_be_silenced, note.is_silenced

    def forget_parting(self) -> None:
        """Take in that another description of an agent stands in the relay, or none."""
        self.parted.may_be = self.parted.is_so = False

    async def part(self, agent_sdp: bytes, *, on: bool) -> None:
        """Send the agent, who has said this last, nothing of the caller, or all again."""
        await self.parted.ask(lambda: self._relay.part(self._call, agent_sdp, on=on), on=on)

    async def part_again(self, agent_sdp: bytes) -> None:
        """Part them after something that has let the agent hear."""
        self.parted.is_so = False
        await self.part(agent_sdp, on=True)

    async def silence(self, *, on: bool) -> None:
        """Let the agent hear silence in the caller's place, or the caller."""
        await self.silenced.ask(lambda: self._relay.silence_caller(self._call, on=on), on=on)

    def note_silence(self, *, on: bool) -> None:
        """Take in what the recorder says, which may have asked the relay; False: it is not sure."""
        self.silenced.note(may_be=on or self.silenced.may_be, is_so=on)

    def _changed(self) -> None:
        self.on_change()


def _nobody() -> None:
    """Nobody wants to know."""
