"""PURE. A request for approval: what it is bound to, how it stands, and what it lets one do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from control_plane.permissions import Permission
from control_plane.subjects import Approval, Glass

DECIDED_WITHIN_MS: Final = 24 * 3_600_000
USED_WITHIN_MS: Final = 3_600_000
DRILLED_WITHIN_MS: Final = 24 * 3_600_000
"""A drill is approved by day and begins in its window at night."""
GLASS_MS: Final = 30 * 60_000
MADE_BY_NEITHER: Final = frozenset({Permission.DRILL_RUN.value, Permission.POLICY_APPLY.value})
"""Of these acts who does them and who says yes must not be of one making: who may do them may be
who makes the people that may say yes."""


class State(StrEnum):
    """How a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    EXPIRED = "expired"


class Request(Struct, frozen=True, kw_only=True):
    """A row. What it asks for does not change."""

    id: str
    tenant: str
    act: str
    things: Mapping[str, str]
    digest: str
    purpose: str
    ticket: str
    by: str
    by_team: str
    made_ms: int
    until_ms: int
    state: State
    decided_by: str = ""
    decided_by_team: str = ""
    decided_ms: int | None = None
    used_ms: int | None = None

    def standing(self, now_ms: int) -> State:
        """Return how it stands now."""
        if self.used_ms is not None:
            return State.USED
        if self.state in (State.WAITING, State.APPROVED) and now_ms >= self.until_ms:
            return State.EXPIRED
        return self.state

    @property
    def used_within_ms(self) -> int:
        """Return for how long a yes to it is good."""
        return DRILLED_WITHIN_MS if self.act == Permission.DRILL_RUN else USED_WITHIN_MS

    def approval(self, *, still_may: bool, are_of_one: bool = False) -> Approval | None:
        """Return what the policy's conditions look at; None: nobody has said yes.

        `still_may`: whether who said yes may still say it; `are_of_one`: whether they have made who
        asks, or were made by them.
        """
        if self.state is not State.APPROVED:
            return None
        return Approval(
            by=self.decided_by,
            act=self.act,
            thing=self.id,
            digest=self.digest,
            things=frozenset(self.things.items()),
            until_ms=self.until_ms,
            is_used=self.used_ms is not None,
            same_line=bool(self.by_team) and self.by_team == self.decided_by_team,
            still_may=still_may,
            are_of_one=are_of_one,
        )

    def glass(self) -> Glass | None:
        """Return the permit that was taken by it; None: it is of another act, or was not used."""
        if self.act != Permission.GLASS_BREAK or self.used_ms is None:
            return None
        until_ms = self.used_ms + GLASS_MS
        return Glass(ticket=self.ticket, until_ms=until_ms, things=frozenset(self.things))


def digest_of(act: str, things: Mapping[str, str], by: str, purpose: str, ticket: str) -> str:
    """Return a digest of exactly what is asked for."""
    told = msgspec.json.encode([act, sorted(things.items()), by, purpose, ticket])
    return hashlib.sha256(told).hexdigest()[:32]
