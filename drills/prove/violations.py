"""What can be broken, by name, and what was. PURE."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Law(StrEnum):
    """One law each; the value is what a report says."""

    TWO_OFFERS = "agent in two offers"
    TWO_AGENTS = "call with two agents"
    NOT_WAITING = "agent given to a call that does not wait"
    NOT_READY = "agent given who is not ready"
    RISEN = "call goes on after its end"
    TWO_HOLDERS = "call with two holders"
    TWO_RECORDS = "call ended in two ways"
    NO_RECORD = "call ended in no way"
    CLOSED_OF_LIVING = "call of a living edge closed for it"
    OFFER_LEFT = "agent held for a call that does not have them"
    STALE_TOKEN = "stale token let through"  # noqa: S105 - no password
    GONE = "agent offered whose telephone has gone"
    ONLY_ASKED = "caller handed to an agent who was only asked"
    FALSE_TOKEN = "token let through that no reservation made"  # noqa: S105
    TWO_CALLS = "telephone rung while in a call"
    UNSKILLED = "agent given who cannot do what is asked for"
    NO_CALLS = "agent given who takes no calls"
    OTHER_TENANT = "call served by another tenant"
    OVERTAKEN = "call served before one that came first"
    PASSED_OVER = "callers of a living edge passed over"
    PLACE_LOST = "caller who dialled again without their old place"
    PLACE_TWICE = "old place had twice"
    FALSE_PLACE = "place had that was not left to them"
    FORGOTTEN = "call left waiting beside a free agent"
    NOT_TAKEN_UP = "call of a killed edge lost, though it was back in time"
    NOT_FREED = "dead edge's calls not closed in time"
    NOT_HEALED = "mirror wrong for longer than 30 s"
    NOT_ALONE = "site cut off that does not serve alone"
    NOT_MERGED = "what was done alone not merged in time"
    ALONE_TOKEN = "token made alone for a site with a quorum"  # noqa: S105 - no password
    STUCK = "stuck at the end"
    UNTRUE = "record that does not say what happened"


class Violation(Struct, frozen=True, kw_only=True):
    """One breach."""

    law: Law
    at_s: float
    text: str
    revision: int = 0
    """Of the store, where the breach is one revision."""
