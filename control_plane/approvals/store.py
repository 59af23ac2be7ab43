"""Approvals in the database, and how a request brings one: `Everline-Approval: ID`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.api.ask import Ask
from control_plane.approvals import makers
from control_plane.approvals.request import MADE_BY_NEITHER, Request, State
from control_plane.approvals.tables import ApprovalRow, RequestRow
from control_plane.errors import FORBIDDEN, ApiError
from control_plane.ids import fresh
from control_plane.permissions import Permission
from control_plane.subjects import Approval, Question, Thing, counts
from state.keys import is_id

AnyAsk = Ask[Any, Any, Any]
LIVES_MS: Final = 3_600_000
HEADER: Final = "Everline-Approval"
GLASS_HEADER: Final = "Everline-Glass"
REQUEST: Final = "apq"
"""How ids of requests begin."""


# ---- a yes beforehand ----------------------------------------------------------------------------


async def give(ask: AnyAsk, act: Permission, thing: str, digest: str) -> str:
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


# ---- requests ------------------------------------------------------------------------------------

_COLUMNS: Final = [getattr(RequestRow, name) for name in Request.__struct_fields__]


async def add(connection: AsyncConnection, request: Request) -> None:
    """Add a request."""
    values = msgspec.structs.asdict(request)
    values["things"] = msgspec.json.encode(dict(request.things)).decode()
    await connection.execute(insert(RequestRow).values(**values))


async def find(connection: AsyncConnection, tenant: str, request: str) -> Request | None:
    """Return one, or None."""
    statement = select(*_COLUMNS).where(RequestRow.id == request, RequestRow.tenant == tenant)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else read(row._mapping)  # noqa: SLF001 - documented


async def find_all(connection: AsyncConnection, requests: Iterable[str]) -> dict[str, Request]:
    """Return those of the requests that there are, of whichever tenant."""
    if not (ids := tuple(requests)):
        return {}
    rows = await connection.execute(select(*_COLUMNS).where(RequestRow.id.in_(ids)))
    found = [read(row._mapping) for row in rows]  # noqa: SLF001 - documented
    return {each.id: each for each in found}


def read(row: Mapping[Any, Any]) -> Request:
    """Return a row as a value."""
    told = {name: row[name] for name in Request.__struct_fields__}
    things = msgspec.json.decode(told["things"], type=dict[str, str])
    return Request(**told | {"things": things, "state": State(told["state"])})


async def decide(ask: AnyAsk, request: Request, state: State) -> bool:
    """Let the subject's word stand; False: it is not waiting any more."""
    done = await ask.db.execute(
        update(RequestRow)
        .where(
            RequestRow.id == request.id,
            RequestRow.state == State.WAITING,
            RequestRow.until_ms > ask.now_ms,
        )
        .values(
            state=state,
            decided_by=ask.subject.id,
            decided_by_team=ask.subject.team,
            decided_ms=ask.now_ms,
            until_ms=ask.now_ms + request.used_within_ms,
        )
    )
    return done.rowcount == 1


# ---- brought by a request ------------------------------------------------------------------------


async def bring(ask: AnyAsk) -> None:
    """Put the approval that the request names where the policy's conditions look for it.

    Only where the route says so: what the OpenAPI document does not name is not taken.
    """
    sent = ask.request.headers.get(HEADER)
    if sent is None or not (is_id(sent) and ask.route.takes_approval):
        return
    if sent.startswith(f"{REQUEST}_"):
        request = await find(ask.db, ask.tenant, sent)
        if request is None or request.by != ask.subject.id:
            return  # it is for whoever has asked, and for nobody else
        approval = request.approval(
            still_may=await _still_may(ask, request.decided_by),
            are_of_one=await are_of_one(ask, request.act, request.by, request.decided_by),
        )
        ask.around = replace(ask.around, approval=approval, purpose=request.purpose)
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
        still_may=await _still_may(ask, row.by),
        are_of_one=await are_of_one(ask, row.act, ask.subject.id, row.by),
    )
    ask.around = replace(ask.around, approval=approval)


async def are_of_one(ask: AnyAsk, act: str, asker: str, who: str) -> bool:
    """Return whether who decides has made who asks, or was made by them, if that matters."""
    if not (act in MADE_BY_NEITHER and who):
        return False
    return await makers.are_of_one(ask.db, ask.tenant, asker, who)


async def _still_may(ask: AnyAsk, who: str) -> bool:
    """Return whether who approved is not disabled since, and may still approve."""
    subject = await ask.services.subjects.now(ask.db, who)
    if subject is None or not counts(subject, ask.now_ms):
        return False
    question = Question(
        subject=subject,
        tenant=ask.tenant,
        permission=Permission.APPROVAL_GIVE,
        thing=Thing(kind="approval", tenant=ask.tenant, by=ask.subject.id),
        around=ask.around,
    )
    return ask.services.authz.decide(question).allowed


async def use(ask: AnyAsk) -> None:
    """Use it up. Raise `forbidden` if somebody was quicker with the same one."""
    sent = ask.request.headers.get(HEADER, "")
    table = RequestRow if sent.startswith(f"{REQUEST}_") else ApprovalRow
    done = await ask.db.execute(
        update(table).where(table.id == sent, table.used_ms.is_(None)).values(used_ms=ask.now_ms)
    )
    if done.rowcount != 1:
        raise ApiError(FORBIDDEN)


async def bring_glass(ask: AnyAsk, connection: AsyncConnection) -> None:
    """Put the permit that the request names, `Everline-Glass: ID`, where conditions look for it."""
    sent = ask.request.headers.get(GLASS_HEADER)
    if sent is None or not (is_id(sent) and ask.route.takes_glass):
        return
    request = await find(connection, ask.tenant, sent)
    if request is not None and request.by == ask.subject.id:
        ask.around = replace(ask.around, glass=request.glass(), purpose=request.purpose)
