"""The endpoint of whether the center can lose a site, and the life of who looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeAlias

from aiohttp import web

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Feature, Method, Route, Tx
from control_plane.background import running
from control_plane.configuration.desk import DESK
from control_plane.errors import UNAVAILABLE, ApiError
from control_plane.permissions import Permission
from control_plane.readiness.schemas import ReadinessView
from control_plane.readiness.watch import Watch
from control_plane.services import SERVICES

READINESS: Final = web.AppKey("readiness", Watch)
Asked: TypeAlias = Ask[Nothing, Nothing, Nothing]


async def context(app: web.Application) -> AsyncIterator[None]:
    """Look, where the shared state is followed."""
    desk = app[DESK]
    mirror = desk.mirror
    if mirror is None:
        yield
        return
    watch = app[READINESS] = Watch(
        app[SERVICES], mirror, lambda: None if desk.room is None else desk.room.room
    )
    async with running("readiness", watch.run):
        yield


async def show(ask: Asked) -> ReadinessView:
    """Return what would happen if a site died now, for each site."""
    watch = ask.request.app.get(READINESS)
    standing = None if watch is None else await watch.newest()
    if standing is None:
        raise ApiError(UNAVAILABLE, "The shared state cannot be seen from here.")
    return standing.told(ask.tenant)


FEATURE = Feature(
    name="readiness",
    context=context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/readiness",
            summary="Show what would happen if a site died now",
            access=Permission.READINESS_READ,
            handler=show,
            answer=ReadinessView,
            tx=Tx.NONE,
        ),
    ),
)
