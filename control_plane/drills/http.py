"""The endpoint that lets a drill begin on a live system: with a second person's yes, and once.

The control plane carries no drill out: `./everline drill run NAME --live --really` does, and asks
here first. What it is given stands in the evidence.
"""

from __future__ import annotations

from typing import TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.route import Feature, Method, Route
from control_plane.approvals import store as approvals
from control_plane.drills.schemas import DrillDraft, PermitView
from control_plane.errors import FORBIDDEN, ApiError
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from control_plane.users import store as users

Drilled: TypeAlias = Ask[Nothing, Nothing, DrillDraft]


async def _thing(ask: Drilled) -> Thing:
    await approvals.bring(ask)
    return Thing(kind="drill", tenant=ask.tenant, id=ask.body.drill, digest=ask.body.plan_hash)


async def _name(ask: Drilled, user: str) -> str:
    """Return what somebody is called: an auditor reads the evidence years later, elsewhere."""
    found = await users.find(ask.db, ask.tenant, user)
    return "" if found is None else found.name


async def begin(ask: Drilled) -> PermitView:
    """Use the approval up; say who asked and who approved."""
    sent = ask.request.headers.get(approvals.HEADER, "")
    asked = await approvals.find(ask.db, ask.tenant, sent)
    # A yes that nobody asked for names no reason, which the evidence has to.
    if asked is None or asked.decided_ms is None:
        raise ApiError(FORBIDDEN)
    await approvals.use(ask)
    detail = {"plan_hash": ask.body.plan_hash, "request": asked.id, "approved_by": asked.decided_by}
    await ask.audit(ask.body.drill, detail=detail)
    return PermitView(
        request=asked.id,
        drill=ask.body.drill,
        plan_hash=ask.body.plan_hash,
        asked_by=asked.by,
        asked_by_name=await _name(ask, asked.by),
        approved_by=asked.decided_by,
        approved_by_name=await _name(ask, asked.decided_by),
        why=asked.purpose,
        ticket=asked.ticket,
        approved=instant(asked.decided_ms),
        used=instant(ask.now_ms),
    )


FEATURE = Feature(
    name="drills",
    routes=(
        Route(
            method=Method.POST,
            path="/v1/drill-permits",
            summary="Begin an approved drill on the live system, once",
            access=Permission.DRILL_RUN,
            handler=begin,
            thing=_thing,
            body=DrillDraft,
            answer=PermitView,
            status=201,
            takes_approval=True,
            is_sealed=True,
        ),
    ),
)
