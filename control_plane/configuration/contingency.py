"""The endpoints of contingency plans that are more than tables: activate one, revert it, see it."""

from __future__ import annotations

from typing import Any

from control_plane.api.ask import Ask
from control_plane.api.model import instant
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.configuration import telling
from control_plane.configuration.book import Newest
from control_plane.configuration.carrying import carry_out
from control_plane.configuration.desk import DESK
from control_plane.configuration.document import Edit
from control_plane.configuration.errors import (
    BROKEN,
    DOES_NOT_FIT,
    NOT_PREDICTED,
    PLAN_ACTIVE,
    PLAN_NOT_ACTIVE,
)
from control_plane.configuration.moving import PLAN_WAITS_S
from control_plane.configuration.nouns import ACTIVATIONS
from control_plane.configuration.schemas import Done, ItemPath, MoveTrial, PlanState, Reason
from control_plane.errors import ApiError, not_found
from control_plane.permissions import Permission

AnyAsk = Ask[Any, Any, Any]


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

    return await carry_out(
        ask,
        edits,
        what="activated",
        sites=lambda now: _drained_by(ask.at.id, now),
        within_s=PLAN_WAITS_S,
    )


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

    return await carry_out(
        ask,
        edits,
        what="reverted",
        sites=lambda now: _served_by(ask.at.id, now),
        within_s=PLAN_WAITS_S,
    )


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


ROUTES: Routes = (
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
        problems=(BROKEN, DOES_NOT_FIT, NOT_PREDICTED, PLAN_ACTIVE),
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
        problems=(BROKEN, DOES_NOT_FIT, NOT_PREDICTED, PLAN_NOT_ACTIVE),
    ),
)
