"""The endpoints of recordings: what there is, what it looks like, and how it sounds.

Whose a recording is stands in the call's row, never in what the recorder says. Every look at the
sound, and every waveform, is written into the audit log before the first byte goes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from obstore.exceptions import BaseError

from control_plane.api import paging
from control_plane.api.ask import Ask
from control_plane.api.model import Nothing, instant
from control_plane.api.paging import Cursor, Page
from control_plane.api.route import Check, Feature, Method, Route, Stream, Tx
from control_plane.calls import store as calls
from control_plane.calls.store import PastCall
from control_plane.errors import BAD_CURSOR, INVALID, ApiError, Faults, FieldFault, not_found
from control_plane.permissions import Permission
from control_plane.recordings import playing, ranges
from control_plane.recordings.errors import BAD_RANGE, DAMAGED, NO_KEY, NOT_SERVED, STORE_AWAY
from control_plane.recordings.schemas import (
    RecordingListing,
    RecordingPath,
    RecordingView,
    SpanView,
    WaveformView,
)
from control_plane.recordings.shelf import LIBRARY, context
from control_plane.subjects import Thing
from custody import listening
from custody.errors import CustodyError, NoKeyError
from custody.frame import LEVEL, RATE_HZ
from custody.library import Library
from custody.manifest import Manifest, Span
from state.model import Outcome

T = TypeVar("T")
AnyAsk: TypeAlias = Ask[Any, Any, Any]
Listed: TypeAlias = Ask[Nothing, RecordingListing, Nothing]
Named: TypeAlias = Ask[RecordingPath, Nothing, Nothing]
_SORT: Final = "-arrived"
_LONGEST_WAVEFORM_S: Final = 4 * 3600
WAV: Final = "audio/wav"


# ---- finding -------------------------------------------------------------------------------------


def thing_of(call: PastCall) -> Thing:
    """Return what the policy is asked about.

    The row names the team that the agent was in when the call was carried over: whoever was in it
    then had joined it by the time that the recording was made.
    """
    return Thing(
        kind="recording",
        tenant=call.tenant,
        id=call.id,
        agent=call.agent,
        team=call.team,
        site=call.agent_site,
        employer=call.employer,
        made_ms=call.arrived_ms,
        in_team_since_ms=call.arrived_ms if call.team else None,
    )


async def _call(ask: Named) -> PastCall:
    async with ask.services.database.read() as connection:
        found = await calls.find(connection, ask.tenant, ask.at.recording)
    if found is None or found.outcome != Outcome.ANSWERED:
        raise not_found()
    return found


async def _thing(ask: Named) -> Thing:
    return thing_of(await _call(ask))


def _library(ask: AnyAsk) -> Library:
    library = ask.request.app.get(LIBRARY)
    if library is None:
        raise ApiError(NOT_SERVED)
    return library


async def _account(ask: AnyAsk, recording: str) -> Manifest | None:
    try:
        return await _kindly(_library(ask).manifest(ask.tenant, recording))
    except FileNotFoundError:
        return None


async def _kindly(asking: Awaitable[T]) -> T:
    """Return what custody gives; what it raises in the words of the API."""
    try:
        return await asking
    except FileNotFoundError:
        raise
    except NoKeyError as error:
        raise ApiError(NO_KEY) from error
    except CustodyError as error:
        raise ApiError(DAMAGED) from error
    except (OSError, BaseError) as error:
        raise ApiError(STORE_AWAY) from error


async def _kept(ask: Named) -> Manifest:
    account = await _account(ask, ask.at.recording)
    if account is None:
        raise not_found()
    return account


# ---- what there is -------------------------------------------------------------------------------


async def list_all(ask: Listed) -> Page[RecordingView]:
    """Return those of a page that the policy lets the subject know of."""
    query = ask.query
    if query.sort not in ("", _SORT):
        fault = FieldFault("query.sort", f"should be {_SORT}")
        raise ApiError(INVALID, details=Faults((fault,)).details())
    wanted: dict[str, Any] = {
        "queue": query.queue,
        "agent": query.agent,
        "site": query.site,
        "outcome": Outcome.ANSWERED,
        "since": _ms(query.since),
        "until": _ms(query.until),
    }
    rows = await calls.latest(ask.db, ask.tenant, wanted, _after(query), query.limit + 1)
    items, following = rows[: query.limit], None
    if len(rows) > query.limit:
        last = items[-1]
        following = paging.encode(Cursor(_SORT, last.arrived_ms, last.id))
    seen = [await _view(ask, call) for call in items if ask.sees(thing_of(call))]
    return Page[RecordingView](items=tuple(seen), next=following)


def _after(query: RecordingListing) -> tuple[int, str] | None:
    if query.cursor is None:
        return None
    cursor = paging.decode(query.cursor, _SORT)
    if not isinstance(cursor.value, int):
        raise ApiError(BAD_CURSOR)
    return (cursor.value, cursor.id)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


async def _view(ask: AnyAsk, call: PastCall) -> RecordingView:
    account = await _account(ask, call.id)
    segments = account.segments if account else ()
    return RecordingView(
        id=call.id,
        call=call.id,
        queue=call.queue,
        agent=call.agent,
        site=call.site,
        arrived=instant(call.arrived_ms),
        is_kept=account is not None,
        is_complete=account is not None and account.is_complete,
        unrecorded=call.record.unrecorded,
        length_s=round(account.samples / RATE_HZ, 3) if account else 0.0,
        segments=len(segments),
        gaps=_spans(account.gaps if account else ()),
        pauses=_spans(account.pauses if account else ()),
        lost_packets=sum(each.caller.lost + each.agent.lost for each in segments[-1:]),
    )


def _spans(spans: tuple[Span, ...]) -> tuple[SpanView, ...]:
    return tuple(
        SpanView(
            start_s=round(each.start / RATE_HZ, 3),
            end_s=round(each.end / RATE_HZ, 3),
            because=each.because,
        )
        for each in spans
    )


async def show(ask: Named) -> RecordingView:
    """Return one."""
    return await _view(ask, await _call(ask))


# ---- how it sounds -------------------------------------------------------------------------------


async def _write_down(ask: Named, part: str) -> None:
    """Audit before anything is heard: what cannot be written down is not played."""
    async with ask.services.database.write() as connection:
        ask.connection = connection
        await ask.audit(ask.at.recording, detail={"part": part})


async def play(ask: Named) -> Stream:
    """Send the sound, or the bytes of it that a Range header names."""
    account = await _kept(ask)
    size = playing.size_of(account)
    asked = ranges.wanted(ask.request.headers.get("Range"), size)
    start, end = asked or (0, size)
    await _write_down(ask, f"{start}-{end}")
    chunks = playing.wav(_library(ask), account, start, end)
    # Opened before it is promised: a frame that does not open becomes an answer of its own.
    first = await _kindly(anext(chunks))
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
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
    account = await _kept(ask)
    await _write_down(ask, "waveform")
    caller, agent = await _kindly(_peaks(_library(ask), account))
    return WaveformView(step_s=LEVEL / RATE_HZ, caller=tuple(caller), agent=tuple(agent))


async def _peaks(library: Library, account: Manifest) -> tuple[list[int], list[int]]:
    frames = [frame async for frame in library.frames(account)]
    return listening.waveform(frames, min(account.samples, _LONGEST_WAVEFORM_S * RATE_HZ))


FEATURE = Feature(
    name="recordings",
    context=context,
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
            problems=(NOT_SERVED, DAMAGED, STORE_AWAY),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}",
            summary="Show a recording, without its sound",
            access=Permission.RECORDING_READ_METADATA,
            handler=show,
            thing=_thing,
            at=RecordingPath,
            answer=RecordingView,
            tx=Tx.NONE,
            problems=(NOT_SERVED, DAMAGED, STORE_AWAY),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}/audio",
            summary="Play a recording: a WAV of two channels, by ranges if asked",
            access=Permission.RECORDING_PLAY,
            handler=play,
            thing=_thing,
            at=RecordingPath,
            gives=WAV,
            tx=Tx.NONE,
            problems=(NOT_SERVED, DAMAGED, NO_KEY, STORE_AWAY, BAD_RANGE),
        ),
        Route(
            method=Method.GET,
            path="/v1/recordings/{recording}/waveform",
            summary="Show how loud each party was when",
            access=Permission.RECORDING_PLAY,
            handler=waveform,
            thing=_thing,
            at=RecordingPath,
            answer=WaveformView,
            tx=Tx.NONE,
            problems=(NOT_SERVED, DAMAGED, NO_KEY, STORE_AWAY),
        ),
    ),
)
