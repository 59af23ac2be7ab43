"""The endpoint of what agents did in the calls of late: handling time and occupancy of each."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Check, Method, Route, Routes, Tx
from control_plane.errors import UNAVAILABLE, ApiError
from control_plane.live import look, views
from control_plane.live.agent_schemas import AgentsWork, WorkQuery
from control_plane.live.desk import follower_of
from control_plane.live.lately import lately
from control_plane.permissions import Permission
from edge.acd.handling import works
from state.model import AgentId

Asked: TypeAlias = Ask[Nothing, WorkQuery, Nothing]


async def list_work(ask: Asked) -> AgentsWork:
    """Return the work of each agent whom the subject may see, by id."""
    past = await lately(ask, ask.query.interval_s, ask.query.queue)
    if past is None:
        raise ApiError(UNAVAILABLE, "Calls that are over cannot be read now.")
    follower = follower_of(ask.request.app)
    snapshot = follower.mirror.snapshot
    wrap_ups = {queue: entry.value.wrap_up_s for queue, entry in snapshot.queues.items()}
    records = [each for some in past.records.values() for each in some]
    # In a thread: of a busy center there are thousands.
    found = await asyncio.to_thread(works, records, wrap_ups)
    agents = look.agents(snapshot, follower.clock.now(), frozenset(found))
    seen = [
        each.id
        for each in agents
        if each.tenant == ask.tenant and ask.sees(views.agent_thing(each))
    ]
    return AgentsWork(
        interval_s=past.interval_s,
        items=tuple(views.work(agent, found[AgentId(agent)]) for agent in seen),
    )


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/live/work",
        summary="List what agents did in the calls of late",
        access=Permission.AGENT_READ,
        check=Check.EACH,
        handler=list_work,
        query=WorkQuery,
        answer=AgentsWork,
        tx=Tx.NONE,
    ),
)
