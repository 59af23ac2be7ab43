"""What the API shows of recordings, and of each without a sound of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from control_plane.api.model import instant
from control_plane.calls.store import PastCall
from control_plane.errors import ApiError, Problem
from control_plane.recordings import finding, holding, tags
from control_plane.recordings.errors import DAMAGED, STORE_AWAY
from control_plane.recordings.schemas import (
    PartView,
    RecordingView,
    SpanView,
    TransferView,
)
from control_plane.recordings.shelf import ARCHIVE
from custody.frame import RATE_HZ
from custody.manifest import Manifest, Part, Span, Transfer

_NOTHING: Final = Manifest(
    recording="",
    tenant="",
    call="",
    queue="",
    agents=(),
    site="",
    recorder="",
    started_ms=0,
    segments=(),
)
"""The account of a recording that there is none of."""
MOST_IN_A_ROW: Final = 3
"""So many manifests that the store does not give, and it is the store that is away."""


async def views(ask: finding.AnyAsk, seen: Sequence[PastCall]) -> tuple[RecordingView, ...]:
    """Show the recordings of these calls. Raise `recording-store-away`: it gives nothing now.

    One or two that it does not give are shown with what the database knows, alone or among others:
    whoever holds or deletes one begins there.
    """
    ids = [each.id for each in seen]
    async with ask.services.database.read() as connection:
        archive = ask.request.app.get(ARCHIVE)
        held = await holding.held(connection, archive, ask.tenant, ids)
        tagged = await tags.of_each(connection, ask.tenant, ids)
    gone = await finding.deleted(ask, ids)
    shown: list[RecordingView] = []
    in_a_row = 0
    for each in seen:
        view = await _view(ask, each, held, gone, tagged.get(each.id, ()))
        shown.append(view)
        in_a_row = in_a_row + 1 if view.is_unreadable else 0
        if in_a_row == MOST_IN_A_ROW:
            raise ApiError(STORE_AWAY)
    return tuple(shown)


async def _view(
    ask: finding.AnyAsk,
    call: PastCall,
    held: Collection[str],
    gone: Collection[str],
    tagged: tuple[str, ...],
) -> RecordingView:
    found, problem = await _account(ask, call.id)
    account = found or _NOTHING
    return RecordingView(
        id=call.id,
        call=call.id,
        queue=call.queue,
        agent=call.agent,
        site=call.site,
        arrived=instant(call.arrived_ms),
        is_kept=found is not None or problem is not None,
        is_damaged=problem is DAMAGED,
        is_unreadable=problem is STORE_AWAY,
        is_complete=found is not None and found.is_complete,
        unrecorded=call.record.unrecorded,
        length_s=_s(account.samples),
        segments=len(account.segments),
        gaps=tuple(map(_span, account.gaps)),
        pauses=tuple(map(_span, account.pauses)),
        holds=tuple(map(_span, account.holds)),
        masks=tuple(map(_span, account.masks)),
        parts=tuple(map(_part, account.parts)),
        transfers=tuple(map(_transfer, account.transfers)),
        disposition=call.code,
        tags=tagged,
        lost_packets=sum(each.caller.lost + each.agent.lost for each in account.segments[-1:]),
        has_legal_hold=call.id in held,
        is_deleted=call.id in gone,
        digest=finding.UNREAD
        if problem is STORE_AWAY
        else await finding.digest_or_unread(ask, call.id),
    )


async def _account(ask: finding.AnyAsk, recording: str) -> tuple[Manifest | None, Problem | None]:
    """Return what the manifest says, and what is the matter with it, if it must hide no other."""
    try:
        return await finding.account(ask, recording), None
    except ApiError as error:
        if error.problem not in {DAMAGED, STORE_AWAY}:
            raise
        return None, error.problem


def _s(samples: int) -> float:
    return round(samples / RATE_HZ, 3)


def _span(each: Span) -> SpanView:
    return SpanView(start_s=_s(each.start), end_s=_s(each.end), because=each.because)


def _part(each: Part) -> PartView:
    return PartView(agent=each.agent, start_s=_s(each.start), end_s=_s(each.end))


def _transfer(each: Transfer) -> TransferView:
    return TransferView(
        start_s=_s(each.start), end_s=_s(each.end), before=each.before, after=each.after
    )
