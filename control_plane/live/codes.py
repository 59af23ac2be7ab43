"""What a call was about: the endpoint by which its agent says so, in wrap-up or later.

Written beside the call's record in the shared state, from which every control plane carries it into
the database; here it is written to both, so that whoever asks next finds it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec.structs import replace

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.calls import store
from control_plane.errors import UNAVAILABLE, ApiError, Problem, invalid
from control_plane.live.call_schemas import CallPath, CallView, CodeChange
from control_plane.live.calls import find, thing, view
from control_plane.live.desk import writable
from control_plane.live.look import CallFacts
from control_plane.permissions import Permission
from edge.acd.coding import codes_in
from state import keys
from state.codec import encode
from state.errors import StateError
from state.model import AgentId, CallId, Coding, TenantId
from state.snapshot import Snapshot
from state.store import Put

Coded: TypeAlias = Ask[CallPath, Nothing, CodeChange]
NOT_TALKED: Final = Problem(
    status=409, error_id="call-not-talked", title="No agent has talked in this call, or it goes on"
)


async def set_code(ask: Coded) -> CallView:
    """Let a call that is over have been about this; the last word counts."""
    follower, call = writable(ask.request.app), await find(ask)
    _check(follower.mirror.snapshot, call, ask.body.code)
    by = "" if ask.subject.agent == call.agent else ask.subject.id
    coding = Coding(
        call=CallId(call.id), agent=AgentId(call.agent), code=ask.body.code, at_ms=ask.now_ms, by=by
    )
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await ask.audit(call.id, detail={"code": coding.code})
        try:
            put = Put(key=keys.coded(coding.call), value=encode(coding))
            revision = (await follower.store.txn((), (put,))).revision
        except StateError as error:
            raise ApiError(UNAVAILABLE, "The shared state does not answer.") from error
        await store.set_code(connection, call.id, coding.code, revision)
    # The row may have come into the database meanwhile, from a record that knows nothing of it yet.
    return view(ask, replace(await find(ask), code=coding.code))


def _check(snapshot: Snapshot, call: CallFacts, code: str) -> None:
    if call.state != "ended" or not call.agent or not call.talked_s:
        raise ApiError(NOT_TALKED)
    codes = codes_in(snapshot, TenantId(call.tenant))
    if code not in codes:
        known = f"one of {', '.join(codes)}" if codes else "a wrap-up code: none is configured"
        raise invalid("body.code", f"should be {known}")


ROUTES: Final[Routes] = (
    Route(
        method=Method.PUT,
        path="/v1/calls/{call}/code",
        summary="Say what a call was about: one of the wrap-up codes",
        access=Permission.CALL_CODE,
        handler=set_code,
        thing=thing,
        at=CallPath,
        body=CodeChange,
        answer=CallView,
        tx=Tx.NONE,
        problems=(NOT_TALKED,),
    ),
)
