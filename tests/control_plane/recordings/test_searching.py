"""Recordings by what their calls were and by whose they are, each for whom it may be told."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from control_plane.calls.tables import CallRow
from control_plane.permissions import Role
from tests.control_plane.recordings.test_recordings import CALL, OTHERS, Served, path, served

__all__ = ["served"]


async def two_calls(served: Served) -> str:
    """Let CALL have come from a customer, about a complaint; return the customer's id."""
    await served.call(OTHERS)
    manager = await served.center.person(Role.MANAGER)
    draft = {"name": "Anna", "numbers": ["+4930111222"], "tags": ["gold"]}
    customer = str((await manager.post("/v1/customers", draft)).json["id"])
    told = {"caller": "+4930111222", "code": "complaint", "ended_ms": 99_000}
    async with served.center.services.database.write() as connection:
        await connection.execute(update(CallRow).where(CallRow.id == CALL).values(**told))
    return customer


@pytest.mark.parametrize(
    "query",
    [
        "customer={customer}",
        "customer_tag=gold&queue=sales",
        "disposition=complaint",
        "min_length_s=97",
    ],
)
async def test_a_recording_is_found_by_what_it_is(served: Served, query: str) -> None:
    customer = await two_calls(served)
    manager = await served.center.person(Role.MANAGER)
    found = await manager.get(f"/v1/recordings?{query.format(customer=customer)}")
    assert [each["id"] for each in found.json["items"]] == [CALL]


@pytest.mark.parametrize(
    "query", ["customer=cus_nobody", "customer_tag=silver", "disposition=sale", "min_length_s=98"]
)
async def test_and_not_by_what_it_is_not(served: Served, query: str) -> None:
    await two_calls(served)
    manager = await served.center.person(Role.MANAGER)
    assert (await manager.get(f"/v1/recordings?{query}")).json["items"] == []


async def test_by_length_it_is_the_shorter_one(served: Served) -> None:
    await two_calls(served)
    manager = await served.center.person(Role.MANAGER)
    found = (await manager.get("/v1/recordings?max_length_s=7")).json["items"]
    assert [each["id"] for each in found] == [OTHERS]


async def test_whoever_may_not_read_customers_does_not_search_by_them(served: Served) -> None:
    customer = await two_calls(served)
    quality = await served.center.person(Role.QUALITY)
    assert len((await quality.get("/v1/recordings")).json["items"]) == 2
    for query in (f"customer={customer}", "customer_tag=gold"):
        refused = await quality.get(f"/v1/recordings?{query}")
        assert (refused.status, refused.error_id) == (403, "not-searchable")
    await served.center.tenant("t4")
    theirs = await served.center.person(Role.MANAGER, tenant="t4")
    assert (await theirs.get(f"/v1/recordings?customer={customer}")).json["items"] == []


async def test_what_is_played_is_shown_inline_with_its_marks(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    played = await manager.get(path(), **{"Everline-Purpose": "marks"})
    assert played.headers["Content-Disposition"] == "inline"
    shown = (await manager.get(path(part=""))).json
    assert {"pauses", "holds", "masks", "parts", "gaps", "transfers"} <= shown.keys()
