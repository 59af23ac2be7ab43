"""Sessions: refresh tokens are good once, and whoever steals one ends the session for both.

Whose answer was lost has the same one again; tests/control_plane/sign_in/test_lost_answers.py.
"""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from control_plane.audit.tables import AuditRow
from control_plane.permissions import Role
from control_plane.sessions import store
from control_plane.sessions.store import KEPT_MS, LONGEST_MS
from control_plane.sessions.succession import AGAIN_MS
from control_plane.sessions.tables import RefreshRow, SessionRow
from control_plane.sign_in.store import IDLE_MS, was_here
from control_plane.tenancy.sweeper import sweep
from tests.control_plane.center import PASSWORD, Center, Person, Reply


async def _sign_in(center: Center) -> dict[str, str]:
    said = {"tenant": "main", "login": "admin", "password": PASSWORD}
    reply = await center.ask("POST", "/v1/sessions", said)
    assert reply.status == 201
    found: dict[str, str] = reply.json
    return found


async def _refresh(center: Center, token: str) -> Reply:
    return await center.ask("POST", "/v1/sessions/refresh", {"refresh_token": token})


async def _me(center: Center, token: str) -> int:
    return (await Person(center, "", token).get("/v1/me")).status


async def test_a_session_goes_on_with_a_new_refresh_token_each_time(center: Center) -> None:
    session = await _sign_in(center)
    seen = {session["refresh_token"]}
    for _ in range(3):
        center.clock.advance(400)
        assert await _me(center, session["access_token"]) == 401
        session = (await _refresh(center, session["refresh_token"])).json
        assert await _me(center, session["access_token"]) == 200
        seen.add(session["refresh_token"])
    assert len(seen) == 4


async def test_a_refresh_token_used_twice_ends_the_session_within_five_seconds(
    center: Center,
) -> None:
    first = await _sign_in(center)
    other = await _sign_in(center)
    second = (await _refresh(center, first["refresh_token"])).json
    assert await _me(center, second["access_token"]) == 200
    center.clock.advance(AGAIN_MS / 1000 + 1)
    assert (await _refresh(center, first["refresh_token"])).error_id == "refresh-refused"
    center.clock.advance(5)
    assert await _me(center, second["access_token"]) == 401
    assert (await _refresh(center, second["refresh_token"])).error_id == "refresh-refused"
    assert await _me(center, other["access_token"]) == 200, "another session is not concerned"
    async with center.services.database.read() as connection:
        told = select(AuditRow.tenant, AuditRow.actor).where(AuditRow.action == "session:stolen")
        assert (await connection.execute(told)).all() == [("main", first["user"])]


async def test_of_several_who_refresh_at_once_one_gets_tokens_and_the_session_ends(
    center: Center,
) -> None:
    session = await _sign_in(center)
    said = {"refresh_token": session["refresh_token"]}
    replies = await asyncio.gather(
        *(
            center.ask("POST", "/v1/sessions/refresh", said, {"User-Agent": f"client {n}"})
            for n in range(4)
        )
    )
    assert sorted(reply.status for reply in replies) == [201, 401, 401, 401]
    center.clock.advance(5)
    (won,) = (reply.json for reply in replies if reply.status == 201)
    assert await _me(center, won["access_token"]) == 401


async def test_a_session_that_idles_or_lasts_too_long_is_over(center: Center) -> None:
    session = await _sign_in(center)
    center.clock.advance(IDLE_MS / 1000)
    assert (await _refresh(center, session["refresh_token"])).status == 401
    session = await _sign_in(center)
    for _ in range(LONGEST_MS // (IDLE_MS - 1000)):
        center.clock.advance(IDLE_MS / 1000 - 1)
        reply = await _refresh(center, session["refresh_token"])
        assert reply.status == 201
        session = reply.json
    center.clock.advance(IDLE_MS / 1000 - 1)
    assert (await _refresh(center, session["refresh_token"])).status == 401


async def test_signing_out_ends_that_session(center: Center) -> None:
    session = await _sign_in(center)
    person = Person(center, session["user"], session["access_token"])
    assert (await person.ask("DELETE", "/v1/sessions/current")).status == 204
    assert (await person.get("/v1/me")).status == 401
    assert (await _refresh(center, session["refresh_token"])).status == 401


async def test_a_disabled_user_refreshes_nothing(center: Center) -> None:
    admin = await center.administrator()
    draft = {"login": "anna", "name": "Anna", "password": PASSWORD}
    where = (await admin.post("/v1/users", draft)).headers["Location"]
    said = {"tenant": "main", "login": "anna", "password": PASSWORD}
    token = (await center.ask("POST", "/v1/sessions", said)).json["refresh_token"]
    await admin.ask("PATCH", where, {"is_active": False}, {"If-Match": '"1"'})
    assert (await _refresh(center, token)).status == 401
    assert (await center.ask("POST", "/v1/sessions", said)).error_id == "sign-in-refused"


async def test_no_refresh_token_stands_in_the_database(center: Center) -> None:
    session = await _sign_in(center)
    async with center.services.database.read() as connection:
        kept = list((await connection.execute(select(RefreshRow.digest))).scalars())
    assert session["refresh_token"] not in kept


async def test_a_token_works_with_its_own_session_only(center: Center) -> None:
    mine, other = await center.person(Role.AGENT), await center.person(Role.AGENT)
    now_s = center.clock.now().wall_ms // 1000
    session = center.services.tokens.read(other.token, now_s=now_s).session
    assert await _me(center, center.token(mine.id, session=session)) == 401


async def _tokens(center: Center) -> int:
    async with center.services.database.read() as connection:
        return len((await connection.execute(select(RefreshRow.digest))).all())


async def test_refresh_tokens_go_when_their_session_is_over_and_no_sooner(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _sign_in(center)
    center.clock.advance(60)
    assert (await _refresh(center, first["refresh_token"])).status == 201
    center.clock.advance(LONGEST_MS / 1000 - 61)
    await sweep(center.services)
    assert await _tokens(center) == 2
    again = await _refresh(center, first["refresh_token"])
    assert again.error_id == "refresh-refused"
    async with center.services.database.read() as connection:
        told = select(AuditRow.action).where(AuditRow.action == "session:stolen")
        assert len((await connection.execute(told)).all()) == 1, "it came twice, days later"
    center.clock.advance(IDLE_MS / 1000 + 61)
    monkeypatch.setattr(store, "DROPPED", 1)
    await sweep(center.services)
    assert await _tokens(center) == 1, "few at a time"
    await sweep(center.services)
    assert await _tokens(center) == 0


async def _sessions(center: Center) -> int:
    async with center.services.database.read() as connection:
        return len((await connection.execute(select(SessionRow.id))).all())


async def _is_known_at(center: Center, address: str) -> bool:
    async with center.services.database.read() as connection:
        return await was_here(connection, "main", "admin", address)


async def test_sessions_go_when_nobody_has_to_know_of_them_any_more(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell for a while from where their user signs in: others' guesses do not hold them up."""
    session = (await _sign_in(center))["refresh_token"]
    await _sign_in(center)
    async with center.services.database.write() as connection:
        await connection.execute(update(SessionRow).values(address="203.0.113.7"))
    center.clock.advance(60)
    assert (await _refresh(center, session)).status == 201
    center.clock.advance((LONGEST_MS + KEPT_MS) / 1000 - 61)
    await _sign_in(center)
    await sweep(center.services)
    assert await _sessions(center) == 3
    assert await _is_known_at(center, "203.0.113.7")
    center.clock.advance(1)
    monkeypatch.setattr(store, "DROPPED", 1)
    await sweep(center.services)
    assert await _sessions(center) == 2, "few at a time"
    await sweep(center.services)
    assert await _sessions(center) == 1
    assert not await _is_known_at(center, "203.0.113.7")
