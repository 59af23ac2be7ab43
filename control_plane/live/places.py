"""The endpoints of how queues and sites stand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Check, Method, Route, Routes, Tx
from control_plane.errors import not_found
from control_plane.live import look, views
from control_plane.live.desk import follower_of
from control_plane.live.lately import Past, lately
from control_plane.live.look import AloneFacts, QueueFacts
from control_plane.live.place_schemas import (
    LiveQueues,
    LiveSites,
    QueueLiveView,
    QueuePath,
    ServiceQuery,
    ServiceView,
)
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from edge.acd.forecast import accuracy_of
from edge.acd.service_level import figures
from state.mirror import MirrorState
from state.model import MAIN, QueueId, SiteId

Listed: TypeAlias = Ask[Nothing, ServiceQuery, Nothing]
Named: TypeAlias = Ask[QueuePath, ServiceQuery, Nothing]
Sites: TypeAlias = Ask[Nothing, Nothing, Nothing]
SOCKET_S: Final = 1.0
_WITHOUT_QUORUM: Final = frozenset({"alone", "merging"})


# ---- queues --------------------------------------------------------------------------------------


def queue_thing(queue: QueueFacts) -> Thing:
    """Return the queue, as the policy decides on it."""
    return Thing(kind="queue", tenant=queue.tenant, id=queue.id, employer=queue.employer)


async def list_queues(ask: Listed) -> LiveQueues:
    """Return every queue that the subject may see."""
    follower = follower_of(ask.request.app)
    now, snapshot = follower.clock.now(), follower.mirror.snapshot
    # In a thread: it takes a look at everybody who works and waits.
    standing = await asyncio.to_thread(lambda: tuple(look.queues(snapshot, now)))
    found = [e for e in standing if e.tenant == ask.tenant and ask.sees(queue_thing(e))]
    past = await lately(ask, ask.query.interval_s)
    return LiveQueues(
        as_of=instant(now.wall_ms),
        revision=snapshot.revision,
        is_current=follower.mirror.state is MirrorState.LIVE,
        items=tuple(views.queue(each, _service(ask, each.id, past)) for each in found),
    )


async def show_queue(ask: Named) -> QueueLiveView:
    """Return one."""
    found = _queue(ask)
    return views.queue(
        found, _service(ask, found.id, await lately(ask, ask.query.interval_s, found.id))
    )


def _queue(ask: Named) -> QueueFacts:
    follower = follower_of(ask.request.app)
    only = frozenset({QueueId(ask.at.queue)})
    found = next(look.queues(follower.mirror.snapshot, follower.clock.now(), only), None)
    if found is None:
        raise not_found()
    return found


async def _queue_thing(ask: Named) -> Thing:
    return queue_thing(_queue(ask))


def _service(ask: Ask[Any, ServiceQuery, Any], queue: str, past: Past | None) -> ServiceView | None:
    if past is None:
        return None
    entry = follower_of(ask.request.app).mirror.snapshot.queues.get(QueueId(queue))
    wrap_ups = {} if entry is None else {entry.value.id: entry.value.wrap_up_s}
    target_s = ask.query.target_s
    over, on = past.records.get(queue, ()), past.on.get(queue, ())
    short_s = ask.query.short_s
    found = figures(over, target_s, wrap_ups, on=on, short_s=short_s)
    return views.service(found, past.interval_s, target_s, short_s, accuracy_of(over))


# ---- sites ---------------------------------------------------------------------------------------


async def list_sites(ask: Sites) -> LiveSites:
    """Return every site that the subject may see."""
    follower = follower_of(ask.request.app)
    now, snapshot = follower.clock.now(), follower.mirror.snapshot
    running = (look.call_of(snapshot, each.value, now) for each in snapshot.tickets.values())
    # Whoever runs the machinery sees how much it carries, of whichever tenant.
    counts = views.counted(each for each in running if ask.tenant in (MAIN, each.tenant))
    is_current = follower.mirror.state is MirrorState.LIVE
    alone = await _alone(ask)
    return LiveSites(
        as_of=instant(now.wall_ms),
        revision=snapshot.revision,
        is_current=is_current,
        items=tuple(
            views.site(
                each,
                counts.get(each.id, 0),
                is_current=is_current,
                alone=alone.get(SiteId(each.id)),
            ).model_copy(update={"may": _may(ask, each.id)})
            for each in look.sites(snapshot)
            if ask.sees(Thing(kind="site", tenant=ask.tenant, id=each.id, site=each.id))
        ),
    )


def _may(ask: Sites, site: str) -> tuple[str, ...]:
    """Return what whoever asks may do with a site; it is of the center's own tenant."""
    whole = Thing(kind="site", tenant=MAIN, id=site, site=site)
    return ("drain",) if ask.sees(whole, Permission.SITE_DRAIN) else ()


async def _alone(ask: Sites) -> dict[SiteId, AloneFacts]:
    """Return how this site's edges serve without a quorum: they alone know."""
    settings = ask.services.settings
    if settings.run is None:
        return {}
    paths = sorted(settings.run.glob("edge-*.sock"))
    words = await asyncio.gather(*(ask_edge(path) for path in paths))
    found = [each for each in map(alone_facts, words) if each is not None]
    return {SiteId(settings.site): min(found, key=lambda each: each.since_ms)} if found else {}


def alone_facts(word: object) -> AloneFacts | None:
    """PURE. Return since when and why an edge serves alone, by its own word; None: it does not."""
    serving = word.get("serving") if isinstance(word, dict) else None
    if not isinstance(serving, dict) or serving.get("mode") not in _WITHOUT_QUORUM:
        return None
    since_ms = serving.get("since_ms")
    is_full = serving.get("because") == "store_full"
    because: Literal["no_quorum", "store_full"] = "store_full" if is_full else "no_quorum"
    return AloneFacts(since_ms=since_ms, because=because) if isinstance(since_ms, int) else None


async def ask_edge(path: Path) -> object:
    """Return what an edge says of itself on its command socket; None: it is silent."""
    try:
        async with asyncio.timeout(SOCKET_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(b'{"cmd": "status"}\n')
                return json.loads(await reader.readline())
            finally:
                writer.close()
    except (OSError, ValueError):
        return None


ROUTES: Final[Routes] = (
    Route(
        method=Method.GET,
        path="/v1/live/queues",
        summary="List how queues stand",
        access=Permission.QUEUE_READ,
        check=Check.EACH,
        handler=list_queues,
        query=ServiceQuery,
        answer=LiveQueues,
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/queues/{queue}/live",
        summary="Show how a queue stands",
        access=Permission.QUEUE_READ,
        handler=show_queue,
        thing=_queue_thing,
        at=QueuePath,
        query=ServiceQuery,
        answer=QueueLiveView,
        tx=Tx.NONE,
    ),
    Route(
        method=Method.GET,
        path="/v1/live/sites",
        summary="List how sites stand",
        access=Permission.SITE_READ,
        check=Check.EACH,
        handler=list_sites,
        answer=LiveSites,
        tx=Tx.NONE,
    ),
)
