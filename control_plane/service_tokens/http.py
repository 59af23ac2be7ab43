"""The endpoints of service tokens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route, Tx
from control_plane.api.sight import in_sight
from control_plane.background import running
from control_plane.errors import DatabaseUnavailableError, not_found
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.service_tokens import store
from control_plane.service_tokens.schemas import (
    ServiceTokenDraft,
    ServiceTokenListing,
    ServiceTokenMade,
    ServiceTokenPath,
    ServiceTokenView,
)
from control_plane.services import SERVICES, Services
from control_plane.subjects import Thing
from control_plane.tokens import digest_of, make_service_token
from control_plane.users.errors import GRANT_TOO_HIGH
from control_plane.users.service import check_grant

log = structlog.get_logger()
Listed: TypeAlias = Ask[Nothing, ServiceTokenListing, Nothing]
Named: TypeAlias = Ask[ServiceTokenPath, Nothing, Nothing]
Drafted: TypeAlias = Ask[Nothing, Nothing, ServiceTokenDraft]
DAY_MS: Final = 24 * 3600 * 1000
WRITE_USES_S: Final = 10.0


async def _token(ask: Named) -> store.ServiceToken:
    found = await store.find(ask.db, ask.tenant, ask.at.token)
    if found is None:
        raise not_found()
    return found


async def _named(ask: Named) -> Thing:
    return _thing(await _token(ask))


def _thing(token: store.ServiceToken) -> Thing:
    return Thing(kind="service_token", tenant=token.tenant, id=token.id)


async def list_all(ask: Listed) -> Page[ServiceTokenView]:
    """Return those of a page whom the policy lets the subject see."""
    seen, after = await in_sight(
        partial(store.page, ask.db, ask.tenant),
        ask.query,
        lambda each: ask.sees(_thing(each)),
    )
    items = tuple(ServiceTokenView.model_validate(_told(each)) for each in seen)
    return Page[ServiceTokenView](items=items, next=after)


async def show(ask: Named) -> ServiceTokenView:
    """Return one."""
    return ServiceTokenView.model_validate(_told(await _token(ask)))


async def create(ask: Drafted) -> Answer[ServiceTokenMade]:
    """Make one, and tell it: this once."""
    check_grant(ask.subject, ask.body.roles)
    text = make_service_token()
    token = store.ServiceToken(
        id=fresh("svc", ask.now_ms),
        digest=digest_of(text),
        tenant=ask.tenant,
        name=ask.body.name,
        roles=tuple(sorted(set(ask.body.roles))),
        created_ms=ask.now_ms,
        created_by=ask.subject.id,
        until_ms=ask.now_ms + ask.body.days * DAY_MS,
    )
    await store.create(ask.db, token)
    await ask.audit(token.id, detail={"roles": token.roles, "until_ms": token.until_ms})
    body = ServiceTokenMade.model_validate(_told(token) | {"token": text})
    headers = {"Location": f"/v1/service-tokens/{token.id}", "Cache-Control": "no-store"}
    return Answer(body=body, headers=headers)


async def revoke(ask: Named) -> Answer[Nothing]:
    """Let one be over: here at once, elsewhere in 2 s."""
    token = await _token(ask)
    await store.revoke(ask.db, ask.tenant, token.id, ask.now_ms)
    await ask.audit(token.id)
    ask.services.subjects.forget(token.digest)
    return Answer(body=None)


def _told(token: store.ServiceToken) -> dict[str, object]:
    return {
        "id": token.id,
        "tenant": token.tenant,
        "name": token.name,
        "roles": tuple(role.value for role in token.roles),
        "created": instant(token.created_ms),
        "created_by": token.created_by,
        "expires": instant(token.until_ms),
        "last_used": None if token.used_ms is None else instant(token.used_ms),
        "revoked": None if token.revoked_ms is None else instant(token.revoked_ms),
    }


async def context(app: web.Application) -> AsyncIterator[None]:
    """Write down now and then which tokens were used, and at the end."""
    services = app[SERVICES]
    try:
        async with running("service_tokens", partial(_write_uses, services)):
            yield
    finally:
        with contextlib.suppress(DatabaseUnavailableError):
            await write_uses(services)


async def _write_uses(services: Services) -> None:
    while True:
        await asyncio.sleep(WRITE_USES_S)
        try:
            await write_uses(services)
        except DatabaseUnavailableError:
            log.warning("token_uses_not_written")


async def write_uses(services: Services) -> None:
    """Write down which tokens were used since last time; kept if the database is away."""
    uses = dict(services.subjects.uses)
    if not uses:
        return
    async with services.database.write() as connection:
        await store.note_uses(connection, uses)
    for token, used_ms in uses.items():
        if services.subjects.uses.get(token) == used_ms:
            del services.subjects.uses[token]


FEATURE = Feature(
    name="service_tokens",
    context=context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/service-tokens",
            summary="List service tokens",
            access=Permission.SERVICE_TOKEN_READ,
            check=Check.EACH,
            handler=list_all,
            query=ServiceTokenListing,
            answer=Page[ServiceTokenView],
        ),
        Route(
            method=Method.POST,
            path="/v1/service-tokens",
            summary="Make a service token, which is told this once",
            access=Permission.SERVICE_TOKEN_CREATE,
            handler=create,
            body=ServiceTokenDraft,
            answer=ServiceTokenMade,
            status=201,
            problems=(GRANT_TOO_HIGH,),
        ),
        Route(
            method=Method.GET,
            path="/v1/service-tokens/{token}",
            summary="Show a service token",
            access=Permission.SERVICE_TOKEN_READ,
            handler=show,
            thing=_named,
            at=ServiceTokenPath,
            answer=ServiceTokenView,
        ),
        Route(
            method=Method.DELETE,
            path="/v1/service-tokens/{token}",
            summary="Revoke a service token",
            access=Permission.SERVICE_TOKEN_REVOKE,
            handler=revoke,
            thing=_named,
            at=ServiceTokenPath,
            tx=Tx.WRITE,
        ),
    ),
)
