"""The calls that came of late: those that are over, from the database, and those that are on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from control_plane.api.ask import Ask
from control_plane.calls import store
from control_plane.errors import DatabaseUnavailableError
from control_plane.live.desk import follower_of
from state.model import CallRecord, Ticket

MOST_RECORDS: Final = 20_000
"""So many calls are looked at: where more came, figures are of as long as it takes for these."""


class Past(Struct, frozen=True):
    """The calls that came of late."""

    records: Mapping[str, list[CallRecord]]
    """By queue: those that are over."""
    on: Mapping[str, list[Ticket]]
    """Likewise: those that are not."""
    interval_s: int
    """Over so long all of them are known."""


async def lately(ask: Ask[Any, Any, Any], interval_s: int, queue: str | None = None) -> Past | None:
    """Return the calls that came in the interval; None: the database is away.

    `queue`: to that one alone. Of more than are looked at it is the last.
    """
    since_ms = ask.now_ms - interval_s * 1000
    # Before the database is: a call that ends meanwhile is in one of the two, or in both.
    tickets = follower_of(ask.request.app).mirror.snapshot.tickets
    try:
        async with ask.services.database.read() as connection:
            found = await store.since(connection, ask.tenant, since_ms, MOST_RECORDS, queue=queue)
    except DatabaseUnavailableError:
        return None
    if len(found) >= MOST_RECORDS:
        interval_s = min(interval_s, max(1, (ask.now_ms - found[-1].arrived_ms) // 1000))
    records: dict[str, list[CallRecord]] = {}
    for each in found:
        records.setdefault(each.queue, []).append(each)
    over, since_ms = {each.call for each in found}, ask.now_ms - interval_s * 1000
    on: dict[str, list[Ticket]] = {}
    for entry in tickets.values():
        if entry.value.arrived_ms >= since_ms and entry.value.call not in over:
            on.setdefault(entry.value.queue, []).append(entry.value)
    return Past(records, on, interval_s)
