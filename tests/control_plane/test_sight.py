"""A page tells of no row that whoever asks may not see: not by its length, and not by `next`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from control_plane.api import sight
from control_plane.api.paging import Listing
from control_plane.api.sight import in_sight
from control_plane.calls.tables import CallRow
from control_plane.permissions import Role
from state.model import AgentId, CallId, SiteId
from tests.control_plane.center import Center
from tests.control_plane.recordings.test_holding import OLD, RECORD

SMALL = 4
"""Rows that are looked at together here."""


class Rows:
    """Rows of which some are hidden, and who asked for how many of them."""

    def __init__(self, rows: Sequence[bool]) -> None:
        self.rows = tuple(enumerate(rows))
        self.asked: list[int] = []

    async def page(self, listing: Listing) -> tuple[Sequence[tuple[int, bool]], str | None]:
        """Return a page, seen or not."""
        self.asked.append(listing.limit)
        first = int(listing.cursor or 0)
        end = first + listing.limit
        return self.rows[first:end], str(end) if end < len(self.rows) else None

    async def all_of(self, limit: int) -> list[list[int]]:
        """Return the pages that are shown, one after the other."""
        pages: list[list[int]] = []
        cursor: str | None = None
        while True:
            listing = Listing(limit=limit, cursor=cursor)
            shown, cursor = await in_sight(self.page, listing, lambda row: row[1])
            pages.append([number for number, _ in shown])
            if cursor is None:
                return pages


@given(rows=st.lists(st.booleans(), max_size=25), limit=st.integers(1, 6))
async def test_pages_are_as_if_there_were_no_other_rows(rows: list[bool], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sight, "MAX_PAGE", SMALL)
        seen = [number for number, is_seen in enumerate(rows) if is_seen]
        pages = [seen[first : first + limit] for first in range(0, len(seen), limit)]
        assert await Rows(rows).all_of(limit) == (pages or [[]])


async def test_where_all_is_seen_one_row_more_is_asked_for() -> None:
    rows = Rows([True] * 5)
    shown, cursor = await in_sight(rows.page, Listing(limit=3), lambda row: row[1])
    assert (len(shown), cursor, rows.asked) == (3, "3", [3, 1])


async def test_no_more_than_so_many_rows_are_looked_at_for_one_page() -> None:
    rows = Rows([False] * 5_000 + [True])
    shown, cursor = await in_sight(rows.page, Listing(limit=1), lambda row: row[1])
    assert (shown, cursor, len(rows.asked)) == ([], "801", sight.LOOKS)
    assert [page for page in await rows.all_of(1) if page] == [[5_000]]


def name(number: int) -> str:
    return f"{number:024x}"


async def _calls(center: Center, *whose: tuple[str, str]) -> None:
    """Let calls be over: of these agents, and teams."""
    rows = []
    for number, (agent, team) in enumerate(whose):
        words = {"call": CallId(name(number)), "agent": AgentId(agent), "agent_site": SiteId("a")}
        record = msgspec.structs.replace(RECORD, arrived_ms=1_000 + number, **words)
        told = {"record": msgspec.json.encode(record).decode(), "arrived_ms": 1_000 + number}
        rows.append(OLD | {"id": name(number), "agent": agent, "team": team} | told)
    async with center.services.database.write() as connection:
        await connection.execute(insert(CallRow), rows)


@pytest.mark.parametrize("path", ["/v1/recordings", "/v1/calls"])
async def test_who_asks_for_another_team_s_calls_is_told_of_none(center: Center, path: str) -> None:
    """One to a page: each that was empty and had a `next` was a call of that agent."""
    await _calls(center, *[("ann", "north")] * 3)
    supervisor = await center.person(Role.SUPERVISOR, team="south", site="a")
    nobodys = (await supervisor.get(f"{path}?limit=1&agent=cy")).json
    assert nobodys == {"items": [], "next": None}
    assert (await supervisor.get(f"{path}?limit=1&agent=ann")).json == nobodys


async def test_a_page_is_as_full_as_if_the_calls_of_others_were_not_there(center: Center) -> None:
    await _calls(center, *[("ann", "north"), ("bob", "south")] * 3)
    supervisor = await center.person(Role.SUPERVISOR, team="south", site="a")
    mine = (await supervisor.get("/v1/calls?limit=2")).json
    assert [each["id"] for each in mine["items"]] == [name(5), name(3)]
    rest = (await supervisor.get(f"/v1/calls?limit=2&cursor={mine['next']}")).json
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([name(1)], None)


async def test_who_may_not_be_seen_is_not_counted_either(center: Center) -> None:
    supervisor = await center.person(Role.SUPERVISOR, team="north", site="a", name="Mia")
    for name in ("Ada", "Bea", "Zoe"):
        await center.person(Role.MANAGER, team="south", site="b", name=name)
    page = (await supervisor.get("/v1/users?limit=1&sort=name")).json
    assert ([each["name"] for each in page["items"]], page["next"]) == (["Mia"], None)
    assert (await supervisor.get("/v1/users?limit=1&team=south")).json["next"] is None
