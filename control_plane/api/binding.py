"""From a route of the table to what aiohttp calls: the order of steps that every request takes.

Who asks; whether they ever could; what they sent; then, in one transaction: the answer given before
(Idempotency-Key), the thing, the policy's decision, the handler, the audit's entry.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api import answering, gate, idempotency, noting, paging, parsing, staying
from control_plane.api.ask import Ask
from control_plane.api.route import AnyRoute, Stream, Tx
from control_plane.audit.errors import AUDIT_UNAVAILABLE
from control_plane.errors import NOT_FOUND, ApiError, DatabaseUnavailableError
from control_plane.permissions import Permission
from control_plane.services import SERVICES, Services
from control_plane.subjects import Circumstances, Thing

REQUEST_ID = web.RequestKey("request_id", str)
AnyAsk = Ask[Any, Any, Any]


def bind(route: AnyRoute) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler that aiohttp calls for `route`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        ask = await _admit(route, request)
        paging.SEAL.set(paging.Seal(ask.services.cursor_key, f"{route.name}/{ask.tenant}"))
        try:
            return await _serve(ask)
        except ApiError as error:
            noting.denial(ask, error)
            raise
        except DatabaseUnavailableError as error:
            if not route.is_sealed:
                raise
            raise ApiError(AUDIT_UNAVAILABLE, headers={"Retry-After": "2"}) from error

    handle.__name__ = route.name
    return handle


async def _serve(ask: AnyAsk) -> web.StreamResponse:
    route = ask.route
    if isinstance(route.access, Permission):
        gate.first_look(ask.services, ask.question(route.access, _any(ask, route.access)))
    raw = await _parse(ask)
    once = None
    if route.is_idempotent and route.transaction is Tx.WRITE:
        subject = ask.who.id if ask.who else ""
        once = idempotency.read(ask.request, subject, ask.tenant, raw)
    async with _transaction(ask.services, route) as connection:
        ask.connection = connection
        return await _carry_out(ask, once)


async def _admit(route: AnyRoute, request: web.Request) -> AnyAsk:
    services = request.app[SERVICES]
    now = services.clock.now()
    known = await gate.identify(services, route, request, now)
    who = known.subject if known else None
    return Ask(
        request=request,
        route=route,
        at=None,
        query=None,
        body=None,
        request_id=request[REQUEST_ID],
        now_ms=now.wall_ms,
        who=who,
        is_fresh=known is None or known.is_fresh,
        tenant=gate.tenant(route, who, request),
        around=Circumstances(now_ms=now.wall_ms, purpose=gate.purpose(request)),
    )


async def _parse(ask: AnyAsk) -> bytes:
    route, limits = ask.route, ask.services.settings.limits
    ask.at = parsing.path(route, ask.request)
    ask.query = parsing.query(route.query, ask.request.query)
    if route.needs_version:
        ask.version = parsing.version(ask.request)
    limit = route.body_bytes or limits.body_bytes
    ask.body, raw = await parsing.body(route, ask.request, limit, limits.body_s)
    return raw


async def _carry_out(ask: AnyAsk, once: idempotency.Once | None) -> web.StreamResponse:
    await _decide(ask)
    if once is not None and (before := await idempotency.claim(ask.db, once, ask.now_ms)):
        return before
    given = await ask.route.handler(ask)
    _check_log(ask)
    if isinstance(given, web.StreamResponse):
        return given
    if isinstance(given, Stream):
        going = replace(given, chunks=staying.while_let_in(ask, given.chunks))
        return await answering.stream(going, ask.request, ask.services.settings.limits.send_s)
    answer = answering.render(ask.route, given)
    response = answering.response(ask.route, answer, ask.request)
    if not ask.is_audited and noting.is_telling(ask):
        noting.look(ask, answer.body)
    if once is not None:
        await idempotency.keep(ask.db, once, response)
    if ask.route.is_sealed and not ask.is_sealed:
        await ask.seal()
    return response


async def _decide(ask: AnyAsk) -> None:
    route = ask.route
    if isinstance(route.access, Permission):
        ask.thing = await _thing(ask, route.access)
        ask.decision = gate.decide(ask.services, route, ask.question(route.access, ask.thing))
    if route.is_socket and noting.is_telling(ask):
        noting.look(ask)  # it ends when the listener goes


def _check_log(ask: AnyAsk) -> None:
    """Fail if the handler has not written down, or sealed, what it had to."""
    route = ask.route
    if route.transaction is Tx.WRITE and not ask.is_audited:
        raise RuntimeError(f"{route.name} wrote without a word in the audit log")
    if route.is_sealed and route.transaction is Tx.NONE and not ask.is_sealed:
        raise RuntimeError(f"{route.name} did not seal its entry of the audit log")


async def _thing(ask: AnyAsk, permission: Permission) -> Thing:
    """Return what the policy decides on: what the route names, or the kind as a whole.

    What is another tenant's and what is not there become one and the same, so that neither the
    answer, nor the audit log, nor a figure tells which of them it was.
    """
    if ask.route.thing is None:
        return _any(ask, permission)
    try:
        found: Thing = await ask.route.thing(ask)
    except ApiError as error:
        if error.problem is not NOT_FOUND:
            raise
        return _nobodys(ask, permission)
    return found if found.tenant == ask.tenant else _nobodys(ask, permission)


def _nobodys(ask: AnyAsk, permission: Permission) -> Thing:
    """Return what this tenant does not have, by the word that the path gives first.

    A word without a letter is left out: a caller's number may have been put there, and logs keep
    what they are told.
    """
    word = next((str(value) for _, value in ask.at), "")
    named = word if any(each.isalpha() for each in word) else ""
    return Thing(kind=permission.kind, tenant="", id=named)


def _any(ask: AnyAsk, permission: Permission) -> Thing:
    """Return the kind as a whole, where a route names no thing of its own."""
    return Thing(kind=permission.kind, tenant=ask.tenant)


@asynccontextmanager
async def _transaction(
    services: Services, route: AnyRoute
) -> AsyncIterator[AsyncConnection | None]:
    match route.transaction:
        case Tx.NONE:
            yield None
        case Tx.READ:
            async with services.database.read() as connection:
                yield connection
        case Tx.WRITE:
            async with services.database.write() as connection:
                yield connection
