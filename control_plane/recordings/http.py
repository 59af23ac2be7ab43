"""The endpoints of recordings: what there is, what it looks like, and how it sounds.

Whose a recording is stands in the call's row, never in what the recorder says. Every look at the
sound, and every waveform, is written into the audit log before the first byte goes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from aiohttp import web

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing
from control_plane.api.paging import Cursor, Page
from control_plane.api.route import Check, Feature, Method, Route, Stream, Tx
from control_plane.api.sight import in_sight
from control_plane.approvals import store as approvals
from control_plane.approvals.state import STATES
from control_plane.calls import store as calls
from control_plane.customers.errors import NOT_SEARCHABLE
from control_plane.permissions import Permission
from control_plane.recordings import finding, playing, ranges, searching
from control_plane.recordings.errors import (
    BAD_RANGE,
    DAMAGED,
    DELETED,
    NO_KEY,
    NOT_SERVED,
    STORE_AWAY,
)
from control_plane.recordings.export import EXPORT, state
from control_plane.recordings.keeping import ROUTES as KEEPING
from control_plane.recordings.schemas import (
    RecordingListing,
    RecordingPath,
    RecordingView,
    WaveformView,
)
from control_plane.recordings.shelf import context
from control_plane.recordings.showing import views
from control_plane.recordings.tagging import ROUTES as TAGGING
from control_plane.subjects import Thing
from custody.frame import LEVEL, RATE_HZ

Listed: TypeAlias = Ask[Nothing, RecordingListing, Nothing]
Named: TypeAlias = Ask[RecordingPath, Nothing, Nothing]
_SORT: Final = "-arrived"
WAV: Final = "audio/wav"


# ---- what there is -------------------------------------------------------------------------------


async def list_all(ask: Listed) -> Page[RecordingView]:
    """Return those of a page that the policy lets the subject know of."""
    query = ask.query
    paging.check_order(query, _SORT)
    wanted = searching.wanted(ask)

    async def page(listing: RecordingListing) -> tuple[Sequence[calls.PastCall], str | None]:
        after = paging.number_after(listing, _SORT)
        rows = await calls.latest(ask.db, ask.tenant, wanted, after, listing.limit + 1)
        return paging.cut(rows, listing, lambda last: Cursor(_SORT, last.arrived_ms, last.id))

    seen, following = await in_sight(page, query, lambda call: ask.sees(finding.thing_of(call)))
    return Page[RecordingView](items=await views(ask, seen), next=following)


async def _through_glass(ask: Named) -> Thing:
    """Return the recording, with the permit of an incident where one is brought."""
    async with ask.services.database.read() as connection:
        await approvals.bring_glass(ask, connection)
    return await finding.thing(ask)


async def show(ask: Named) -> RecordingView:
    """Return one."""
    (view,) = await views(ask, [await finding.call(ask)])
    return view


# ---- how it sounds -------------------------------------------------------------------------------


async def _write_down(ask: Named, part: str) -> None:
    """Audit before anything is heard: what cannot be written down is not played."""
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await ask.audit(ask.at.recording, detail={"part": part})


async def play(ask: Named) -> Stream:
    """Send the sound, or the bytes of it that a Range header names."""
    account = await finding.kept(ask)
    size = playing.size_of(account)
    asked = ranges.wanted(ask.request.headers.get("Range"), size)
    start, end = asked or (0, size)
    await _write_down(ask, f"{start}-{end}")
    chunks = playing.wav(finding.library(ask), account, start, end)
    # Opened before it is promised: a frame that does not open becomes an answer of its own.
    first = await finding.kindly(anext(chunks))
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": "inline",  # to keep it as a file takes an export
        "Content-Length": str(end - start),
    }
    if asked is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Stream(
        chunks=_and_rest(first, chunks),
        media_type=WAV,
        headers=headers,
        status=200 if asked is None else 206,
    )


async def _and_rest(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for each in rest:
        yield each


async def waveform(ask: Named) -> WaveformView:
    """Return how loud it was when: as telling as the sound, and under the same permission."""
    account = await finding.kept(ask)
    await _write_down(ask, "waveform")
    caller, agent = await finding.kindly(playing.peaks(finding.library(ask), account))
    return WaveformView(step_s=LEVEL / RATE_HZ, caller=tuple(caller), agent=tuple(agent))


async def _context(app: web.Application) -> AsyncIterator[None]:
    app[STATES]["recording"] = state
    async with asynccontextmanager(context)(app):
        yield


FEATURE = Feature(
    name="recordings",
    context=_context,
    routes=(
        Route(
            method=Method.GET,
            path="/v1/recordings",
            summary="List recordings, those of the latest calls first",
            access=Permission.RECORDING_READ_METADATA,
            check=Check.EACH,
            handler=list_all,
            query=RecordingListing,
            answer=Page[RecordingView],
            problems=(NOT_SERVED, STORE_AWAY, NOT_SEARCHABLE),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}",
            summary="Show a recording, without its sound",
            access=Permission.RECORDING_READ_METADATA,
            handler=show,
            thing=_through_glass,
            takes_glass=True,
            at=RecordingPath,
            answer=RecordingView,
            tx=Tx.NONE,
            problems=(NOT_SERVED, STORE_AWAY),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}/audio",
            summary="Play a recording: a WAV of two channels, by ranges if asked",
            access=Permission.RECORDING_PLAY,
            handler=play,
            thing=finding.thing,
            at=RecordingPath,
            gives=WAV,
            tx=Tx.NONE,
            problems=(NOT_SERVED, DAMAGED, NO_KEY, DELETED, STORE_AWAY, BAD_RANGE),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}/waveform",
            summary="Show how loud each party was when",
            access=Permission.RECORDING_PLAY,
            handler=waveform,
            thing=finding.thing,
            at=RecordingPath,
            answer=WaveformView,
            tx=Tx.NONE,
            problems=(NOT_SERVED, DAMAGED, NO_KEY, DELETED, STORE_AWAY),
        ),
        *TAGGING,
        *KEEPING,
        *EXPORT,
    ),
)
