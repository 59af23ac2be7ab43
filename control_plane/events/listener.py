"""One client of the stream as the hub knows it: who, with which eyes, and what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from control_plane.authz import Authz
from control_plane.permissions import LIVE_CALL, Permission
from control_plane.subjects import Circumstances, Question, Subject, Thing

WAITING: Final = 256
"""Messages that wait for one client; one more, and it is cut off."""


class Over(IntEnum):
    """Why a stream is closed: the close code."""

    GOING_AWAY = 1001
    """This control plane stops: go on at another one."""
    SIGNED_OUT = 4001
    """The session has ended, or the user was disabled."""
    TOO_SLOW = 4002
    """Messages were not taken: resume when you can."""
    UNSURE = 4003
    """The database has been away for so long that nobody knows who may listen."""


@dataclass(eq=False, slots=True, kw_only=True)
class Listener:
    """One stream."""

    subject: Subject
    tenant: str
    topics: frozenset[str]
    is_fresh: bool
    known_s: float
    """When it was last known who this is."""
    policy: str = ""
    """The version of the policy by which they were told to list what they show."""
    waiting: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(WAITING))
    over: Over | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def eyes(self) -> tuple[object, ...]:
        """Return what decisions about this listener rest on: who have the same see the same."""
        who = self.subject
        return (
            self.tenant, self.topics, self.is_fresh, who.roles_in(self.tenant), who.is_active,
            who.until_ms is None, who.agent, who.employer, who.team, who.site, self.policy,
        )  # fmt: skip

    def put(self, message: bytes) -> None:
        """Let a message wait. A client for whom too many wait is cut off."""
        try:
            self.waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.end(Over.TOO_SLOW)

    def end(self, because: Over) -> None:
        """Let the stream be closed."""
        if self.over is None:
            self.over = because
            self.ended.set()

    def sees(self, authz: Authz, now_ms: int) -> Callable[[Thing, Permission], bool]:
        """Return the policy as it decides for this listener now."""
        around = Circumstances(now_ms=now_ms)

        def decide(thing: Thing, permission: Permission) -> bool:
            if not self.is_fresh and permission not in LIVE_CALL:
                return False
            question = Question(
                subject=self.subject,
                tenant=self.tenant,
                permission=permission,
                thing=thing,
                around=around,
            )
            return authz.decide(question).allowed

        return decide
