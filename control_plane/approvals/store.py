"""Approvals in the database, and how a request brings one: `Everline-Approval: ID`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import insert, select, update

from control_plane.api.ask import Ask
from control_plane.approvals.tables import ApprovalRow
from control_plane.errors import FORBIDDEN, ApiError
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Approval

LIVES_MS: Final = 3_600_000
HEADER: Final = "Everline-Approval"


async def give(ask: Ask[Any, Any, Any], act: Permission, thing: str, digest: str) -> str:
    """Keep the subject's yes; return its id."""
    made = fresh("apr", ask.now_ms)
    await ask.db.execute(
        insert(ApprovalRow).values(
            id=made,
            tenant=ask.tenant,
            act=act.value,
            thing=thing,
            digest=digest,
            by=ask.subject.id,
            by_team=ask.subject.team,
            until_ms=ask.now_ms + LIVES_MS,
            used_ms=None,
        )
    )
    return made


async def bring(ask: Ask[Any, Any, Any]) -> None:
    """Put the approval that the request names where the policy's conditions look for it.

    Only where the route says so: what the OpenAPI document does not name is not taken.
    """
    sent = ask.request.headers.get(HEADER)
    if sent is None or not ask.route.takes_approval:
        return
    statement = select(ApprovalRow.__table__).where(
        ApprovalRow.id == sent, ApprovalRow.tenant == ask.tenant
    )
    row = (await ask.db.execute(statement)).one_or_none()
    if row is None:
        return
    # People of one team stand in one reporting line; who is in none reports to nobody known.
    approval = Approval(
        by=row.by,
        act=row.act,
        thing=row.thing,
        digest=row.digest,
        until_ms=row.until_ms,
        is_used=row.used_ms is not None,
        same_line=bool(row.by_team) and row.by_team == ask.subject.team,
    )
    ask.around = replace(ask.around, approval=approval)


async def use(ask: Ask[Any, Any, Any]) -> None:
    """Use it up. Raise `forbidden` if somebody was quicker with the same one."""
    done = await ask.db.execute(
        update(ApprovalRow)
        .where(ApprovalRow.id == ask.request.headers.get(HEADER), ApprovalRow.used_ms.is_(None))
        .values(used_ms=ask.now_ms)
    )
    if done.rowcount != 1:
        raise ApiError(FORBIDDEN)
