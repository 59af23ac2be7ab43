"""Passes a caller on for the agent who talks with them: from a browser, or a supervisor's desk.

The edge that holds the call does it, as if the agent's telephone had said REFER, and says in the
shared state how it gets on.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Tx
from control_plane.errors import ApiError, Problem
from control_plane.live import look, writing
from control_plane.live.call_schemas import CallPath, TransferBegin, TransferState, TransferView
from control_plane.live.calls import thing
from control_plane.live.desk import follower_of, writable
from control_plane.permissions import Permission
from state import keys
from state.model import (
    AgentId,
    CallId,
    DidNumber,
    QueueId,
    TicketState,
    TransferStatus,
    TransferWish,
)
from state.snapshot import Snapshot

TOLD_S: Final = 1.0
"""So long the answer waits for an end; a telephone may ring for much longer."""
TAKEN_S: Final = 3.0
NOT_TALKING: Final = Problem(
    status=409, error_id="nobody-talks", title="No agent talks with this caller: nobody to pass on"
)
REFUSED: Final = Problem(
    status=409, error_id="transfer-refused", title="The caller cannot go there, and stays"
)
NOT_TAKEN: Final = Problem(
    status=503, error_id="transfer-not-taken", title="The call's edge has not answered: look again"
)
Begun: TypeAlias = Ask[CallPath, Nothing, TransferBegin]
Named: TypeAlias = Ask[CallPath, Nothing, Nothing]
_FINAL: Final = 200
_FAILED: Final = 300


async def begin(ask: Begun) -> TransferView:
    """Pass the caller on to an agent or a queue; the agent who talks hears how it gets on."""
    follower, call = writable(ask.request.app), CallId(ask.at.call)
    ticket = look.live_call(follower.mirror.snapshot, call)
    if ticket is None or ticket.state is not TicketState.CONNECTED or ticket.agent is None:
        raise ApiError(NOT_TALKING)
    by = "" if ask.subject.agent == ticket.agent else ask.subject.id
    wish = TransferWish(call=call, agent=ticket.agent, to=ask.body.to, by=by)
    told = _told(follower.mirror.snapshot, ask.tenant, wish.to)
    ask.note(call, detail={"to": told, "agent": wish.agent})
    revision = await writing.write(follower, keys.transfer_wish(call), wish)

    def of_this(now: Snapshot) -> TransferStatus | None:
        status = now.transfers.get(call)
        return None if status is None or status.value.wish < revision else status.value

    def is_over(now: Snapshot) -> bool:
        status = of_this(now)
        return status is not None and status.status >= _FINAL

    now = await writing.until(follower, is_over, TOLD_S)
    if of_this(now) is None:
        now = await writing.until(follower, lambda later: of_this(later) is not None, TAKEN_S)
    status = of_this(now)
    if status is None:
        raise ApiError(NOT_TAKEN)
    if status.status >= _FAILED:
        raise ApiError(REFUSED, f"{status.reason or 'It was refused'} ({status.status}).")
    return _view(status)


async def read(ask: Named) -> TransferView:
    """Return how the last transfer that was asked for here gets on."""
    call = CallId(ask.at.call)
    status = follower_of(ask.request.app).mirror.snapshot.transfers.get(call)
    if status is None:
        return TransferView(call=call, state="none", status=0)
    return _view(status.value)


def _told(snapshot: Snapshot, tenant: str, to: str) -> str:
    """Return where a caller is to go as the audit log keeps it: no number but the tenant's own.

    Another one is refused; it may be anybody's, and whether it is another tenant's is not told.
    """
    known = (
        snapshot.dids.get(DidNumber(to)),
        snapshot.agents.get(AgentId(to)),
        snapshot.queues.get(QueueId(to)),
    )
    is_own = any(each is not None and each.value.tenant == tenant for each in known)
    return to if is_own or any(each.isalpha() for each in to) else "a number"


def _view(status: TransferStatus) -> TransferView:
    return TransferView(
        call=status.call, state=_state(status.status), status=status.status, reason=status.reason
    )


def _state(status: int) -> TransferState:
    if status < _FINAL:
        return "ringing" if status > 100 else "trying"  # noqa: PLR2004 - SIP's "Trying"
    return "done" if status < _FAILED else "failed"


ROUTES: Final[Routes] = (
    Route(
        method=Method.POST,
        path="/v1/calls/{call}/transfer",
        summary="Pass a caller on to another agent or into a queue",
        access=Permission.CALL_TRANSFER,
        handler=begin,
        thing=thing,
        at=CallPath,
        body=TransferBegin,
        answer=TransferView,
        tx=Tx.NONE,
        problems=(NOT_TALKING, REFUSED, NOT_TAKEN, writing.CHANGING),
    ),
    Route(
        method=Method.GET,
        path="/v1/calls/{call}/transfer",
        summary="How the last transfer of a call gets on",
        access=Permission.CALL_TRANSFER,
        handler=read,
        thing=thing,
        at=CallPath,
        answer=TransferView,
        tx=Tx.NONE,
    ),
)
