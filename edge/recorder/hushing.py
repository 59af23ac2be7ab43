"""Tells edges at once of callers who key tones, so that no agent hears the next one.

The edges ask what has changed since they last heard, and are answered when something has: a state,
which is said again to whoever asks anew. What is keyed is a pause of the recording, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from edge.errors import CommandError
from edge.media.plan import CALLER
from edge.recorder import inband
from edge.recorder.session import SIDES, Session

LONGEST_WAIT_S: Final = 30.0
log = structlog.get_logger()


class Hushing:
    """The callers who key tones just now."""

    def __init__(self) -> None:
        self._keying: set[str] = set()
        """By the call's name at the relay."""
        # No number of a former life is one of ours.
        self._versions = itertools.count(time.time_ns())
        self._version = next(self._versions)
        self._changed = asyncio.Event()

    def look(self, sessions: Iterable[Session]) -> None:
        """Listen to the callers of all calls, as far as their audio has come in."""
        now_s = time.monotonic()
        known = tuple(sessions)
        heard, keying = _heard(each for each in known if each.parts_keyed), set()
        for session in known:
            is_listened = session.parts_keyed and session.joined is not None
            if not is_listened or CALLER not in session.forks:
                session.tones.forget()
            else:
                session.tones.hear(now_s, is_tone=session in heard)
            if session.tones.is_keying:
                keying.add(session.recording.facts.media)
            self._note(session)
        if keying != self._keying:
            self._keying, self._version = keying, next(self._versions)
            self._changed.set()
            self._changed = asyncio.Event()

    def _note(self, session: Session) -> None:
        recording, keying = session.recording, session.tones.is_keying
        if keying is not recording.is_paused_by_tones:
            recording.pause_by_tones(session.now(), on=keying)
            log.info("caller_keys_tones", call=recording.facts.call, on=keying)

    async def changes(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Return the callers of an edge who key tones, as soon as that is not what it knows."""
        edge, seen, wait_s = (request.get(name) for name in ("edge", "seen", "s"))
        if not (
            isinstance(edge, str) and isinstance(seen, int) and isinstance(wait_s, int | float)
        ):
            raise CommandError("name the edge, what it has seen and the seconds: edge, seen, s")
        if not 0 < wait_s <= LONGEST_WAIT_S:
            raise CommandError(f"s should be at most {LONGEST_WAIT_S:g}")
        if seen == self._version:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        prefix = f"{edge}:"
        calls = sorted(m.removeprefix(prefix) for m in self._keying if m.startswith(prefix))
        return {"seen": self._version, "calls": calls}


def _heard(sessions: Iterable[Session]) -> set[Session]:
    """Return whose callers key a tone. All that is new is looked at together, which costs least."""
    new: dict[int, list[tuple[Session, bytes]]] = {}
    for session in sessions:
        caller = session.recording.timeline.sides[SIDES[CALLER]]
        sound = caller.newest()
        if sound is not None:
            new.setdefault(caller.codec or 0, []).append((session, sound))
    heard = set()
    for codec, each in new.items():
        is_digit = inband.begun(b"".join(sound for _, sound in each), codec)
        heard |= {each[number][0] for number in is_digit.nonzero()[0].tolist()}
    return heard
