"""Tags of recordings: who may set which, how they are found by them, and when they are gone."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, select

from control_plane.audit.tables import AuditRow
from control_plane.calls.tables import CallRow
from control_plane.errors import NOT_FOUND, ApiError
from control_plane.permissions import Role
from control_plane.recordings import tags
from control_plane.recordings.schemas import MOST_TAGS
from control_plane.recordings.tables import TagRow
from tests.control_plane.center import Person, Reply
from tests.control_plane.recordings.test_recordings import CALL, MISSED, OTHERS, Served, served

__all__ = ["served"]


def of(call: str, tag: str) -> str:
    return f"/v1/recordings/{call}/tags/{tag}"


async def put(person: Person, path: str) -> Reply:
    return await person.ask("PUT", path)


async def remove(person: Person, path: str) -> Reply:
    return await person.ask("DELETE", path)


async def found(person: Person, query: str) -> list[str]:
    return [each["id"] for each in (await person.get(f"/v1/recordings?{query}")).json["items"]]


async def test_a_recording_is_found_by_a_tag_that_somebody_has_given_it(served: Served) -> None:
    await served.call(OTHERS)
    quality = await served.center.person(Role.QUALITY)
    for tag in ("training", "escalated", "training"):
        assert (await put(quality, of(CALL, tag))).status == 204
    assert (await put(quality, of(OTHERS, "escalated"))).status == 204
    assert await found(quality, "tag=training") == [CALL]
    assert sorted(await found(quality, "tag=escalated")) == [CALL, OTHERS]
    assert await found(quality, "tag=escalated&queue=orders") == []
    shown = (await quality.get(f"/v1/recordings/{CALL}")).json
    assert shown["tags"] == ["escalated", "training"]

    assert (await remove(quality, of(CALL, "training"))).status == 204
    assert (await remove(quality, of(CALL, "training"))).status == 204
    assert await found(quality, "tag=training") == []


async def test_every_change_of_tags_is_in_the_audit_log(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    await put(manager, of(CALL, "training"))
    await remove(manager, of(CALL, "training"))
    async with served.center.services.database.read() as connection:
        rows = await connection.execute(
            select(AuditRow.thing, AuditRow.detail)
            .where(AuditRow.action == "recording:tag")
            .order_by(AuditRow.number)
        )
        told = [tuple(row) for row in rows]
    assert told == [(CALL, '{"added":"training"}'), (CALL, '{"removed":"training"}')]


@pytest.mark.parametrize(
    ("role", "team", "status"),
    [
        (Role.SUPERVISOR, "north", 204),
        (Role.SUPERVISOR, "south", 404),
        (Role.AGENT, "north", 403),
        (Role.AUDITOR, "north", 403),
    ],
)
async def test_only_who_may_tags(served: Served, role: Role, team: str, status: int) -> None:
    person = await served.center.person(role, team=team, site="a")
    assert (await put(person, of(CALL, "training"))).status == status
    manager = await served.center.person(Role.MANAGER)
    assert await found(manager, "tag=training") == ([CALL] if status == 204 else [])


async def test_what_was_not_answered_and_another_tenants_bear_no_tag(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    assert (await put(manager, of(MISSED, "training"))).status == 404
    await served.center.tenant("t4")
    theirs = await served.center.person(Role.MANAGER, tenant="t4")
    assert (await put(theirs, of(CALL, "training"))).status == 404
    await put(manager, of(CALL, "training"))
    assert await found(theirs, "tag=training") == []


async def test_a_recording_bears_no_more_tags_than_it_may(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    async with served.center.services.database.write() as connection:
        for number in range(MOST_TAGS):
            row = insert(TagRow).values(tenant="main", call=CALL, tag=f"t{number}")
            await connection.execute(row)
    refused = await put(manager, of(CALL, "one-more"))
    assert (refused.status, refused.error_id) == (409, "too-many-tags")
    assert (await put(manager, of(CALL, "t0"))).status == 204, "it bears that one already"


async def test_tags_go_with_their_call(served: Served) -> None:
    manager = await served.center.person(Role.MANAGER)
    await put(manager, of(CALL, "training"))
    async with served.center.services.database.write() as connection:
        await connection.execute(delete(CallRow).where(CallRow.id == CALL))
        assert (await connection.execute(select(TagRow.tag))).all() == []


async def test_a_tag_for_a_call_that_is_gone_meanwhile_is_refused(served: Served) -> None:
    database = served.center.services.database
    with pytest.raises(ApiError) as refused:
        async with database.write() as connection:
            await tags.add(connection, "main", "f" * 24, "training")
    assert refused.value.problem is NOT_FOUND
