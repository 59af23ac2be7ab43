"""Pauses the recording of a call that goes on, for what nobody may keep: card data.

The edge that holds the call has its recorder do it, and says so in the shared state. The answer is
200 only then: a form for card data stays shut on any other.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.errors import ApiError, Problem
from control_plane.live import look, views, writing
from control_plane.live.call_schemas import CallPath, PauseQuery, RecordingPauseView
from control_plane.live.calls import find
from control_plane.live.desk import writable
from control_plane.permissions import Permission
from control_plane.subjects import Thing
from state import keys
from state.model import CallId, RecordingState, RecordingWish, TicketState
from state.snapshot import Snapshot

CONFIRMED_S: Final = 3.0
NOT_TALKING: Final = Problem(
    status=409, error_id="nobody-talks", title="No agent is in this call: nothing is recorded now"
)
NOT_CONFIRMED: Final = Problem(
    status=503,
    error_id="recording-not-confirmed",
    title="The recorder has not confirmed it: take it that the call is being recorded",
)
Pausing: TypeAlias = Ask[CallPath, PauseQuery, Nothing]
Named: TypeAlias = Pausing | Ask[CallPath, Nothing, Nothing]


async def _thing(ask: Named) -> Thing:
    return views.recording_thing(await find(ask))


async def pause(ask: Pausing) -> RecordingPauseView:
    """Have nothing recorded of what is said from now on."""
    return await _wish(ask, pauses=True, keyed=ask.query.keyed)


async def resume(ask: Ask[CallPath, Nothing, Nothing]) -> RecordingPauseView:
    """Have it recorded again."""
    return await _wish(ask, pauses=False)


async def _wish(ask: Named, *, pauses: bool, keyed: bool = False) -> RecordingPauseView:
    follower, call = writable(ask.request.app), CallId(ask.at.call)
    ticket = look.live_call(follower.mirror.snapshot, call)
    if ticket is None or ticket.state is not TicketState.CONNECTED:
        raise ApiError(NOT_TALKING)
    by = "agent" if ask.subject.agent and ask.subject.agent == ticket.agent else "supervisor"
    wish = RecordingWish(call=call, pause=pauses, by=by, keyed=keyed)
    try:
        revision = await writing.write(follower, keys.recording_wish(call), wish)
    except ApiError:
        # The wish may stand there all the same, and be carried out.
        ask.note(call, detail=_told(wish, confirmed=False))
        raise

    def is_answered(now: Snapshot) -> bool:
        status = now.recordings.get(call)
        return status is not None and status.value.wish >= revision

    snapshot = await writing.until(follower, is_answered, CONFIRMED_S)
    state = snapshot.recordings[call].value.state if is_answered(snapshot) else None
    ask.note(call, detail=_told(wish, confirmed=state is not None))
    if state is None or (pauses and state is RecordingState.RECORDING):
        # Also when somebody has asked for the opposite meanwhile, and was answered.
        raise ApiError(NOT_CONFIRMED, "Ask again; what was asked is carried out when it can be.")
    said = snapshot.recordings[call].value
    return RecordingPauseView(
        call=call, state=state, hears_keys=said.hears_keys, hears_caller=said.hears_caller
    )


def _told(wish: RecordingWish, *, confirmed: bool) -> dict[str, bool]:
    return {"pause": wish.pause, "keyed": wish.keyed, "confirmed": confirmed}


_PROBLEMS: Final = (NOT_TALKING, NOT_CONFIRMED, writing.CHANGING)
ROUTES: Final[Routes] = (
    Route(
        method=Method.POST,
        path="/v1/calls/{call}/recording/pause",
        summary="Pause a call's recording, for card data",
        access=Permission.RECORDING_PAUSE,
        handler=pause,
        thing=_thing,
        at=CallPath,
        query=PauseQuery,
        answer=RecordingPauseView,
        tx=Tx.NONE,
        problems=_PROBLEMS,
    ),
    Route(
        method=Method.POST,
        path="/v1/calls/{call}/recording/resume",
        summary="Go on with a call's recording",
        access=Permission.RECORDING_PAUSE,
        handler=resume,
        thing=_thing,
        at=CallPath,
        answer=RecordingPauseView,
        tx=Tx.NONE,
        problems=_PROBLEMS,
    ),
)
