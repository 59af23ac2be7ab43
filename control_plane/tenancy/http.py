"""The endpoints of tenants, made by whoever runs the center and set by their own; and of teams."""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Listing, Page
from control_plane.api.route import Answer, Feature, Method, Route
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import Item
from control_plane.errors import VERSION_MISMATCH, ApiError, Problem, not_found
from control_plane.ids import fresh
from control_plane.passwords import hash_password
from control_plane.permissions import Permission, Role
from control_plane.subjects import Thing
from control_plane.tenancy.schemas import (
    MemberAgent,
    MemberUser,
    TeamMembers,
    TeamPath,
    TenantChange,
    TenantDraft,
    TenantSettings,
    TenantView,
)
from control_plane.tenancy.sweeper import context
from control_plane.tenants import store
from control_plane.tenants.store import Tenant
from control_plane.users import service as users_service
from control_plane.users import store as users
from control_plane.users.schemas import UserListing
from state.model import MAIN

Listed: TypeAlias = Ask[Nothing, Listing, Nothing]
Drafted: TypeAlias = Ask[Nothing, Nothing, TenantDraft]
Own: TypeAlias = Ask[Nothing, Nothing, Nothing]
Changed: TypeAlias = Ask[Nothing, Nothing, TenantChange]
Team: TypeAlias = Ask[TeamPath, Nothing, Nothing]
TAKEN: Final = Problem(status=409, error_id="tenant-taken", title="There is a tenant of that id")
SHOWN: Final = 200


# ---- tenants -------------------------------------------------------------------------------------


async def _center(ask: Listed | Drafted) -> Thing:
    """Return what the policy decides on: tenants are the center's, and managed from there."""
    kind = ask.route.access.kind if isinstance(ask.route.access, Permission) else ""
    return Thing(kind=kind, tenant=MAIN)


async def list_all(ask: Listed) -> Page[TenantView]:
    """Return a page of all tenants."""
    found, after = await store.page(ask.db, ask.query)
    return Page[TenantView](items=tuple(map(_view, found)), next=after)


async def create(ask: Drafted) -> TenantView:
    """Add a tenant, with its first administrator."""
    draft = ask.body
    hashed = await asyncio.to_thread(hash_password, draft.administrator.password)
    tenant = Tenant(
        id=draft.id,
        name=draft.name,
        call_retention_days=0,
        recording_retention_days=0,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
    )
    if not await store.create(ask.db, tenant):
        raise ApiError(TAKEN)
    administrator = users.User(
        id=fresh("usr", ask.now_ms),
        tenant=draft.id,
        login=draft.administrator.login,
        name=draft.administrator.name,
        agent="",
        employer="",
        team="",
        site="",
        is_active=True,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
        roles=(Role.TENANT_ADMIN,),
    )
    await users.create(ask.db, administrator, hashed)
    await ask.audit(draft.id, detail={"administrator": administrator.id})
    return _view(tenant)


async def show_own(ask: Own) -> Answer[TenantSettings]:
    """Return where the request acts."""
    tenant = await _own(ask)
    return Answer(body=_settings(tenant), version=tenant.version)


async def change_own(ask: Changed) -> Answer[TenantSettings]:
    """Change its name or settings."""
    tenant = await _own(ask)
    sent = ask.body.model_dump(exclude_none=True)
    if tenant.version != ask.version or not await store.change(ask.db, tenant, sent, ask.now_ms):
        raise ApiError(VERSION_MISMATCH)
    await ask.audit(tenant.id, detail={"changed": sent})
    now = await _own(ask)
    return Answer(body=_settings(now), version=now.version)


async def _own(ask: Own | Changed) -> Tenant:
    found = await store.find(ask.db, ask.tenant)
    if found is None:
        raise not_found()
    return found


def _view(tenant: Tenant) -> TenantView:
    return TenantView(id=tenant.id, name=tenant.name, created=instant(tenant.created_ms))


def _settings(tenant: Tenant) -> TenantSettings:
    return TenantSettings(
        id=tenant.id,
        name=tenant.name,
        created=instant(tenant.created_ms),
        updated=instant(tenant.updated_ms),
        call_retention_days=tenant.call_retention_days,
        recording_retention_days=tenant.recording_retention_days,
    )


# ---- teams ---------------------------------------------------------------------------------------


async def _team(ask: Team) -> Item:
    now = await ask.request.app[DESK].book.newest(ask.db)
    item = now.document.get(("teams", ask.at.team))
    if item is None or item.tenant != ask.tenant:
        raise not_found()
    return item


async def _team_thing(ask: Team) -> Thing:
    item = await _team(ask)
    site = str(item.body.get("site", ""))
    return Thing(kind="team", tenant=item.tenant, id=item.id, team=item.id, site=site)


async def members(ask: Team) -> TeamMembers:
    """Return who is in a team, users and agents."""
    item = await _team(ask)
    site = str(item.body.get("site", ""))
    listing = UserListing(team=item.id, site=site or None, limit=SHOWN)
    found, more = await users.page(ask.db, ask.tenant, listing)
    seen = (user for user in found if ask.sees(users_service.thing(user), Permission.USER_READ))
    document = (await ask.request.app[DESK].book.newest(ask.db)).document
    agents = [
        each
        for each in document.values()
        if each.section == "agents" and each.tenant == ask.tenant
        if each.body.get("team") == item.id and site in ("", each.body.get("site"))
        if ask.sees(_agent_thing(each), Permission.AGENT_READ)
    ]
    return TeamMembers(
        team=item.id,
        site=site,
        users=tuple(MemberUser(id=u.id, name=u.name, is_active=u.is_active) for u in seen),
        agents=tuple(
            MemberAgent(id=each.id, name=str(each.body.get("name", each.id)))
            for each in sorted(agents, key=lambda one: one.id)[:SHOWN]
        ),
        is_whole=more is None and len(agents) <= SHOWN,
    )


def _agent_thing(item: Item) -> Thing:
    return Thing(
        kind="agent",
        tenant=item.tenant,
        id=item.id,
        agent=item.id,
        team=str(item.body.get("team", "")),
        site=str(item.body.get("site", "")),
        employer=str(item.body.get("employer", "")),
    )


FEATURE = Feature(
    name="tenancy",
    context=context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/tenants",
            summary="List all tenants of the center",
            access=Permission.TENANT_LIST,
            handler=list_all,
            thing=_center,
            query=Listing,
            answer=Page[TenantView],
        ),
        Route(
            method=Method.POST,
            path="/v1/tenants",
            summary="Add a tenant with its first administrator",
            access=Permission.TENANT_CREATE,
            handler=create,
            thing=_center,
            body=TenantDraft,
            answer=TenantView,
            status=201,
            is_idempotent=True,
            problems=(TAKEN,),
        ),
        Route(
            method=Method.GET,
            path="/v1/tenant",
            summary="Show the own tenant's settings",
            access=Permission.TENANT_READ,
            handler=show_own,
            answer=TenantSettings,
            is_versioned=True,
        ),
        Route(
            method=Method.PATCH,
            path="/v1/tenant",
            summary="Change the own tenant's settings",
            access=Permission.TENANT_UPDATE,
            handler=change_own,
            body=TenantChange,
            answer=TenantSettings,
            is_versioned=True,
        ),
        Route(
            method=Method.GET,
            path="/v1/teams/{team}/members",
            summary="Show who is in a team",
            access=Permission.TEAM_READ,
            handler=members,
            thing=_team_thing,
            at=TeamPath,
            answer=TeamMembers,
        ),
    ),
)
