"""What a call needs of the site's recorder, and a site that has none."""

from __future__ import annotations

from typing import Final, Protocol

from edge.media.plan import Party
from edge.sip.keys import Key
from state.model import AgentId, CallId, QueueId


class CallRecorder(Protocol):
    """What a call needs of the recorder."""

    @property
    def is_there(self) -> bool:
        """Whether the site has one at all."""
        ...

    def record(self, call: CallId, queue: QueueId, agent: AgentId, attempt: int) -> None:
        """Have the call recorded; or say that another agent, or one anew, has joined it."""
        ...

    def hold(self, call: CallId, *, on: bool) -> None:
        """Say that the agent has put the caller on hold, or talks again."""
        ...

    def leave(self, call: CallId) -> None:
        """Say that the agent has left, and the caller waits for another."""
        ...

    def stop(self, call: CallId) -> None:
        """Say that the call is over; one that was not recorded is fine."""
        ...

    def confirms(self, call: CallId) -> bool:
        """Tell whether the recorder has said that it records the call."""
        ...

    async def await_key(self, call: CallId, key: str, within_s: float) -> bool:
        """Return whether the caller presses a key; False also when nobody can tell."""
        ...

    def key(self, call: CallId, party: Party, key: Key) -> None:
        """Say that somebody has pressed a key, and that the relay knows nothing of it."""
        ...


class NoRecorder:
    """A site that records nothing."""

    is_there: Final = False

    def record(self, call: CallId, queue: QueueId, agent: AgentId, attempt: int) -> None:
        """Nothing is recorded."""

    def hold(self, call: CallId, *, on: bool) -> None:
        """Nothing is."""

    def leave(self, call: CallId) -> None:
        """Nothing is."""

    def stop(self, call: CallId) -> None:
        """Nothing was."""

    def confirms(self, call: CallId) -> bool:  # noqa: ARG002 - of no call
        """Nothing is."""
        return False

    async def await_key(self, call: CallId, key: str, within_s: float) -> bool:  # noqa: ARG002 - as above
        """Nobody listens."""
        return False

    def key(self, call: CallId, party: Party, key: Key) -> None:
        """Nobody listens."""
