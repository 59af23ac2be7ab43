"""The endpoints of users."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route
from control_plane.api.sight import in_sight
from control_plane.errors import FORBIDDEN, VERSION_MISMATCH, ApiError
from control_plane.ids import fresh
from control_plane.passwords import hash_password
from control_plane.permissions import Permission
from control_plane.sessions.store import end_of_user
from control_plane.subjects import Thing
from control_plane.users import service, store
from control_plane.users.errors import GRANT_TOO_HIGH, LOGIN_TAKEN
from control_plane.users.schemas import UserChange, UserDraft, UserListing, UserPath, UserView

Listed: TypeAlias = Ask[Nothing, UserListing, Nothing]
Named: TypeAlias = Ask[UserPath, Nothing, Nothing]
Drafted: TypeAlias = Ask[Nothing, Nothing, UserDraft]
Changed: TypeAlias = Ask[UserPath, Nothing, UserChange]


async def _thing(ask: Named | Changed) -> Thing:
    return service.thing(await service.load(ask, ask.at.user))


def _check_may_grant(ask: Drafted | Changed, thing: Thing) -> None:
    if not ask.sees(thing, Permission.USER_GRANT):
        raise ApiError(FORBIDDEN)


async def list_all(ask: Listed) -> Page[UserView]:
    """Return those of a page whom the policy lets the subject see."""
    seen, after = await in_sight(
        partial(store.page, ask.db, ask.tenant),
        ask.query,
        lambda user: ask.sees(service.thing(user)),
    )
    return Page[UserView](items=tuple(service.view(user) for user in seen), next=after)


async def show(ask: Named) -> Answer[UserView]:
    """Return one."""
    user = await service.load(ask, ask.at.user)
    return Answer(body=service.view(user), version=user.version)


async def create(ask: Drafted) -> Answer[UserView]:
    """Add one."""
    draft = ask.body
    if draft.roles:
        _check_may_grant(ask, Thing(kind="user", tenant=ask.tenant))
    service.check_grant(ask.subject, draft.roles)
    hashed = await asyncio.to_thread(hash_password, draft.password) if draft.password else None
    user = store.User(
        id=fresh("usr", ask.now_ms),
        tenant=ask.tenant,
        login=draft.login,
        name=draft.name,
        agent=draft.agent,
        employer=draft.employer,
        team=draft.team,
        site=draft.site,
        is_active=True,
        created_ms=ask.now_ms,
        updated_ms=ask.now_ms,
        version=1,
        roles=tuple(sorted(set(draft.roles))),
    )
    await store.create(ask.db, user, hashed)
    await ask.audit(user.id, detail={"roles": user.roles})
    headers = {"Location": f"/v1/users/{user.id}"}
    return Answer(body=service.view(user), version=user.version, headers=headers)


async def change(ask: Changed) -> Answer[UserView]:
    """Change one; a password or roles too."""
    user = await service.load(ask, ask.at.user)
    if ask.body.roles is not None:
        _check_may_grant(ask, service.thing(user))
    service.check_version(user, ask.version)
    sent = ask.body.model_dump(exclude_none=True)
    values = {name: value for name, value in sent.items() if name not in ("roles", "password")}
    if ask.body.password is not None:
        if (subject := await store.load_subject(ask.db, user.id)) is not None:
            service.check_takes(ask.subject, subject)
        values["password_hash"] = await asyncio.to_thread(hash_password, ask.body.password)
    if not await store.change(ask.db, user, values, ask.now_ms):
        raise ApiError(VERSION_MISMATCH)
    if ask.body.roles is not None:
        service.check_grant(ask.subject, {*ask.body.roles} ^ {*user.roles})
        await store.set_roles(ask.db, user.id, user.tenant, ask.body.roles)
    if ask.body.password is not None or ask.body.is_active is False:
        # Whoever had the password, or was thrown out, has no session that goes on.
        await end_of_user(ask.db, user.id, "changed", ask.now_ms)
    await ask.audit(user.id, detail=_told(ask, user, sent))
    ask.services.subjects.forget(user.id)
    now = await service.load(ask, ask.at.user)
    return Answer(body=service.view(now), version=now.version)


def _told(ask: Changed, user: store.User, sent: Mapping[str, object]) -> dict[str, object]:
    """Return what the audit log keeps of a change: names, and of what decisions go by the words."""
    detail: dict[str, object] = {"changed": sorted(sent)}
    detail |= {name: sent[name] for name in store.SEEN_BY_POLICY if name in sent}
    if ask.body.roles is not None:
        detail |= {"roles": sorted(set(ask.body.roles)), "roles_before": user.roles}
    return detail


FEATURE = Feature(
    name="users",
    routes=(
        Route(
            method=Method.GET,
            path="/v1/users",
            summary="List users",
            access=Permission.USER_READ,
            check=Check.EACH,
            handler=list_all,
            query=UserListing,
            answer=Page[UserView],
        ),
        Route(
            method=Method.POST,
            path="/v1/users",
            summary="Add a user",
            access=Permission.USER_CREATE,
            handler=create,
            body=UserDraft,
            answer=UserView,
            status=201,
            is_versioned=True,
            is_idempotent=True,
            problems=(LOGIN_TAKEN, GRANT_TOO_HIGH),
        ),
        Route(
            method=Method.GET,
            path="/v1/users/{user}",
            summary="Show a user",
            access=Permission.USER_READ,
            handler=show,
            thing=_thing,
            at=UserPath,
            answer=UserView,
            is_versioned=True,
        ),
        Route(
            method=Method.PATCH,
            path="/v1/users/{user}",
            summary="Change a user, or disable them",
            access=Permission.USER_UPDATE,
            handler=change,
            thing=_thing,
            at=UserPath,
            body=UserChange,
            answer=UserView,
            is_versioned=True,
            problems=(GRANT_TOO_HIGH,),
        ),
    ),
)
