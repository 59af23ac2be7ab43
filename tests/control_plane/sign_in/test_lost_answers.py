"""Whose answer to a refresh was lost is given the same one again: at once, and nobody else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from control_plane.audit.tables import AuditRow
from control_plane.sessions.succession import AGAIN_MS
from control_plane.sessions.tables import RefreshRow, SessionRow
from control_plane.sign_in import store
from control_plane.sign_in.store import Opened, Origin, Refused
from tests.control_plane.center import PASSWORD, Center, Reply, running, settings

HERE = Origin(address="203.0.113.7", client="Desk/1")


async def _sign_in(center: Center) -> str:
    said = {"tenant": "main", "login": "admin", "password": PASSWORD}
    token: str = (await center.ask("POST", "/v1/sessions", said)).json["refresh_token"]
    return token


async def _refresh(center: Center, token: str) -> Reply:
    return await center.ask("POST", "/v1/sessions/refresh", {"refresh_token": token})


async def _live(center: Center) -> int:
    """Return how many refresh tokens there are that somebody could go on with."""
    statement = (
        select(func.count())
        .select_from(RefreshRow)
        .join(SessionRow, SessionRow.id == RefreshRow.session_id)
        .where(RefreshRow.used_ms.is_(None), SessionRow.ended_ms.is_(None))
    )
    async with center.services.database.read() as connection:
        return (await connection.execute(statement)).scalar_one()


async def test_whose_answer_was_lost_is_given_the_same_refresh_token_again(center: Center) -> None:
    first = await _sign_in(center)
    lost = (await _refresh(center, first)).json
    center.clock.advance(AGAIN_MS / 1000)
    again = await _refresh(center, first)
    assert again.status == 201
    assert again.json["refresh_token"] == lost["refresh_token"]
    assert await _live(center) == 1
    token = {"Authorization": f"Bearer {again.json['access_token']}"}
    assert (await center.ask("GET", "/v1/me", headers=token)).status == 200
    assert (await _refresh(center, lost["refresh_token"])).status == 201
    async with center.services.database.read() as connection:
        told = select(AuditRow.action).where(AuditRow.action == "session:stolen")
        assert (await connection.execute(told)).all() == []


async def test_another_control_plane_gives_the_same_again_after_a_restart(
    tmp_path: Path, begun_file: str
) -> None:
    async with running(settings(tmp_path, begun_file)) as center:
        first = await _sign_in(center)
        lost = (await _refresh(center, first)).json["refresh_token"]
    async with running(settings(tmp_path, begun_file)) as other:
        assert (await _refresh(other, first)).json["refresh_token"] == lost
        assert await _live(other) == 1


async def test_of_one_client_that_asks_several_times_at_once_all_answers_are_the_same(
    center: Center,
) -> None:
    first = await _sign_in(center)
    replies = await asyncio.gather(*(_refresh(center, first) for _ in range(4)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["refresh_token"] for reply in replies}) == 1
    assert await _live(center) == 1


async def test_a_token_before_the_last_one_ends_the_session_also_at_once(center: Center) -> None:
    first = await _sign_in(center)
    second = (await _refresh(center, first)).json["refresh_token"]
    third = (await _refresh(center, second)).json["refresh_token"]
    assert (await _refresh(center, first)).error_id == "refresh-refused"
    assert await _live(center) == 0
    assert (await _refresh(center, third)).error_id == "refresh-refused"


async def _given(center: Center, token: str, origin: Origin, later_ms: int = 0) -> Opened | Refused:
    now_ms = center.clock.now().wall_ms + later_ms
    async with center.services.database.write() as connection:
        return (await store.refresh(connection, token, now_ms, origin))[0]


async def test_nobody_but_the_same_client_at_the_same_address_is_given_it_again(
    center: Center,
) -> None:
    elsewhere = Origin(address="198.51.100.9", client=HERE.client)
    another = Origin(address=HERE.address, client="curl/8")
    for stranger in (elsewhere, another):
        first = await _sign_in(center)
        assert isinstance(await _given(center, first, HERE), Opened)
        assert await _given(center, first, stranger) is Refused.REUSED
        assert await _given(center, first, HERE) is Refused.ENDED


async def test_after_some_seconds_nobody_is_given_it_again(center: Center) -> None:
    first = await _sign_in(center)
    assert isinstance(await _given(center, first, HERE), Opened)
    assert isinstance(await _given(center, first, HERE, AGAIN_MS), Opened)
    assert await _given(center, first, HERE, AGAIN_MS + 1) is Refused.REUSED


async def test_neither_the_token_nor_the_database_alone_tells_the_next_one(center: Center) -> None:
    """The salt changes with each: of what was read before, nothing follows from an old token."""
    first = await _sign_in(center)
    salts: list[str | None] = []
    token = first
    for _ in range(3):
        async with center.services.database.read() as connection:
            salts.append((await connection.execute(select(SessionRow.salt))).scalar_one())
        token = (await _refresh(center, token)).json["refresh_token"]
    assert salts[0] is None
    assert len(set(salts)) == 3
    assert not {first, token} & set(salts)
