"""Signing in and out, going on with a session, and being told who one is."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Answer, Feature, Method, Public, Route, Tx
from control_plane.errors import ApiError
from control_plane.passwords import hash_password, is_outdated
from control_plane.permissions import Permission
from control_plane.sessions import store as sessions
from control_plane.sign_in import guard, own, store
from control_plane.sign_in.errors import REFRESH_REFUSED, WRONG
from control_plane.sign_in.schemas import Me, Refresh, Session, SignIn
from control_plane.tokens import ACCESS_S, Claims
from control_plane.users.tables import UserRow

log = structlog.get_logger()
Plain: TypeAlias = Ask[Nothing, Nothing, Nothing]
SignInAsk: TypeAlias = Ask[Nothing, Nothing, SignIn]
RefreshAsk: TypeAlias = Ask[Nothing, Nothing, Refresh]


async def start(ask: SignInAsk) -> Session:
    """Check the password, outside of any transaction: it takes long, on purpose."""
    said, login = ask.body, ask.body.login.lower()
    guard.check_try(ask, said.tenant, login)
    await guard.check_everybodys(ask, said.tenant, login)
    async with ask.services.database.read() as connection:
        statement = select(UserRow.id, UserRow.password_hash, UserRow.is_active).where(
            UserRow.tenant == said.tenant, UserRow.login == login
        )
        row = (await connection.execute(statement)).one_or_none()
    hashing = ask.request.app[guard.HASHING]
    fits = await hashing.is_right(row.password_hash if row else None, said.password)
    if row is None or not fits or not row.is_active:
        log.info("sign_in_refused", tenant=said.tenant, user=row.id if row else "")
        if row is not None:
            refused = ask.entry(
                row.id, action="session:begin", kind="session", tenant=said.tenant,
                actor=row.id, decision="wrong_password" if row.is_active else "disabled",
            )  # fmt: skip
            ask.services.journal.note(refused)
        raise ApiError(WRONG)
    guard.was_right(ask, said.tenant, login)
    fresh = await _hashed_anew(row.password_hash, said.password)
    async with ask.services.database.write() as connection:
        if not await store.is_as_it_was(connection, row.id, row.password_hash):
            raise ApiError(WRONG)
        opened = await store.begin(connection, row.id, said.tenant, ask.now_ms, guard.origin(ask))
        if fresh is not None:
            kept = UserRow.password_hash == row.password_hash
            changed = update(UserRow).where(UserRow.id == row.id, kept)
            await connection.execute(changed.values(password_hash=fresh))
        await _audit(ask, connection, opened.user, opened.tenant, "session:begin", opened.session)
    return session_of(ask, opened)


async def _hashed_anew(kept: str, password: str) -> str | None:
    """Return a hash by today's parameters, where the one that is kept is by older ones."""
    return await asyncio.to_thread(hash_password, password) if is_outdated(kept) else None


async def refresh(ask: RefreshAsk) -> Session:
    """Give the next tokens. One that comes twice ends the session, and that has to stand.

    But for the same client, whose answer was lost a moment ago: it is given the same again.
    """
    token, origin = ask.body.refresh_token, guard.origin(ask)
    async with ask.services.database.write() as connection:
        found, whose = await store.refresh(connection, token, ask.now_ms, origin)
        if found is store.Refused.REUSED:
            await _audit(ask, connection, whose.user, whose.tenant, "session:stolen", whose.session)
    if isinstance(found, store.Refused):
        log.warning("refresh_refused", why=found.value, session=whose.session)
        raise ApiError(REFRESH_REFUSED)
    return session_of(ask, found)


async def end(ask: Plain) -> Answer[Nothing]:
    """Sign out: the session's tokens are over, here at once and elsewhere in 2 s."""
    await sessions.end(ask.db, ask.subject.session, "signed_out", ask.now_ms)
    # In the log of whose session it is, wherever else they may act.
    await ask.audit(ask.subject.session, tenant=ask.subject.tenant)
    ask.services.subjects.forget(ask.subject.id)
    return Answer(body=None)


async def me(ask: Plain) -> Me:
    """Tell the subject who it is."""
    who, authz = ask.subject, ask.services.authz
    is_theirs = ask.tenant == who.tenant or bool(who.roles_in(ask.tenant))
    # Of a tenant that is not theirs it would tell that there is one, with lines of its own.
    policy = authz.policy_of(ask.tenant) if is_theirs else authz.base
    return Me(
        id=who.id,
        tenant=ask.tenant,
        roles=tuple(sorted(who.roles_in(ask.tenant))),
        agent=who.agent,
        team=who.team,
        site=who.site,
        employer=who.employer,
        policy=policy.version,
    )


def session_of(ask: Ask[Any, Any, Any], opened: store.Opened) -> Session:
    """Return what opens the API for a while."""
    now_s = ask.now_ms // 1000
    claims = Claims(
        subject=opened.user,
        tenant=opened.tenant,
        session=opened.session,
        until_s=now_s + ACCESS_S,
    )
    return Session(
        access_token=ask.services.tokens.sign(claims, now_s=now_s),
        refresh_token=opened.refresh_token,
        expires=instant(claims.until_s * 1000),
        user=opened.user,
        tenant=opened.tenant,
    )


async def _audit(  # noqa: PLR0913, PLR0917 - the words of an entry
    ask: SignInAsk | RefreshAsk,
    connection: AsyncConnection,
    actor: str,
    tenant: str,
    action: str,
    session: str,
) -> None:
    ask.connection = connection
    await ask.audit(session, action=action, kind="session", tenant=tenant, actor=actor)
    ask.connection = None


FEATURE = Feature(
    name="sign_in",
    context=guard.context,
    routes=(
        *own.ROUTES,
        Route(
            method=Method.POST,
            path="/v1/sessions",
            summary="Sign in with a password",
            access=Public("it is how one comes to have a token"),
            handler=start,
            body=SignIn,
            answer=Session,
            status=201,
            tx=Tx.NONE,
            problems=(WRONG,),
        ),
        Route(
            method=Method.POST,
            path="/v1/sessions/refresh",
            summary="Go on with a session: a refresh token is good once",
            access=Public("the refresh token says who it is"),
            handler=refresh,
            body=Refresh,
            answer=Session,
            status=201,
            tx=Tx.NONE,
            problems=(REFRESH_REFUSED,),
        ),
        Route(
            method=Method.DELETE,
            path="/v1/sessions/current",
            summary="Sign out",
            access=Permission.SESSION_END,
            handler=end,
        ),
        Route(
            method=Method.GET,
            path="/v1/me",
            summary="Who am I",
            access=Permission.SESSION_READ,
            handler=me,
            answer=Me,
            tx=Tx.NONE,
        ),
    ),
)
