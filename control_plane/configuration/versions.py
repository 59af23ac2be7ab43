"""The endpoints of the configuration as a whole: its versions, how far one has come, and back."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from control_plane.api.ask import Ask
from control_plane.api.paging import Listing, Page
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.configuration import store, telling
from control_plane.configuration.book import Newest, seen_by
from control_plane.configuration.carrying import carry_out
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import NOTHING, Document, Edit, difference, restoring
from control_plane.configuration.errors import BROKEN, DOES_NOT_FIT, NOT_SERVED
from control_plane.configuration.nouns import ACTIVATIONS, NOUNS
from control_plane.configuration.publisher import APPLIED_S
from control_plane.configuration.schemas import (
    Awaited,
    Between,
    Difference,
    Done,
    MoveTrial,
    Publication,
    Rollback,
    Standing,
    VersionDetail,
    VersionPath,
    VersionView,
)
from control_plane.errors import NOT_FOUND, ApiError, not_found
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
    """Make the tenant's configuration what it was at a version; that is a version of its own.

    What whoever asks could not change record by record stays as it is: whom a site's calls go to,
    and what trunks may dial, is not the affair of who goes back for a queue's sake.
    """
    async with ask.services.database.read() as connection:
        if ask.body.to > (await ask.request.app[DESK].book.newest(connection)).number:
            raise not_found()
        then = await store.load(connection, ask.body.to)

    kept = _KEPT | _others(ask)

    def edits(now: Newest) -> list[Edit]:
        return restoring(now.document, then, ask.tenant, but=kept)

    return await carry_out(ask, edits, what="rolled_back")


def _others(ask: AnyAsk) -> frozenset[str]:
    """Return the sections that are for others to change."""
    return frozenset(
        noun.section
        for noun in NOUNS.values()
        if not ask.sees(Thing(kind=noun.update.kind, tenant=ask.tenant), noun.update)
    )


ROUTES: Routes = (
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
        summary="Go back to a version, in what one may change",
        access=Permission.CONFIGURATION_UPDATE,
        handler=roll_back,
        query=MoveTrial,
        body=Rollback,
        answer=Done,
        tx=Tx.NONE,
        problems=(BROKEN, DOES_NOT_FIT, NOT_FOUND),
    ),
)
