"""The stream's endpoint, and its life in the application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import structlog
from aiohttp import WSMsgType, web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Check, Feature, Method, Route, Tx
from control_plane.background import running
from control_plane.errors import TOO_MANY, UNAVAILABLE, ApiError, Problem
from control_plane.events.hub import HUB, Hub
from control_plane.events.listener import Listener, Over
from control_plane.events.newsroom import TOPICS
from control_plane.events.schemas import MessageView, StreamQuery
from control_plane.live.desk import LIVE
from control_plane.permissions import Permission
from control_plane.readiness.http import READINESS
from control_plane.services import SERVICES

log = structlog.get_logger()

PROTOCOL: Final = "everline.v1"
PING_S: Final = 20.0
CLOSING_S: Final = 1.0
MOST: Final = 5_000
"""Streams of one control plane."""
MOST_OF_ONE: Final = 10
"""Streams of one subject."""
NOT_A_SOCKET: Final = Problem(
    status=426, error_id="upgrade-needed", title="This is a WebSocket: ask with Upgrade"
)
Asked: TypeAlias = Ask[Nothing, StreamQuery, Nothing]


async def context(app: web.Application) -> AsyncIterator[None]:
    """Tell listeners, where the shared state is followed."""
    follower = app.get(LIVE)
    if follower is None:
        yield
        return
    hub = app[HUB] = Hub(app[SERVICES], follower)
    if (watch := app.get(READINESS)) is not None:
        watch.on_look = hub.take_readiness
    try:
        async with running("events", hub.run, hub.check_for_ever):
            yield
    finally:
        hub.leave()


async def shutdown(app: web.Application) -> None:
    """Let all listeners go."""
    hub = app.get(HUB)
    if hub is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * CLOSING_S):
                await hub.close()


async def listen(ask: Asked) -> web.StreamResponse:
    """Tell somebody what changes, until either side has enough."""
    hub = ask.request.app.get(HUB)
    if hub is None:
        raise ApiError(UNAVAILABLE, "The shared state cannot be seen from here.")
    if hub.count >= MOST or hub.count_of(ask.subject.id) >= MOST_OF_ONE:
        detail = f"At most {MOST_OF_ONE} streams of one subject are open at once, {MOST} of all."
        raise ApiError(TOO_MANY, detail, headers={"Retry-After": "10"})
    socket = web.WebSocketResponse(
        heartbeat=PING_S, protocols=(PROTOCOL,), max_msg_size=4096, compress=False
    )
    if not socket.can_prepare(ask.request).ok:
        raise ApiError(NOT_A_SOCKET, headers={"Upgrade": "websocket"})
    listener = Listener(
        subject=ask.subject,
        tenant=ask.tenant,
        topics=frozenset(ask.query.topics) or TOPICS,
        is_fresh=ask.is_fresh,
        known_s=ask.services.clock.now().mono_s,
        policy=ask.services.authz.policy_of(ask.tenant).version,
    )
    hub.admit(listener)
    try:
        await socket.prepare(ask.request)
        await hub.welcome(listener, ask.query.after)
        await _converse(socket, listener, ask.services.settings.limits.send_s)
    finally:
        hub.forget(listener)
    await _close(ask, socket, listener)
    return socket


async def _converse(socket: web.WebSocketResponse, listener: Listener, send_s: float) -> None:
    """Send what waits, until the client leaves or is to be let go."""
    parts = {
        asyncio.create_task(_send(socket, listener, send_s)),
        asyncio.create_task(_receive(socket)),
        asyncio.create_task(listener.ended.wait()),
    }
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


async def _send(socket: web.WebSocketResponse, listener: Listener, send_s: float) -> None:
    try:
        while True:
            message = await listener.waiting.get()
            async with asyncio.timeout(send_s):
                await socket.send_frame(message, WSMsgType.TEXT)
    except TimeoutError:
        listener.end(Over.TOO_SLOW)
    except ConnectionError:
        return  # the client has gone


async def _receive(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass  # nothing that a client says is of interest; pings are answered below us


async def _close(ask: Asked, socket: web.WebSocketResponse, listener: Listener) -> None:
    """Say why, to whoever still listens; who does not take even that is cut off."""
    if listener.over is None or socket.closed:
        return
    if listener.over is Over.TOO_SLOW:
        ask.services.metrics.cut_off.labels("events").inc()
    log.info("stream_closed", subject=listener.subject.id, because=listener.over.name)
    try:
        async with asyncio.timeout(CLOSING_S):
            await socket.close(code=listener.over, message=listener.over.name.lower().encode())
    except TimeoutError:
        if ask.request.transport is not None:
            ask.request.transport.abort()


FEATURE = Feature(
    name="events",
    context=context,
    shutdown=shutdown,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/events",
            summary="Listen to what changes (a WebSocket; the answer is the shape of one message)",
            access=Permission.SESSION_READ,
            check=Check.EACH,
            handler=listen,
            query=StreamQuery,
            answer=MessageView,
            status=101,
            tx=Tx.NONE,
            is_socket=True,
            problems=(NOT_A_SOCKET,),
        ),
    ),
)
