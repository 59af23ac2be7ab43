"""The endpoints by which a second person is asked, and says yes or no; and broken glass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias

from aiohttp import web
from sqlalchemy import select

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Page
from control_plane.api.route import Answer, Check, Feature, Method, Route
from control_plane.api.sight import in_sight
from control_plane.approvals import store
from control_plane.approvals.request import (
    DECIDED_WITHIN_MS,
    GLASS_MS,
    Request,
    State,
    digest_of,
)
from control_plane.approvals.schemas import (
    ApprovalDraft,
    ApprovalView,
    GlassView,
    RequestDraft,
    RequestListing,
    RequestPath,
    RequestView,
)
from control_plane.approvals.state import STATES
from control_plane.approvals.tables import RequestRow
from control_plane.errors import FORBIDDEN, NOT_FOUND, ApiError, Problem, invalid, not_found
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Thing

DECIDED: Final = Problem(
    status=409, error_id="already-decided", title="It is decided, or its time is over"
)
NOT_ANOTHER: Final = Problem(
    status=403,
    error_id="not-a-second-person",
    title="One of you has created the other, or set their password or roles: ask somebody else",
)
AnyAsk: TypeAlias = Ask[Any, Any, Any]
Drafted: TypeAlias = Ask[Nothing, Nothing, ApprovalDraft]
Asked: TypeAlias = Ask[Nothing, Nothing, RequestDraft]
Listed: TypeAlias = Ask[Nothing, RequestListing, Nothing]
Named: TypeAlias = Ask[RequestPath, Nothing, Nothing]


async def _nobodys(ask: Drafted) -> Thing:
    """Return a yes that nobody has asked for."""
    return Thing(kind="approval", tenant=ask.tenant, by="")


ASKED_FOR: Final = frozenset({Permission.DRILL_RUN, Permission.GLASS_BREAK})
"""What is done by its request alone, which says what for: nobody says yes to it beforehand."""


async def give(ask: Drafted) -> ApprovalView:
    """Say yes."""
    if ask.body.act in ASKED_FOR:
        raise invalid("body.act", "is asked for first: POST /v1/approval-requests")
    made = await store.give(ask, ask.body.act, ask.body.thing, ask.body.digest)
    await ask.audit(made, detail={"act": ask.body.act.value, "thing": ask.body.thing})
    return ApprovalView(id=made, until=instant(ask.now_ms + store.LIVES_MS))


# ---- requests ------------------------------------------------------------------------------------


def thing_of(request: Request) -> Thing:
    """Return what the policy is asked about."""
    return Thing(kind="approval", tenant=request.tenant, id=request.id, by=request.by)


async def _find(ask: Named) -> Request:
    found = await store.find(ask.db, ask.tenant, ask.at.request)
    if found is None:
        raise not_found()
    return found


async def _thing(ask: Named) -> Thing:
    return thing_of(await _find(ask))


async def request(ask: Asked) -> Answer[RequestView]:
    """Ask for a second person's yes to exactly this."""
    body = ask.body
    _check(ask)
    things = {each: await _state(ask, each) for each in body.things}
    made = Request(
        id=fresh(store.REQUEST, ask.now_ms),
        tenant=ask.tenant,
        act=body.act,
        things=things,
        digest=digest_of(body.act, things, ask.subject.id, body.why, body.ticket),
        purpose=body.why,
        ticket=body.ticket,
        by=ask.subject.id,
        by_team=ask.subject.team,
        made_ms=ask.now_ms,
        until_ms=ask.now_ms + DECIDED_WITHIN_MS,
        state=State.WAITING,
    )
    await store.add(ask.db, made)
    await ask.audit(made.id, detail=_detail(made) | {"why": made.purpose})
    return Answer(body=view(made, ask.now_ms), status=201)


def _check(ask: Asked) -> None:
    body = ask.body
    if body.act == "glass:break" and not body.ticket:
        raise invalid("body.ticket", "should name the incident")
    if len(set(body.things)) < len(body.things):
        raise invalid("body.things", "names one of them twice")


async def _state(ask: Asked, thing: str) -> str:
    """Return a digest of the thing as it stands now."""
    state = ask.request.app[STATES].get(Permission(ask.body.act).kind)
    return ask.body.digest if state is None else await state(ask, thing)


def _detail(made: Request) -> dict[str, Any]:
    return {"act": made.act, "things": sorted(made.things), "ticket": made.ticket}


async def list_all(ask: Listed) -> Page[RequestView]:
    """Return those of a page that the policy lets the subject see."""
    query = ask.query
    table = RequestRow.__table__
    statement = select(table).where(RequestRow.tenant == ask.tenant)
    if query.act is not None:
        statement = statement.where(RequestRow.act == query.act)
    if query.by is not None:
        statement = statement.where(RequestRow.by == query.by)

    async def page(listing: RequestListing) -> tuple[list[Request], str | None]:
        rows, after = await paging.fetch(
            ask.db,
            statement,
            listing,
            columns={"made": table.c.made_ms},
            id_column=table.c.id,
            default="-made",
        )
        return [store.read(row._mapping) for row in rows], after  # noqa: SLF001 - documented

    seen, after = await in_sight(page, query, lambda each: ask.sees(thing_of(each)))
    return Page[RequestView](items=tuple(view(each, ask.now_ms) for each in seen), next=after)


async def show(ask: Named) -> RequestView:
    """Return one."""
    return view(await _find(ask), ask.now_ms)


async def approve(ask: Named) -> RequestView:
    """Say yes: it may be done once, within the hour (a drill: within the day)."""
    asked = await _find(ask)
    if await store.are_of_one(ask, asked.act, asked.by, ask.subject.id):
        raise ApiError(NOT_ANOTHER)
    return await _decide(ask, State.APPROVED)


async def refuse(ask: Named) -> RequestView:
    """Say no."""
    return await _decide(ask, State.REFUSED)


async def _decide(ask: Named, state: State) -> RequestView:
    asked = await _find(ask)
    if not await store.decide(ask, asked, state):
        raise ApiError(DECIDED)
    await ask.audit(asked.id, detail=_detail(asked) | {"said": state.value})
    return view(await _find(ask), ask.now_ms)


def view(made: Request, now_ms: int) -> RequestView:
    """Return a request as it is told."""
    return RequestView(
        id=made.id,
        act=made.act,
        things=dict(made.things),
        digest=made.digest,
        why=made.purpose,
        ticket=made.ticket,
        by=made.by,
        made=instant(made.made_ms),
        until=instant(made.until_ms),
        state=made.standing(now_ms).value,
        decided_by=made.decided_by,
        decided=None if made.decided_ms is None else instant(made.decided_ms),
        used=None if made.used_ms is None else instant(made.used_ms),
    )


# ---- broken glass --------------------------------------------------------------------------------


async def _glass(ask: AnyAsk) -> Thing:
    await store.bring(ask)
    approval = ask.around.approval
    return Thing(
        kind="glass",
        tenant=ask.tenant,
        id=approval.thing if approval else "",
        digest=approval.digest if approval else "",
    )


async def break_glass(ask: Ask[Nothing, Nothing, Nothing]) -> GlassView:
    """Take the permit that was approved: from now on, and not for long."""
    approval = ask.around.approval
    asked = await store.find(ask.db, ask.tenant, approval.thing if approval else "")
    if asked is None:
        raise ApiError(FORBIDDEN)
    await store.use(ask)
    await ask.audit(asked.id, detail=_detail(asked))
    return GlassView(
        id=asked.id,
        ticket=asked.ticket,
        things=tuple(sorted(asked.things)),
        until=instant(ask.now_ms + GLASS_MS),
    )


async def _context(app: web.Application) -> AsyncIterator[None]:
    app[STATES] = {}
    yield


FEATURE = Feature(
    name="approvals",
    context=_context,
    routes=(
        Route(
            method=Method.POST,
            path="/v1/approvals",
            summary="Approve what somebody else is about to do",
            access=Permission.APPROVAL_GIVE,
            handler=give,
            thing=_nobodys,
            body=ApprovalDraft,
            answer=ApprovalView,
            status=201,
            is_idempotent=True,
        ),
        Route(
            method=Method.GET,
            path="/v1/approval-requests",
            summary="List what waits for a second person, or has had one",
            access=Permission.APPROVAL_READ,
            check=Check.EACH,
            handler=list_all,
            query=RequestListing,
            answer=Page[RequestView],
        ),
        Route(
            method=Method.POST,
            path="/v1/approval-requests",
            summary="Ask a second person to approve exactly this, once",
            access=Permission.APPROVAL_REQUEST,
            handler=request,
            body=RequestDraft,
            answer=RequestView,
            status=201,
            is_idempotent=True,
            problems=(NOT_FOUND,),
        ),
        Route(
            method=Method.GET,
            path="/v1/approval-requests/{request}",
            summary="Show what a second person is asked for",
            access=Permission.APPROVAL_READ,
            handler=show,
            thing=_thing,
            at=RequestPath,
            answer=RequestView,
        ),
        *(
            Route(
                method=Method.POST,
                path=f"/v1/approval-requests/{{request}}/{handler.__name__}",
                summary=summary,
                access=Permission.APPROVAL_GIVE,
                handler=handler,
                thing=_thing,
                at=RequestPath,
                answer=RequestView,
                is_idempotent=True,
                is_sealed=True,
                problems=(DECIDED, NOT_ANOTHER),
            )
            for handler, summary in (
                (approve, "Approve what somebody else has asked for"),
                (refuse, "Refuse what somebody else has asked for"),
            )
        ),
        Route(
            method=Method.POST,
            path="/v1/break-glass",
            summary="Take an approved permit for an incident, for half an hour",
            access=Permission.GLASS_BREAK,
            handler=break_glass,
            thing=_glass,
            answer=GlassView,
            status=201,
            takes_approval=True,
            is_sealed=True,
        ),
    ),
)
