"""The endpoints of what recordings are kept for, and how they go: holds, deletion, its proof."""

from __future__ import annotations

import base64
from typing import TypeAlias

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Cursor, Listing, Page
from control_plane.api.route import Answer, Method, Route, Routes, Tx
from control_plane.approvals import store as approvals
from control_plane.customers import turn
from control_plane.customers.errors import LEGAL_HOLD, NO_KEYS
from control_plane.errors import VERSION_MISMATCH, ApiError
from control_plane.holds import store as holds
from control_plane.holds.store import Hold
from control_plane.permissions import Permission
from control_plane.recording_keys import deletions
from control_plane.recording_keys.deletions import Order, Told
from control_plane.recordings import beginning, finding, holding
from control_plane.recordings.archive import Archive
from control_plane.recordings.errors import DAMAGED, DELETED, NOT_SERVED, STORE_AWAY
from control_plane.recordings.schemas import (
    DeletionView,
    HoldChange,
    HoldView,
    RecordingPath,
    SiteDeletionView,
)
from control_plane.recordings.shelf import ARCHIVE
from control_plane.subjects import Thing
from custody import statement
from custody.errors import CustodyError
from custody.statement import Rule

Named: TypeAlias = Ask[RecordingPath, Nothing, Nothing]
Changed: TypeAlias = Ask[RecordingPath, Nothing, HoldChange]
Listed: TypeAlias = Ask[Nothing, Listing, Nothing]
_SORT = "-ordered"


def _archive(ask: finding.AnyAsk) -> Archive:
    """Return what deletes here. Raise `recordings-not-served`, `keys-missing`."""
    finding.library(ask)
    found = ask.request.app.get(ARCHIVE)
    if found is None or not found.deletes:
        raise ApiError(NO_KEYS, "Deleting takes a key store and a signing key for recordings.")
    return found


# ---- legal hold ----------------------------------------------------------------------------------


async def show_hold(ask: Named) -> Answer[HoldView]:
    """Return whether a call has to be kept, with its recording, and why."""
    found = await holds.find(ask.db, ask.tenant, ask.at.recording)
    return Answer(body=_hold(ask.at.recording, found), version=found.version)


async def hold(ask: Changed) -> Answer[HoldView]:
    """Keep a call and its recording, or no longer."""
    await turn.take(ask.db, ask.tenant)
    await finding.call(ask)  # it may have gone while another had the turn
    before = await holds.find(ask.db, ask.tenant, ask.at.recording)
    now = Hold(
        has_legal_hold=ask.body.has_legal_hold,
        because=ask.body.because,
        by=ask.subject.id,
        at_ms=ask.now_ms,
        version=before.version + 1,
    )
    is_set = before.version == ask.version
    if not is_set or not await holds.put(ask.db, ask.tenant, ask.at.recording, now, before):
        raise ApiError(VERSION_MISMATCH)
    told: dict[str, object] = {"has_legal_hold": now.has_legal_hold, "because": now.because}
    if now.has_legal_hold and (taken := await _taken_back(ask)) is not None:
        told |= beginning.told(taken)
    await ask.audit(ask.at.recording, detail={**told, "purpose": ask.around.purpose})
    return Answer(body=_hold(ask.at.recording, now), version=now.version)


async def _taken_back(ask: Changed) -> Order | None:
    """Take the order back by which the recording was to go, if there is one.

    Raise `recording-deleted` if it is being carried out already. Where this transaction fails
    afterwards the order is gone all the same, and nothing is deleted that was to be kept.
    """
    archive = ask.request.app.get(ARCHIVE)
    if archive is None:
        return None
    async with archive.database.write() as connection:
        subject = deletions.recording(ask.at.recording)
        taken = await deletions.take_back(connection, ask.tenant, [subject])
    if not taken and await finding.deleted(ask, [ask.at.recording]):
        raise ApiError(DELETED, "Its deletion has begun, and a hold does not keep it any more.")
    return taken[0] if taken else None


def _hold(recording: str, found: Hold) -> HoldView:
    return HoldView(
        recording=recording,
        has_legal_hold=found.has_legal_hold,
        because=found.because,
        by=found.by,
        at=instant(found.at_ms) if found.version else None,
    )


# ---- deletion ------------------------------------------------------------------------------------


async def _thing_to_delete(ask: Named) -> Thing:
    async with ask.services.database.read() as connection:
        ask.connection = connection
        await approvals.bring(ask)
        call = await finding.call(ask)
        is_held = await _is_held(ask, call.id)
        digest = await _digest(ask, call.id)
    return finding.thing_of(call, has_legal_hold=is_held, digest=digest)


async def _is_held(ask: Named, call: str) -> bool:
    return bool(await holding.held(ask.db, ask.request.app.get(ARCHIVE), ask.tenant, [call]))


async def _digest(ask: Named, recording: str) -> str:
    """Return what the yes has to be bound to. Raise `recording-store-away`.

    That the manifest cannot be read is a state as others are, if the second person has said yes to
    that; who said it to one that could be read, and can be again, is not sent for another yes.
    """
    approval = ask.around.approval
    if approval is not None and (recording, finding.UNREAD) in {
        (approval.thing, approval.digest),
        *approval.things,
    }:
        return await finding.digest_or_unread(ask, recording)
    return await finding.digest(ask, recording)


async def delete(ask: Named) -> None:
    """Have a recording deleted at every site, for ever.

    What is going to be ordered stands in the audit log first, sealed and committed: the order is
    the key store's, and is carried out also where this site's word of it does not come through.
    """
    archive = _archive(ask)
    approval = ask.around.approval
    by = "" if approval is None else approval.by
    told: dict[str, object] = {"purpose": ask.around.purpose, "approved_by": by}
    order = Order(
        tenant=ask.tenant,
        subject=deletions.recording(ask.at.recording),
        rule=Rule.REQUEST,
        detail=f"asked by {ask.subject.id}, approved by {by}",
        ordered_ms=ask.now_ms,
    )
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await _stand_by(ask)
        await ask.audit(ask.at.recording, detail=told | {"is_done": False})
        await ask.seal()
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await _stand_by(ask)
        await approvals.use(ask)
        await ask.audit(ask.at.recording, detail=told | {"is_done": True})
        async with archive.database.write() as store:
            await deletions.give(store, [order])


async def _stand_by(ask: Named) -> None:
    """Take the turn, and look once more. Raise `not-found`, `legal-hold`."""
    await turn.take(ask.db, ask.tenant)
    call = await finding.call(ask)
    if await _is_held(ask, call.id):
        raise ApiError(LEGAL_HOLD)


# ---- its proof -----------------------------------------------------------------------------------


async def list_deletions(ask: Listed) -> Page[DeletionView]:
    """Return what was deleted, what was ordered to be, and what each site has stated of it."""
    archive, query = _archive(ask), ask.query
    after = paging.number_after(query, _SORT)
    orders, told = await deletions.page(archive.database, ask.tenant, after, query.limit + 1)
    shown, following = paging.cut(
        orders, query, lambda last: Cursor(_SORT, last.ordered_ms, last.subject)
    )
    return Page[DeletionView](
        items=tuple(_deletion(archive, each, told) for each in shown), next=following
    )


def _deletion(archive: Archive, order: Order, told: tuple[Told, ...]) -> DeletionView:
    return DeletionView(
        kind=order.kind,
        id=order.id,
        rule=order.rule.value,
        detail=order.detail,
        ordered=instant(order.ordered_ms),
        sites=tuple(_site(archive, each) for each in told if each.subject == order.subject),
    )


def _site(archive: Archive, told: Told) -> SiteDeletionView:
    try:
        found = statement.read(told.signed, archive.keepers)
    except CustodyError:
        found = None
    return SiteDeletionView(
        site=told.site,
        done=instant(told.done_ms),
        is_signed=found is not None,
        objects=0 if found is None else len(found.objects),
        is_key_gone=found is not None and found.is_key_gone,
        statement=base64.b64encode(told.signed).decode(),
    )


ROUTES: Routes = (
    Route(
        method=Method.GET,
        path="/v1/recordings/{recording}/hold",
        summary="Show whether a call and its recording are under legal hold",
        access=Permission.RECORDING_HOLD,
        handler=show_hold,
        thing=finding.thing,
        at=RecordingPath,
        answer=HoldView,
        is_versioned=True,
    ),
    Route(
        method=Method.PUT,
        path="/v1/recordings/{recording}/hold",
        summary="Put a call and its recording under legal hold, or release them",
        access=Permission.RECORDING_HOLD,
        handler=hold,
        thing=finding.thing,
        at=RecordingPath,
        body=HoldChange,
        answer=HoldView,
        is_versioned=True,
        problems=(DELETED,),
    ),
    Route(
        method=Method.DELETE,
        path="/v1/recordings/{recording}",
        summary="Delete a recording at every site, for ever",
        access=Permission.RECORDING_DELETE,
        handler=delete,
        thing=_thing_to_delete,
        takes_approval=True,
        is_sealed=True,
        tx=Tx.NONE,
        at=RecordingPath,
        status=204,
        problems=(NOT_SERVED, NO_KEYS, LEGAL_HOLD, DAMAGED, STORE_AWAY),
    ),
    Route(
        method=Method.GET,
        path="/v1/recording-deletions",
        summary="List what was deleted of recordings, with each site's signed statement",
        access=Permission.RECORDING_READ_PROOF,
        handler=list_deletions,
        query=Listing,
        answer=Page[DeletionView],
        tx=Tx.NONE,
        problems=(NOT_SERVED, NO_KEYS),
    ),
)
