"""The endpoint that gives recordings away as files: with a second person's yes, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.route import Method, Route, Routes, Stream, Tx
from control_plane.approvals import store as approvals
from control_plane.audit import reading
from control_plane.audit.errors import AUDIT_UNAVAILABLE, SealError
from control_plane.errors import FORBIDDEN, ApiError, not_found
from control_plane.permissions import Permission
from control_plane.recordings import exporting, finding
from control_plane.recordings.errors import DAMAGED, DELETED, NO_KEY, NOT_SERVED, STORE_AWAY
from control_plane.recordings.exporting import TAR, Exported
from control_plane.recordings.schemas import ExportDraft
from control_plane.subjects import Thing

AnyAsk: TypeAlias = Ask[Any, Any, Any]
Exporting: TypeAlias = Ask[Nothing, Nothing, ExportDraft]


async def state(ask: AnyAsk, recording: str) -> str:
    """Return a digest of a recording as it is kept: of its signed manifest, which lists all else.

    Only for those who may know of it: `not_found()` for others. To delete it, also of one whose
    manifest the store does not give: `UNREAD`.
    """
    call = await finding.call_of(ask, recording)
    if not ask.sees(finding.thing_of(call), Permission.RECORDING_READ_METADATA):
        raise not_found()
    if ask.body.act == Permission.RECORDING_DELETE:
        return await finding.digest_or_unread(ask, recording)
    return await finding.digest(ask, recording)


async def _thing(ask: Exporting) -> Thing:
    """Return the first one; the others are decided on in the handler, each by itself."""
    async with ask.services.database.read() as connection:
        ask.connection = connection
        await approvals.bring(ask)
    return await _as_it_is(ask, ask.body.recordings[0])


async def _as_it_is(ask: Exporting, recording: str) -> Thing:
    """Return one in its state; `not_found()` for whoever may not know of it either."""
    call = await finding.call_of(ask, recording)
    asked = ask.question(Permission.RECORDING_EXPORT, finding.thing_of(call))
    if not ask.services.authz.may_see(asked):
        raise not_found()
    return finding.thing_of(call, digest=await finding.digest(ask, recording))


async def _signed(ask: AnyAsk, recording: str) -> bytes:
    """Return the manifest as it is kept. Raise `not-found`, `recording-deleted`."""
    if await finding.deleted(ask, [recording]):
        raise ApiError(DELETED)
    try:
        return await finding.kindly(finding.library(ask).signed(ask.tenant, recording))
    except FileNotFoundError:
        raise not_found() from None


async def give(ask: Exporting) -> Stream:
    """Send an archive: of each recording the sound, the signed manifest and its audit trail."""
    wanted = ask.body.recordings
    for each in wanted[1:]:
        if not ask.sees(await _as_it_is(ask, each)):
            raise ApiError(FORBIDDEN)
    approval = ask.around.approval
    approved = {thing for thing, _ in approval.things} if approval else set()
    if approved and approved != set(wanted):
        raise ApiError(FORBIDDEN, "It was approved for other recordings, or for more or fewer.")
    signed = [await _signed(ask, each) for each in wanted]
    accounts = [
        await finding.kindly(finding.library(ask).manifest(ask.tenant, each)) for each in wanted
    ]
    trails = await _write_down(ask)
    told = tuple(
        Exported(account=account, signed=raw, trail=trail)
        for account, raw, trail in zip(accounts, signed, trails, strict=True)
    )
    chunks = exporting.archive(finding.library(ask), told, ask.now_ms // 1000)
    first = await finding.kindly(anext(chunks))
    headers = {"Content-Disposition": 'attachment; filename="recordings.tar"'}
    return Stream(chunks=_and_rest(first, chunks), media_type=TAR, headers=headers)


async def _write_down(ask: Exporting) -> list[bytes]:
    """Use the approval up, and seal that; return what the log then has of each recording."""
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await approvals.use(ask)
        by = ask.request.headers.get(approvals.HEADER, "")
        for each in ask.body.recordings:
            await ask.audit(each, detail={"approval": by})
        await ask.seal()
        try:
            return [
                b"".join(await reading.trail(connection, ask.tenant, (each,)))
                for each in ask.body.recordings
            ]
        except (SealError, LookupError) as error:
            raise ApiError(AUDIT_UNAVAILABLE) from error


async def _and_rest(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for each in rest:
        yield each


EXPORT: Routes = (
    Route(
        method=Method.POST,
        path="/v1/recording-export",
        summary="Export recordings as files, each with its audit trail",
        access=Permission.RECORDING_EXPORT,
        handler=give,
        thing=_thing,
        body=ExportDraft,
        takes_approval=True,
        is_sealed=True,
        tx=Tx.NONE,
        gives=TAR,
        problems=(NOT_SERVED, DAMAGED, NO_KEY, DELETED, STORE_AWAY),
    ),
)
