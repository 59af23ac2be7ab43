"""The endpoints by which a site gives calls to others: it drains, or shares them."""

from __future__ import annotations

from typing import Any

from control_plane.api.ask import Ask
from control_plane.api.route import Answer, Method, Route, Routes, Tx
from control_plane.configuration.book import Newest
from control_plane.configuration.carrying import carry_out
from control_plane.configuration.document import Edit
from control_plane.configuration.errors import BROKEN, DOES_NOT_FIT
from control_plane.configuration.schemas import Done, Drain, ItemPath, MoveTrial, Traffic
from control_plane.errors import VERSION_MISMATCH, ApiError, not_found
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from state.model import MAIN

AnyAsk = Ask[Any, Any, Any]


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

    return await carry_out(ask, edits, what="edited", sites=lambda _: [ask.at.id])


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

    done = await carry_out(ask, edits, what="edited", sites=lambda _: [ask.at.id])
    return Answer(body=done, version=done.version if done.is_written else ask.version)


async def _site(ask: AnyAsk) -> Thing:
    """Return the site, as the policy decides on it: of the center's own tenant."""
    return Thing(kind="site", tenant=MAIN, id=ask.at.id, site=ask.at.id)


ROUTES: Routes = (
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
)
