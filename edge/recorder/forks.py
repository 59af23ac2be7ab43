"""Asks the media relay for copies of what the parties of a call send."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from edge.media import copies, plan, sdp
from edge.media.errors import MediaError, UnknownCall
from edge.media.ng import Command, Verb
from edge.media.plan import Party
from edge.media.rtpengine.client import NgClient

RELAY_BACK_S: Final = 1.5
RELAY_ASKED_S: Final = 0.1
"""So long, and so often, a relay is asked for copies that does not know the call."""


class Fork(NamedTuple):
    """A copy that flows: its name at the relay, where it comes from, what its payload types are."""

    listener: str
    source: tuple[str, int]
    event_clocks: Mapping[int, int]
    """The payload types of telephone-event, with their Hz."""
    opus_types: frozenset[int]

    @property
    def has_tones_alone(self) -> bool:
        """Whether the speaker keys tones in the audio, and can be silenced: G.711, no events."""
        return not self.event_clocks and not self.opus_types


class Forks:
    """The forks of one relay, to one address of ours."""

    def __init__(self, client: NgClient, host: str, port: int) -> None:
        self._client = client
        self._host, self._port = host, port

    async def open(self, call: str, speaker: Party) -> Fork:
        """Have `speaker` copied to us. Raise `MediaError`."""
        reply = await self._client.ask(plan.fork(call, speaker))
        offer = reply.sdp.encode()
        section = copies.copied(offer)
        answer = copies.listening_answer(offer, self._host, self._port)
        await self._client.ask(plan.take_fork(call, speaker, reply.to_tag, answer))
        encodings = {int(k): name for k, name in section.encodings.items() if k.isdecimal()}
        return Fork(
            listener=reply.to_tag,
            source=(section.host, section.port),
            event_clocks=_event_clocks(encodings),
            opus_types=frozenset(each for each, name in encodings.items() if name == sdp.OPUS),
        )

    async def close(self, call: str, fork: Fork) -> None:
        """End a copy; one that is gone is fine."""
        with contextlib.suppress(MediaError):
            await self._client.ask(plan.end_fork(call, fork.listener))

    async def silence(self, call: str, speaker: Party, *, on: bool) -> None:
        """Have silence in the place of what `speaker` sends, or not. Raise `MediaError`."""
        await self._client.ask(plan.silence(call, speaker, on=on))

    async def has(self, call: str) -> bool:
        """Tell whether the relay still has the call; a relay that is silent may have it."""
        try:
            await self._client.ask(Command(verb=Verb.QUERY, call=call))
        except UnknownCall:
            return False
        except MediaError:
            return True
        return True


async def soon(forks: Forks, call: str, speaker: Party) -> Fork:
    """Have `speaker` copied; a relay that was just started anew is told of the call in a moment.

    Raise `MediaError`.
    """
    ends_s = time.monotonic() + RELAY_BACK_S
    while True:
        try:
            return await forks.open(call, speaker)
        except UnknownCall:
            if time.monotonic() > ends_s:
                raise
        await asyncio.sleep(RELAY_ASKED_S)


def _event_clocks(encodings: Mapping[int, str]) -> Mapping[int, int]:
    """Return the payload types of telephone-event: telephones name one for each of their clocks."""
    named = ((kind, each.partition("/")) for kind, each in encodings.items())
    return {
        kind: int(hz)
        for kind, (name, _, hz) in named
        if name == "TELEPHONE-EVENT" and hz.isdecimal() and int(hz)
    }
