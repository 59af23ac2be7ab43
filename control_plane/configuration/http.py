"""The endpoints of the configuration as a whole: versions, publication, plans, drain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from control_plane.api.ask import Ask
from control_plane.api.model import instant
from control_plane.api.paging import Listing, Page
from control_plane.api.route import Answer, AnyRoute, Feature, Method, Route, Tx
from control_plane.configuration import store, telling
from control_plane.configuration.book import Newest, Outcome, seen_by
from control_plane.configuration.desk import DESK, context
from control_plane.configuration.document import (
    NOTHING,
    Document,
    Edit,
    difference,
    restoring,
)
from control_plane.configuration.errors import (
    BROKEN,
    DOES_NOT_FIT,
    NOT_SERVED,
    PLAN_ACTIVE,
    PLAN_NOT_ACTIVE,
)
from control_plane.configuration.moving import judged, note_forced
from control_plane.configuration.nouns import ACTIVATIONS, NOUNS
from control_plane.configuration.publisher import APPLIED_S
from control_plane.configuration.resources import routes
from control_plane.configuration.schemas import (
    Awaited,
    Between,
    Difference,
    Done,
    Drain,
    ItemPath,
    MoveTrial,
    MoveView,
    PlanState,
    Publication,
    Reason,
    Rollback,
    Standing,
    Traffic,
    Trial,
    VersionDetail,
    VersionPath,
    VersionView,
)
from control_plane.errors import NOT_FOUND, VERSION_MISMATCH, ApiError, not_found
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from state.model import MAIN

AnyAsk = Ask[Any, Any, Any]
_KEPT: Final = frozenset({ACTIVATIONS})
"""A rollback neither activates nor reverts a plan."""


async def standing(ask: AnyAsk) -> Standing:
    """Return the configuration as it stands, with its warnings."""
    now = await ask.request.app[DESK].book.newest(ask.db)
    own = [item for item in now.document.values() if item.tenant == ask.tenant]
    counts = Counter(item.section for item in own)
    return Standing(
        version=now.number,
        counts={section: counts[section] for section in NOUNS},
        findings=telling.findings(seen_by(ask.tenant, now.checked.findings, now.document)),
        active_plans=tuple(sorted(item.id for item in own if item.section == ACTIVATIONS)),
    )


async def list_versions(ask: AnyAsk) -> Page[VersionView]:
    """Return the history, the newest first."""
    found, after = await store.versions(ask.db, ask.tenant, ask.query)
    return Page[VersionView](items=tuple(map(telling.version, found)), next=after)


async def show_version(ask: AnyAsk) -> VersionDetail:
    """Return one change: who, when, why and what."""
    made = await store.version(ask.db, ask.at.number)
    if made is None or made.tenant != ask.tenant:
        raise not_found()
    changes = difference(await _at(ask, made.number - 1), await _at(ask, made.number))
    told = telling.version(made).model_dump()
    return VersionDetail(**told, changes=telling.changes(changes, ask.tenant))


async def compare(ask: AnyAsk) -> Difference:
    """Return how two versions differ."""
    changes = difference(await _at(ask, ask.query.before), await _at(ask, ask.query.after))
    return Difference(changes=telling.changes(changes, ask.tenant))


async def _at(ask: AnyAsk, number: int) -> Document:
    return NOTHING if number == 0 else await store.load(ask.db, number)


async def show_publication(ask: AnyAsk) -> Publication:
    """Return how far a version has come; wait for it if asked to."""
    number = ask.query.version
    if number is None:
        async with ask.services.database.read() as connection:
            number = (await ask.request.app[DESK].book.newest(connection)).number
    return await ask.request.app[DESK].wait(number, ask.query.wait_s)


async def publish_again(ask: AnyAsk) -> Publication:
    """Publish the newest version, although a file was published since."""
    desk = ask.request.app[DESK]
    if desk.publisher is None or ask.tenant != MAIN:
        raise ApiError(NOT_SERVED) if ask.tenant == MAIN else not_found()
    async with ask.services.database.write() as connection:
        ask.connection = connection
        number = (await desk.book.newest(connection)).number
        await ask.audit(str(number), detail={"version": number, "what": "published again"})
    desk.publisher.force()
    return await desk.wait(number, APPLIED_S)


async def roll_back(ask: AnyAsk) -> Done:
    """Make the tenant's configuration what it was at a version; that is a version of its own."""
    async with ask.services.database.read() as connection:
        if ask.body.to > (await ask.request.app[DESK].book.newest(connection)).number:
            raise not_found()
        then = await store.load(connection, ask.body.to)

    def edits(now: Newest) -> list[Edit]:
        return restoring(now.document, then, ask.tenant, but=_KEPT)

    moved = await judged(ask, edits)
    return await _carry_out(ask, edits, what="rolled_back", moved=moved)


async def drain(ask: AnyAsk) -> Done:
    """Let a site take no more calls, or take them again."""

    def edits(now: Newest) -> list[Edit]:
        item = now.document.get(("sites", ask.at.id))
        if item is None or ask.tenant != MAIN:
            raise not_found()
        body = {name: value for name, value in item.body.items() if name != "draining"}
        if ask.body.draining:
            body["draining"] = True
        if ask.body.backups is not None:
            body["backups"] = list(ask.body.backups)
        return [Edit(section="sites", id=item.id, body=body)]

    moved = await judged(ask, edits, lambda _: [ask.at.id])
    return await _carry_out(ask, edits, what="edited", moved=moved)


async def share(ask: AnyAsk) -> Answer[Done]:
    """Let other sites serve a part of the calls that come to one."""

    def edits(now: Newest) -> list[Edit]:
        item = now.document.get(("sites", ask.at.id))
        if item is None or ask.tenant != MAIN:
            raise not_found()
        if item.since != ask.version:
            raise ApiError(VERSION_MISMATCH)
        body = {name: value for name, value in item.body.items() if name != "shares"}
        if ask.body.shares:
            body["shares"] = dict(ask.body.shares)
        return [Edit(section="sites", id=item.id, body=body)]

    moved = await judged(ask, edits, lambda _: [ask.at.id])
    done = await _carry_out(ask, edits, what="edited", moved=moved)
    return Answer(body=done, version=done.version if done.is_written else ask.version)


async def activate(ask: AnyAsk) -> Done:
    """Let a plan be in force."""

    def edits(now: Newest) -> list[Edit]:
        plan = _plan(ask, now)
        if (ACTIVATIONS, plan) in now.document:
            raise ApiError(PLAN_ACTIVE)
        body: dict[str, Any] = {
            "since_ms": ask.now_ms,
            "by": ask.subject.id,
            "why": ask.body.why,
            "tenant": ask.tenant,
        }
        return [Edit(section=ACTIVATIONS, id=plan, body=body)]

    moved = await judged(ask, edits, lambda now: _drained_by(ask.at.id, now))
    return await _carry_out(ask, edits, what="activated", moved=moved)


def _drained_by(plan: str, now: Newest) -> tuple[str, ...]:
    item = now.document.get(("plans", plan))
    return () if item is None else tuple(item.body.get("sites", ()))


async def revert(ask: AnyAsk) -> Done:
    """Let a plan be in force no longer."""

    def edits(now: Newest) -> list[Edit]:
        plan = _plan(ask, now)
        if (ACTIVATIONS, plan) not in now.document:
            raise ApiError(PLAN_NOT_ACTIVE)
        return [Edit(section=ACTIVATIONS, id=plan, body=None)]

    moved = await judged(ask, edits, lambda now: _served_by(ask.at.id, now))
    return await _carry_out(ask, edits, what="reverted", moved=moved)


def _served_by(plan: str, now: Newest) -> frozenset[str]:
    """Return the sites that a plan gives calls to: these lose them when it is reverted."""
    item = now.document.get(("plans", plan))
    body = {} if item is None else item.body
    took = [set(each.get("sites", ())) for each in body.get("dids", {}).values()]
    for site, each in body.get("sites", {}).items():
        took.append({*each.get("backups", ()), *each.get("shares", {})} - {site})
    return frozenset().union(*took)


async def show_plan_state(ask: AnyAsk) -> PlanState:
    """Return whether a plan is active, and what keeps it from fitting."""
    now = await ask.request.app[DESK].book.newest(ask.db)
    plan = _plan(ask, now)
    active = now.document.get((ACTIVATIONS, plan))
    body = {} if active is None else active.body
    found = (e for e in now.checked.findings if (e.section, e.id) == ("plans", plan))
    return PlanState(
        plan=plan,
        is_active=active is not None,
        since=instant(body["since_ms"]) if body else None,
        by=body.get("by", ""),
        why=body.get("why", ""),
        misfits=telling.findings(found),
    )


def _plan(ask: AnyAsk, now: Newest) -> str:
    item = now.document.get(("plans", ask.at.id))
    if item is None or item.tenant != ask.tenant:
        raise not_found()
    return item.id


async def _carry_out(
    ask: AnyAsk,
    edits: Callable[[Newest], list[Edit]],
    *,
    what: str,
    moved: MoveView | None = None,
) -> Done:
    """Make a version, and wait until every edge goes by it, or the time is over."""
    desk = ask.request.app[DESK]
    trial: Trial = ask.query
    why = ask.body.why if isinstance(ask.body, Reason) else trial.why
    outcome: Outcome
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await note_forced(ask, moved, why)
        outcome = await desk.book.write(
            ask, connection, edits, what=what, why=why, dry_run=trial.dry_run
        )
    wait_s = APPLIED_S if outcome.is_written else 0.0
    published = await desk.wait(outcome.number, wait_s)
    told = telling.written(outcome, ask.tenant)
    return Done(
        version=told.version,
        is_written=told.is_written,
        findings=told.findings,
        changes=told.changes,
        publication=published,
        move=moved,
    )


async def _site(ask: AnyAsk) -> Thing:
    """Return the site, as the policy decides on it: of the center's own tenant."""
    return Thing(kind="site", tenant=MAIN, id=ask.at.id, site=ask.at.id)


_WHOLE: Final[tuple[AnyRoute, ...]] = (
    Route(
        method=Method.GET,
        path="/v1/configuration",
        summary="Show the configuration's version and warnings",
        access=Permission.CONFIGURATION_READ,
        handler=standing,
        answer=Standing,
    ),
    Route(
        method=Method.GET,
        path="/v1/configuration/versions",
        summary="List the configuration's versions",
        access=Permission.CONFIGURATION_READ,
        handler=list_versions,
        query=Listing,
        answer=Page[VersionView],
    ),
    Route(
        method=Method.GET,
        path="/v1/configuration/versions/{number}",
        summary="Show what a version changed",
        access=Permission.CONFIGURATION_READ,
        handler=show_version,
        at=VersionPath,
        answer=VersionDetail,
    ),
    Route(
        method=Method.GET,
        path="/v1/configuration/difference",
        summary="Compare two versions",
        access=Permission.CONFIGURATION_READ,
        handler=compare,
        query=Between,
        answer=Difference,
    ),
    Route(
        method=Method.GET,
        path="/v1/configuration/publication",
        summary="Show which edges go by a version",
        access=Permission.CONFIGURATION_READ,
        handler=show_publication,
        query=Awaited,
        answer=Publication,
        tx=Tx.NONE,
    ),
    Route(
        method=Method.POST,
        path="/v1/configuration/publication",
        summary="Publish the newest version again",
        access=Permission.CONFIGURATION_UPDATE,
        handler=publish_again,
        answer=Publication,
        tx=Tx.NONE,
        problems=(NOT_SERVED,),
    ),
    Route(
        method=Method.POST,
        path="/v1/configuration/rollback",
        summary="Go back to a version",
        access=Permission.CONFIGURATION_UPDATE,
        handler=roll_back,
        query=MoveTrial,
        body=Rollback,
        answer=Done,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT, NOT_FOUND),
    ),
    Route(
        method=Method.POST,
        path="/v1/sites/{id}/drain",
        summary="Drain a site, or end that",
        access=Permission.SITE_DRAIN,
        handler=drain,
        thing=_site,
        at=ItemPath,
        query=MoveTrial,
        body=Drain,
        answer=Done,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT),
    ),
    Route(
        method=Method.PUT,
        path="/v1/sites/{id}/traffic",
        summary="Share a site's calls with other sites, in percent",
        access=Permission.SITE_SHARE,
        handler=share,
        thing=_site,
        at=ItemPath,
        query=MoveTrial,
        body=Traffic,
        answer=Done,
        is_versioned=True,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT),
    ),
    Route(
        method=Method.GET,
        path="/v1/plans/{id}/state",
        summary="Show whether a contingency plan is active, and fits",
        access=Permission.PLAN_READ,
        handler=show_plan_state,
        at=ItemPath,
        answer=PlanState,
    ),
    Route(
        method=Method.POST,
        path="/v1/plans/{id}/activate",
        summary="Activate a contingency plan",
        access=Permission.PLAN_ACTIVATE,
        handler=activate,
        at=ItemPath,
        query=MoveTrial,
        body=Reason,
        answer=Done,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT, PLAN_ACTIVE),
    ),
    Route(
        method=Method.POST,
        path="/v1/plans/{id}/revert",
        summary="Revert a contingency plan",
        access=Permission.PLAN_ACTIVATE,
        handler=revert,
        at=ItemPath,
        query=MoveTrial,
        body=Reason,
        answer=Done,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT, PLAN_NOT_ACTIVE),
    ),
)

FEATURE = Feature(
    name="configuration",
    routes=(*_WHOLE, *(route for noun in NOUNS.values() for route in routes(noun))),
    context=context,
)
