"""A call that is being recorded, with its forks."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from custody.frame import RATE_HZ
from edge.media.plan import AGENT, CALLER, Party
from edge.recorder.asked import Asked
from edge.recorder.codes import NOTHING
from edge.recorder.forks import Fork
from edge.recorder.intake import Stream
from edge.recorder.recording import Recording
from edge.recorder.tones import KeyedTones

SIDES: Final = {CALLER: 0, AGENT: 1}
"""Left and right."""


class Session:
    """A call that is being recorded, with its forks."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.forks: dict[Party, Fork] = {}
        self.streams: dict[Party, Stream] = {}
        self.turn = asyncio.Lock()
        self.joined: tuple[str, int] | None = None
        """Whose leg is copied: the agent, and the how-manieth the edge has tried."""
        self.copied = 0
        """When the two were last begun to be copied: a number that is never the same again."""
        self.keyed = NOTHING
        """By the agent."""
        self.tones = KeyedTones()
        """By the caller."""
        self.parts_keyed = True
        """Whether edges are told of them."""
        self.parting = asyncio.Lock()
        self.is_silenced: bool | None = None
        """Whether the relay puts silence in the caller's place; None: nobody knows."""
        self.asked_s = time.monotonic()
        """When the relay was last asked after the call."""

    @property
    def started_s(self) -> float:
        """When the recording began, on the monotonic clock."""
        return self.recording.facts.started_s

    def now(self) -> int:
        """Return how far the recording is, in samples."""
        return int((time.monotonic() - self.started_s) * RATE_HZ)

    def note(self, asked: Asked) -> None:
        """Note who is in the call, and what is to be kept of what they say."""
        recording, now = self.recording, self.now()
        if asked.agent:
            recording.join(asked.agent, now)
        else:
            self.joined = None
            recording.leave(now)
        recording.hold(now, on=asked.held)
        recording.obey(asked.wish, asked.pause_by, now, for_keys=asked.keyed)

    @property
    def last_s(self) -> float:
        """When something came last, of either party."""
        return max((stream.last_s for stream in self.streams.values()), default=0.0)
