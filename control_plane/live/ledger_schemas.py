"""What the API takes and gives of the ledger's sums."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from control_plane.api.model import ApiModel, Instant
from state.model import Outcome


class LedgerQuery(ApiModel):
    """Which calls that are over; those that are on are counted as they stand now."""

    since: Instant | None = None
    """That ended then or later, by the clocks of their edges; left out: an hour before the end."""
    until: Instant | None = None
    """That ended before; left out: all that have."""
    after: Annotated[int, Field(ge=0)] = 0
    """Of these, those whose record came after this revision: that of an earlier answer, so that no
    edge's clock decides which calls have ended since."""


class CallCountView(ApiModel):
    """How many calls were held at one edge and came to the same."""

    site: str
    edge: str
    standing: Literal["ended", "on", "unaccounted"]
    """`unaccounted`: it was on, and there is neither a record nor a ticket of it any more."""
    outcome: Outcome | None
    """Of those that ended."""
    cause: str
    """The constant word beside the outcome."""
    calls: int


class LedgerView(ApiModel):
    """How many calls ended which way, and how many are on: nobody in particular."""

    as_of: Instant
    revision: int
    """Of the shared state, up to which records are counted."""
    is_current: bool
    """False: the shared state has not been heard of for some seconds; those that are on are those
    that were."""
    since: Instant
    until: Instant | None
    ended: int
    on: int
    unaccounted: int | None
    """Null: this control plane has not followed the calls for so long, or one that has no record is
    so old that its record may not be kept any more."""
    unreadable: int | None
    """Records that cannot be read, of whichever time and tenant; null: that is not for this tenant.
    """
    counts: tuple[CallCountView, ...]
