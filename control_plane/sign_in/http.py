"""Signing in, and being told who one is."""

from __future__ import annotations

import asyncio
import secrets
from typing import TypeAlias

from sqlalchemy import select

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Feature, Method, Public, Route, Tx
from control_plane.errors import ApiError
from control_plane.passwords import is_right
from control_plane.permissions import Permission
from control_plane.sign_in.errors import WRONG
from control_plane.sign_in.schemas import Me, Session, SignIn
from control_plane.tokens import ACCESS_S, Claims
from control_plane.users.tables import UserRow

Asked: TypeAlias = Ask[Nothing, Nothing, SignIn]


async def start(ask: Asked) -> Session:
    """Check the password, outside of any transaction: it takes long, on purpose."""
    said = ask.body
    async with ask.services.database.read() as connection:
        statement = select(UserRow.id, UserRow.password_hash, UserRow.is_active).where(
            UserRow.tenant == said.tenant, UserRow.login == said.login.lower()
        )
        row = (await connection.execute(statement)).one_or_none()
    fits = await asyncio.to_thread(is_right, row.password_hash if row else None, said.password)
    if row is None or not fits or not row.is_active:
        raise ApiError(WRONG)
    until_s = ask.now_ms // 1000 + ACCESS_S
    claims = Claims(
        subject=row.id, tenant=said.tenant, session=secrets.token_hex(8), until_s=until_s
    )
    return Session(
        access_token=ask.services.tokens.sign(claims, now_s=ask.now_ms // 1000),
        expires=instant(until_s * 1000),
        user=row.id,
        tenant=said.tenant,
    )


async def me(ask: Ask[Nothing, Nothing, Nothing]) -> Me:
    """Tell the subject who it is."""
    who = ask.subject
    return Me(
        id=who.id,
        tenant=ask.tenant,
        roles=tuple(sorted(who.roles_in(ask.tenant))),
        agent=who.agent,
        team=who.team,
        site=who.site,
        employer=who.employer,
        policy=ask.services.authz.policy_of(ask.tenant).version,
    )


FEATURE = Feature(
    name="sign_in",
    routes=(
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
