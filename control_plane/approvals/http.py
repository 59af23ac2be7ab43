"""The endpoint by which a second person says yes."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from control_plane.api.ask import Ask
from control_plane.api.model import ApiModel, Id, Instant, Nothing, instant
from control_plane.api.route import Feature, Method, Route
from control_plane.approvals import store
from control_plane.permissions import Permission


class ApprovalDraft(ApiModel):
    """To what."""

    act: Annotated[Permission, Field(strict=False)]
    thing: Id
    digest: Annotated[str, Field(max_length=64)]
    """Of exactly the state that was looked at: of a customer, the ETag's number."""


class ApprovalView(ApiModel):
    """What the requester sends in `Everline-Approval`."""

    id: str
    until: Instant


Drafted: TypeAlias = Ask[Nothing, Nothing, ApprovalDraft]


async def give(ask: Drafted) -> ApprovalView:
    """Say yes."""
    made = await store.give(ask, ask.body.act, ask.body.thing, ask.body.digest)
    await ask.audit(made, detail={"act": ask.body.act.value, "thing": ask.body.thing})
    return ApprovalView(id=made, until=instant(ask.now_ms + store.LIVES_MS))


FEATURE = Feature(
    name="approvals",
    routes=(
        Route(
            method=Method.POST,
            path="/v1/approvals",
            summary="Approve what somebody else is about to do",
            access=Permission.APPROVAL_GIVE,
            handler=give,
            body=ApprovalDraft,
            answer=ApprovalView,
            status=201,
            is_idempotent=True,
        ),
    ),
)
