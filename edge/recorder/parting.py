"""Keeps agents from the tones that callers key, where a pause is for these.

A telephone without telephone-event keys tones in its audio, which the relay cannot take out for the
agent alone: so the agent hears silence in the caller's place, until somebody resumes. The caller
hears the agent all the while.
"""

from __future__ import annotations

import structlog

from edge.media.errors import MediaError, UnknownCall
from edge.media.plan import CALLER
from edge.recorder.forks import Forks
from edge.recorder.session import Session

log = structlog.get_logger()


class Parting:
    """Has the relay follow what is noted of each recording."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks

    def is_due(self, session: Session) -> bool:
        """Tell whether the relay has something to be told."""
        return _is_wanted(session) not in (None, session.is_silenced)

    async def follow(self, session: Session) -> bool:
        """Tell the relay what is new; return whether the agent hears nothing of the caller.

        What the relay does not take is told again a second later.
        """
        async with session.parting:
            wanted = _is_wanted(session)
            if wanted is None or session.is_silenced is wanted:
                return session.is_silenced is True
            facts = session.recording.facts
            try:
                await self._forks.silence(facts.media, CALLER, on=wanted)
            except MediaError as error:
                session.is_silenced = None
                if not isinstance(error, UnknownCall):  # which is over
                    log.warning("caller_not_silenced", call=facts.call, on=wanted, error=str(error))
                return False
            session.is_silenced = wanted
            log.info("caller_silenced", call=facts.call, on=wanted)
            return wanted


def _is_wanted(session: Session) -> bool | None:
    """Tell whether the caller is to be silenced; None: what they key is not known yet."""
    fork, marks = session.forks.get(CALLER), session.recording.marks
    return None if fork is None else marks.is_paused and marks.for_keys and fork.has_tones_alone
