"""Pages of those rows that whoever asks may see, as if there were no others.

A page of rows of which some are then left out tells how many: by its length, and by a `next` behind
which nothing comes. With filters and one row a page that is whose, when and how often. So a page is
filled from the rows behind it, and `next` stands only where a row comes that may be seen.

Not without end: who may see nothing of a million rows has some of them looked at, and then an empty
page with a `next`. That tells of that many hidden rows in a row, and no less.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from control_plane.api.paging import MAX_PAGE, Listing

ListingT = TypeVar("ListingT", bound=Listing)
RowT = TypeVar("RowT")
LOOKS: Final = 5
"""Of up to `MAX_PAGE` rows each, for one page: calls take some 30 ms of the processor then."""


async def in_sight(
    page: Callable[[ListingT], Awaitable[tuple[Sequence[RowT], str | None]]],
    listing: ListingT,
    sees: Callable[[RowT], bool],
) -> tuple[list[RowT], str | None]:
    """Return a page of the rows that `sees` holds of, and where the next such page begins.

    `page` gives the rows of a listing, seen or not, and the cursor behind them. Where all are seen
    one further row is asked for.
    """
    shown: list[RowT] = []
    cursor, size = listing.cursor, listing.limit
    for _ in range(LOOKS):
        rows, after = await page(_part(listing, cursor, size))
        room = listing.limit - len(shown)
        seen = [place for place, row in enumerate(rows) if sees(row)]
        if len(seen) > room:
            if room == 0:
                return shown, cursor
            rows, after = await page(_part(listing, cursor, seen[room - 1] + 1))
            return [*shown, *(row for row in rows if sees(row))], after
        shown += [rows[place] for place in seen]
        cursor = after
        if after is None:
            break
        is_clear = len(seen) == len(rows)
        size = 1 if is_clear and len(shown) == listing.limit else MAX_PAGE
    return shown, cursor


def _part(listing: ListingT, cursor: str | None, size: int) -> ListingT:
    return listing.model_copy(update={"cursor": cursor, "limit": size})
