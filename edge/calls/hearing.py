"""What the agents of an edge's calls hear of callers who key tones in the audio.

For those who are no part of a call: the pauses that people ask for, and the recorder, which listens
to the callers.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.calls.call import CallShell
from edge.calls.switchboard import Switchboard
from state.model import CallId


class Hearing:
    """Of all calls that an edge holds."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard

    def hears_keys(self, call: CallId) -> bool:
        """Tell whether what the caller keys is in the audio; of a call not held here: maybe."""
        shell = self._call(call)
        return shell is None or shell.media.hears_keys

    def hears_caller(self, call: CallId) -> bool:
        """Tell whether the agent does, and not silence in their place for all that is known."""
        shell = self._call(call)
        return shell is None or not shell.media.is_silenced

    async def silence_caller(self, call: CallId, on: bool) -> bool:  # noqa: FBT001 - as it is called
        """Put silence in the caller's place, or the caller again; tell whether it is done."""
        shell = self._call(call)
        return shell is None or await shell.media.silence_caller(on=on)

    def note_silence(self, call: CallId, on: bool) -> None:  # noqa: FBT001 - as it is called
        """Take in what the recorder says of it: in the calls that it records it asks the relay."""
        shell = self._call(call)
        if shell is not None:
            shell.media.ears.note_silence(on=on)

    def hold_back(self, call: CallId) -> None:
        """Let the agent hear a caller who may key tones later than the recorder hears them."""
        shell = self._call(call)
        if shell is not None:
            shell.hold_back()

    async def part(self, call: CallId, on: bool) -> None:  # noqa: FBT001 - as it is called
        """Keep a caller who keys tones from the agent, or no longer; `apart` tells what it is."""
        shell = self._call(call)
        if shell is not None:
            await shell.media.part(on=on)

    def apart(self) -> Mapping[CallId, bool]:
        """Return the calls whose agent the relay may be keeping from the caller; True: it is."""
        parted = ((shell.id, shell.media.ears.parted) for shell in self._switchboard.held())
        return {call: kept.is_so for call, kept in parted if kept.may_be}

    def _call(self, call: CallId) -> CallShell | None:
        return self._switchboard.call(call)
