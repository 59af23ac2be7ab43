"""The endpoint of what calls came to, in sums: the shared state's own ledger, read at one revision.

It is read where it is written, in the transaction that ends a call: every site has it at once, and
it outlives each of them. The database has it when a control plane has carried it there, and may be
on its way from one site to another just when somebody wants to know what a site's death has cost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import Final, TypeAlias

from msgspec import Struct

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant, milliseconds
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.errors import UNAVAILABLE, ApiError, invalid
from control_plane.live import counts
from control_plane.live.counts import Lot, Standing, Window
from control_plane.live.desk import follower_of
from control_plane.live.follower import Follower
from control_plane.live.ledger_schemas import CallCountView, LedgerQuery, LedgerView
from control_plane.permissions import Permission
from state import keys
from state.errors import StateError
from state.listing import pages
from state.mirror import MirrorState
from state.model import MAIN
from state.snapshot import Snapshot

Asked: TypeAlias = Ask[Nothing, LedgerQuery, Nothing]
HOUR_MS: Final = 3_600_000
LONGEST_H: Final = 24
LATE_MS: Final = 15 * 60_000
"""By so much a record may be older than it is here that its ticket has gone: an edge's clock is
slow, or the shared state was out of reach."""
SINCE: Final = "query.since"


def window_of(query: LedgerQuery, now_ms: int, kept_h: int) -> Window:
    """PURE. Return which calls are asked for. Raise `invalid` where that is no window."""
    since_ms, until_ms = milliseconds(query.since), milliseconds(query.until)
    end_ms = now_ms if until_ms is None else until_ms
    if since_ms is None:
        since_ms = end_ms - HOUR_MS
    if since_ms >= end_ms:
        raise invalid(SINCE, "should be before `until`, or before now where that is left out")
    if end_ms - since_ms > LONGEST_H * HOUR_MS:
        raise invalid(SINCE, f"should be at most {LONGEST_H} hours before the window's end")
    if since_ms < now_ms - kept_h * HOUR_MS:
        raise invalid(SINCE, f"should be within the last {kept_h} hours: older calls are not kept")
    kept_from_ms = now_ms - kept_h * HOUR_MS + LATE_MS
    return Window(
        since_ms=since_ms, until_ms=until_ms, after=query.after, kept_from_ms=kept_from_ms
    )


async def count_calls(ask: Asked) -> LedgerView:
    """Return how many calls ended which way, are on, or have no account."""
    follower, tenant = follower_of(ask.request.app), ask.tenant
    window = window_of(ask.query, ask.now_ms, ask.services.settings.ledger_kept_h)
    # What is seen of tickets comes first: the record of one that has gone is in what is read then.
    snapshot, gone = follower.mirror.snapshot, follower.departed.all
    is_known = follower.departed.knows(window.after, window.since_ms)
    is_current = follower.mirror.state is MirrorState.LIVE
    book = await _read(follower, snapshot, tenant, window)
    if window.after > book.revision:
        raise invalid("query.after", "should be a revision that the shared state has come to")
    found = book.counts + counts.running(snapshot, tenant, book.recorded)
    missing = counts.unaccounted(gone, snapshot, tenant, window, book.recorded)
    if missing is not None and is_known:
        found += missing
    sums = counts.by_standing(found)
    return LedgerView(
        as_of=instant(ask.now_ms),
        revision=book.revision,
        is_current=is_current,
        since=instant(window.since_ms),
        until=None if window.until_ms is None else instant(window.until_ms),
        ended=sums[Standing.ENDED],
        on=sums[Standing.ON],
        unaccounted=sums[Standing.UNACCOUNTED] if missing is not None and is_known else None,
        unreadable=book.unreadable if tenant == MAIN else None,
        counts=tuple(_count(lot, found[lot]) for lot in sorted(found, key=counts.order)),
    )


class _Book(Struct, frozen=True, kw_only=True):
    """What was read of the ledger."""

    counts: Counter[Lot]
    recorded: frozenset[str]
    """The keys of all records, also of those that are not asked for."""
    unreadable: int
    revision: int


async def _read(follower: Follower, snapshot: Snapshot, tenant: str, window: Window) -> _Book:
    """Read all of it, as it stands at one revision. Raise `unavailable`."""
    found: Counter[Lot] = Counter()
    recorded: set[str] = set()
    unreadable = revision = 0
    try:
        # One at a time: it is all that is kept of a day.
        async with follower.reading, aclosing(pages(follower.store, keys.ENDED)) as read:
            async for page in read:
                # In a thread: of a busy center there are thousands.
                sums = await asyncio.to_thread(counts.ended, page.records, snapshot, tenant, window)
                found += sums.counts
                unreadable += sums.unreadable
                recorded.update(each.key for each in page.records)
                revision = page.revision
    except StateError as error:
        raise ApiError(UNAVAILABLE, "The shared state cannot be reached from here.") from error
    return _Book(
        counts=found, recorded=frozenset(recorded), unreadable=unreadable, revision=revision
    )


def _count(lot: Lot, calls: int) -> CallCountView:
    return CallCountView(
        site=lot.site,
        edge=lot.edge,
        standing=lot.standing.value,
        outcome=lot.outcome,
        cause=lot.cause,
        calls=calls,
    )


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/ledger",
        summary="Count calls by what they came to",
        access=Permission.LEDGER_READ,
        handler=count_calls,
        query=LedgerQuery,
        answer=LedgerView,
        tx=Tx.NONE,
    ),
)
