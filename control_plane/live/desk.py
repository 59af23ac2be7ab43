"""The services of this feature, and their life in the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from control_plane.background import running
from control_plane.configuration.desk import DESK
from control_plane.customers.talking import TALKING
from control_plane.errors import UNAVAILABLE, ApiError
from control_plane.live.carrier import Carrier
from control_plane.live.clearances import Clearances
from control_plane.live.follower import Follower
from control_plane.live.loads import CallLoad, CodeLoad, RestLoad
from control_plane.live.trimmer import trim_for_ever
from control_plane.services import SERVICES
from state.mirror import MirrorState

LIVE = web.AppKey("live", Follower)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Follow the shared state, where one is named, and carry what it keeps for the database."""
    desk, services = app[DESK], app[SERVICES]
    if desk.mirror is None or desk.store is None:
        yield
        return
    follower = app[LIVE] = Follower(desk.mirror, desk.store, services.clock)
    app[TALKING].follow(follower.to, follower.region)
    loads = (CallLoad(follower), CodeLoad(follower), RestLoad())
    runs = [Carrier(load, follower, services).run for load in loads]
    clearances = Clearances(
        desk.mirror, desk.store, services.database, services.clock, services.metrics
    )
    runs.append(clearances.run)
    async with running("live", *runs, partial(trim_for_ever, desk.store, services)):
        yield


def follower_of(app: web.Application) -> Follower:
    """Return what follows the shared state. Raise `unavailable` where nothing has been seen."""
    found = app.get(LIVE)
    if found is None or found.mirror.snapshot.revision == 0:
        raise ApiError(UNAVAILABLE, "The shared state cannot be seen from here.")
    return found


def writable(app: web.Application) -> Follower:
    """Return the follower, if the shared state can be written to, as far as is known."""
    follower = follower_of(app)
    if follower.mirror.state is not MirrorState.LIVE:
        raise ApiError(UNAVAILABLE, "The shared state cannot be reached from here.")
    return follower
