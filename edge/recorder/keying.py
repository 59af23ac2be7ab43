"""What parties key: a caller's answer to a question, digits to be masked, an agent's codes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import structlog

from custody.frame import RATE_HZ
from edge.errors import CommandError
from edge.media.plan import AGENT, CALLER, Party
from edge.recorder.awaited import AwaitedKeys
from edge.recorder.codes import Code, keyed
from edge.recorder.digits import Digit
from edge.recorder.parting import Parting
from edge.recorder.session import SIDES, Session

BY_PHONE: Final = "agent"
"""Whose pause it is that an agent has keyed."""
LONGEST_WAIT_S: Final = 30.0
"""For a key that a caller is to press."""

log = structlog.get_logger()


class Keying:
    """Of all calls that are recorded, by their names at the relay."""

    def __init__(self, of_media: Mapping[str, Session], parting: Parting) -> None:
        self._of_media = of_media
        self._parting = parting
        self._awaited = AwaitedKeys()
        self._watching: set[asyncio.Task[None]] = set()

    async def await_key(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Say whether the caller presses a key within some seconds; another one is no answer."""
        media, key, wait_s = (request.get(name) for name in ("media", "key", "s"))
        if not (
            isinstance(media, str) and isinstance(key, str) and isinstance(wait_s, int | float)
        ):
            raise CommandError("name the call at the relay, the key and the seconds: media, key, s")
        if not 0 < wait_s <= LONGEST_WAIT_S:
            raise CommandError(f"s should be at most {LONGEST_WAIT_S:g}")
        return {"is_pressed": await self._awaited.wait(media, key, float(wait_s))}

    async def key(self, request: Mapping[str, object]) -> Mapping[str, object]:
        """Take a key that a telephone has said to the edge, and that is in no audio."""
        media, party, key, duration_s = (request.get(n) for n in ("media", "party", "key", "s"))
        if not (
            isinstance(media, str)
            and party in SIDES
            and isinstance(key, str)
            and isinstance(duration_s, int | float)
        ):
            raise CommandError("name the call at the relay, who, the key and how long")
        is_known = self.take(
            Digit(
                media=media,
                party=Party(str(party)),
                key=key,
                duration_s=float(duration_s),
                is_withheld=False,
            )
        )
        return {"is_known": is_known}

    def take(self, digit: Digit) -> bool:
        """Take in that somebody has pressed a key; False: in a call of which nothing is known."""
        # Also of a call that is recorded by now: what is keyed there is masked, whoever awaits it.
        is_awaited = self._awaited.take(digit)
        session = self._of_media.get(digit.media)
        if session is None:
            return is_awaited
        if digit.party == AGENT:
            # Whose events are in the copy, and masked from there.
            self._take_code(session, digit)
        elif digit.party == CALLER:
            channel = session.recording.timeline.sides[SIDES[CALLER]]
            samples = int(digit.duration_s * RATE_HZ)
            channel.key(session.now(), samples, is_withheld=digit.is_withheld)
        return True

    def _take_code(self, session: Session, digit: Digit) -> None:
        session.keyed, code = keyed(session.keyed, digit.key, time.monotonic())
        call = session.recording.facts.call
        match code:
            case Code.PAUSE:
                session.recording.pause(session.now(), BY_PHONE)
                log.info("paused_by_phone", call=call)
            case Code.PAUSE_FOR_KEYS:
                session.recording.pause(session.now(), BY_PHONE, for_keys=True)
                log.info("paused_by_phone", call=call, for_keys=True)
            case Code.RESUME:
                session.recording.resume(session.now())
                log.info("resumed_by_phone", call=call)
            case None:
                return
        watching = asyncio.create_task(self._see_done(session))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def _see_done(self, session: Session) -> None:
        await self._parting.follow(session)
        try:
            await session.recording.kept()
        except OSError as error:
            call = session.recording.facts.call
            log.error("pause_not_kept", call=call, reason=error.strerror)  # noqa: TRY400 - one line
