"""Whether who has begun to be sent something, or to send it, may go on.

A file may come or go for hours. Whoever is disabled meanwhile, signed out or no longer allowed it
is cut off within seconds, as they are let in nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

from control_plane.api import gate
from control_plane.api.ask import Ask
from control_plane.api.route import Check
from control_plane.errors import FORBIDDEN, SIGN_IN_NEEDED, ApiError
from control_plane.permissions import Permission
from control_plane.subjects import Subject, counts
from control_plane.who import FRESH_S
from state.model import Now

AnyAsk = Ask[Any, Any, Any]
EVERY_S: Final = FRESH_S


async def while_let_in(ask: AnyAsk, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `chunks` as long as the subject is let in. Raise `sign-in-needed`, `forbidden`."""
    looked_s = ask.services.clock.now().mono_s
    async for chunk in chunks:
        now = ask.services.clock.now()
        if now.mono_s - looked_s >= EVERY_S:
            await _check(ask, now)
            looked_s = now.mono_s
        yield chunk


async def _check(ask: AnyAsk, now: Now) -> None:
    """Look the subject up, and decide anew on what was decided on.

    While the database is away they stay who they last were: what has begun is not cut off for that.
    """
    if ask.who is None:
        return
    known = await gate.known_now(ask.services, ask.route, ask.request, ask.who, now)
    if known is None or not counts(known.subject, now.wall_ms):
        raise ApiError(SIGN_IN_NEEDED)
    if not _is_allowed(ask, known.subject):
        raise ApiError(FORBIDDEN)


def _is_allowed(ask: AnyAsk, subject: Subject) -> bool:
    access, authz = ask.route.access, ask.services.authz
    if not isinstance(access, Permission) or ask.thing is None:
        return True
    question = replace(ask.question(access, ask.thing), subject=subject)
    decide = authz.may_ever if ask.route.check is Check.EACH else authz.decide
    return decide(question).allowed
