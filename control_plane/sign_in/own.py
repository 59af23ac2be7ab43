"""What people see and do of sign-ins: their own sessions and password, and those of their users."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

from sqlalchemy import select, update

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Answer, Method, Route, Routes, Tx
from control_plane.errors import NOT_FOUND, ApiError, not_found
from control_plane.passwords import hash_password
from control_plane.permissions import Permission
from control_plane.sessions import store
from control_plane.sign_in import guard
from control_plane.sign_in.errors import PASSWORD_SAME, PASSWORD_WRONG
from control_plane.sign_in.schemas import (
    PasswordChange,
    SessionPath,
    SessionsView,
    SessionView,
    UserPath,
)
from control_plane.subjects import Thing
from control_plane.users import service as users
from control_plane.users.tables import UserRow

Mine: TypeAlias = Ask[Nothing, Nothing, Nothing]
OneOfMine: TypeAlias = Ask[SessionPath, Nothing, Nothing]
Named: TypeAlias = Ask[UserPath, Nothing, Nothing]
Changed: TypeAlias = Ask[Nothing, Nothing, PasswordChange]


def _told(ask: Ask[Any, Any, Any], found: tuple[store.Standing, ...]) -> SessionsView:
    return SessionsView(
        items=tuple(
            SessionView(
                id=each.id,
                created=instant(each.created_ms),
                last_used=instant(each.used_ms or each.created_ms),
                expires=instant(each.until_ms),
                address=each.address,
                client=each.client,
                is_current=each.id == ask.subject.session,
            )
            for each in found
        )
    )


async def list_mine(ask: Mine) -> SessionsView:
    """Return where the subject is signed in."""
    return _told(ask, await store.of_user(ask.db, ask.subject.id, ask.now_ms))


async def end_mine(ask: OneOfMine) -> Answer[Nothing]:
    """End one of the subject's sessions: here at once, elsewhere in 2 s."""
    own = {each.id for each in await store.of_user(ask.db, ask.subject.id, ask.now_ms)}
    if ask.at.session not in own:
        raise not_found()
    await store.end(ask.db, ask.at.session, "ended", ask.now_ms)
    # In the log of whose session it is, wherever else they may act.
    await ask.audit(ask.at.session, tenant=ask.subject.tenant)
    ask.services.subjects.forget(ask.subject.id)
    return Answer(body=None)


async def change_password(ask: Changed) -> Answer[Nothing]:
    """Set another password, by the one that is; all other sessions of the subject end."""
    tenant, user, said = ask.subject.tenant, ask.subject.id, ask.body
    async with ask.services.database.read() as connection:
        statement = select(UserRow.login, UserRow.password_hash).where(
            UserRow.tenant == tenant, UserRow.id == user
        )
        row = (await connection.execute(statement)).one_or_none()
    if row is None or row.password_hash is None:
        raise not_found()
    guard.check_try(ask, tenant, row.login)
    hashing = ask.request.app[guard.HASHING]
    if not await hashing.is_right(row.password_hash, said.current):
        raise ApiError(PASSWORD_WRONG)
    guard.was_right(ask, tenant, row.login)
    if said.new == said.current or said.new.lower() == row.login:
        raise ApiError(PASSWORD_SAME)
    hashed = await asyncio.to_thread(hash_password, said.new)
    async with ask.services.database.write() as connection:
        ask.connection = connection
        done = await connection.execute(
            update(UserRow)
            .where(UserRow.id == user, UserRow.password_hash == row.password_hash)
            .values(password_hash=hashed)
        )
        if done.rowcount != 1:
            raise ApiError(PASSWORD_WRONG)
        session = ask.subject.session
        ended = await store.end_of_user(connection, user, "password", ask.now_ms, but=session)
        await ask.audit(user, detail={"sessions_ended": ended}, tenant=tenant)
        ask.connection = None
    ask.services.subjects.forget(user)
    return Answer(body=None)


async def _thing(ask: Named) -> Thing:
    return users.thing(await users.load(ask, ask.at.user))


async def list_of_user(ask: Named) -> SessionsView:
    """Return where a user is signed in."""
    user = await users.load(ask, ask.at.user)
    return _told(ask, await store.of_user(ask.db, user.id, ask.now_ms))


async def end_of_user(ask: Named) -> Answer[Nothing]:
    """End all sessions of a user."""
    user = await users.load(ask, ask.at.user)
    ended = await store.end_of_user(ask.db, user.id, "ended", ask.now_ms)
    await ask.audit(user.id, detail={"sessions_ended": ended})
    ask.services.subjects.forget(user.id)
    return Answer(body=None)


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/me/sessions",
        summary="Where am I signed in",
        access=Permission.SESSION_READ,
        handler=list_mine,
        answer=SessionsView,
    ),
    Route(
        method=Method.DELETE,
        path="/v1/me/sessions/{session}",
        summary="End one of my sessions",
        access=Permission.SESSION_END,
        handler=end_mine,
        at=SessionPath,
    ),
    Route(
        method=Method.POST,
        path="/v1/me/password",
        summary="Change my password, and end my other sessions",
        access=Permission.SESSION_CHANGE_PASSWORD,
        handler=change_password,
        body=PasswordChange,
        tx=Tx.NONE,
        problems=(PASSWORD_WRONG, PASSWORD_SAME, NOT_FOUND),
    ),
    Route(
        method=Method.GET,
        path="/v1/users/{user}/sessions",
        summary="Where a user is signed in",
        access=Permission.USER_SESSIONS,
        handler=list_of_user,
        thing=_thing,
        at=UserPath,
        answer=SessionsView,
    ),
    Route(
        method=Method.DELETE,
        path="/v1/users/{user}/sessions",
        summary="End all sessions of a user",
        access=Permission.USER_SESSIONS,
        handler=end_of_user,
        thing=_thing,
        at=UserPath,
    ),
)
