"""What a simulation goes by: how things stood, what changed from outside, and who called. PURE.

Owns what a day consists of. Where it comes from, a recorded file or somebody's imagination, is told
elsewhere.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from state.errors import BadKeyError
from state.eventlog.lines import Begin, Changed
from state.keys import Kind, parse
from state.model import AgentId, CallRecord

KINDS: Final = frozenset(
    {
        Kind.SITE,
        Kind.QUEUE,
        Kind.DID,
        Kind.CALENDAR,
        Kind.AGENT,
        Kind.MOVE,
        Kind.PRESENCE,
        Kind.EDGE,
        Kind.PROBE,
        Kind.WORK,
    }
)
"""What a day begins with."""


class Caller(Struct, frozen=True, kw_only=True):
    """How one caller behaves, as far as what they did tells: milliseconds."""

    record: CallRecord
    greeting_ms: int
    patience_ms: int | None
    """How long they wait in the queue before they leave; None: longer than they ever had to."""
    is_cut_off: bool
    """When they leave, or have talked for `talk_ms`, it is by a fault, and no wish of theirs."""
    ring_ms: int
    """How long whoever takes it lets it ring."""
    talk_ms: int
    lets_ring: frozenset[AgentId]
    """Who did not take this very call."""


class Day(Struct, frozen=True, kw_only=True):
    """All that a simulation needs."""

    begin: Begin
    changes: tuple[Changed, ...]
    callers: tuple[Caller, ...]
    """By arrival. Without those who left while they were greeted: no rules reach them."""

    @property
    def records(self) -> tuple[CallRecord, ...]:
        """What became of the calls in reality."""
        return tuple(each.record for each in self.callers)


def kind_of(key: str) -> Kind | None:
    """Return what kind of record stands at a key; None: none of ours."""
    try:
        return parse(key).kind
    except BadKeyError:
        return None
