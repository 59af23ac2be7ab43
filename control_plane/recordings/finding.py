"""Finds a recording for the endpoints: whose it is, what its manifest says, what stands against it.

Whose a recording is stands in the call's row, never in what the recorder says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from typing import Any, Final, TypeAlias, TypeVar

from obstore.exceptions import BaseError

from control_plane.api.ask import Ask
from control_plane.calls import store as calls
from control_plane.calls.store import PastCall
from control_plane.errors import ApiError, not_found
from control_plane.recording_keys import deletions
from control_plane.recordings.errors import DAMAGED, DELETED, NO_KEY, NOT_SERVED, STORE_AWAY
from control_plane.recordings.schemas import RecordingPath
from control_plane.recordings.shelf import ARCHIVE, LIBRARY
from control_plane.subjects import Thing
from custody.errors import CustodyError, NoKeyError
from custody.library import Library
from custody.manifest import Manifest

T = TypeVar("T")
AnyAsk: TypeAlias = Ask[Any, Any, Any]
Named: TypeAlias = Ask[RecordingPath, Any, Any]
NO_DIGEST: Final = "none"
UNREAD: Final = "unknown"
"""In the place of a digest: the store does not give the manifest."""
_DIGEST: Final = 32


def thing_of(call: PastCall, *, has_legal_hold: bool | None = None, digest: str = "") -> Thing:
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
        has_legal_hold=has_legal_hold,
        digest=digest,
        numbers=(call.caller,) if call.caller else None,
    )


async def call(ask: Named) -> PastCall:
    """Return the call with a talk that the path names. Raise `not-found`."""
    return await call_of(ask, ask.at.recording)


async def call_of(ask: AnyAsk, recording: str) -> PastCall:
    """Return the call of that id in which an agent talked with the caller. Raise `not-found`."""
    async with ask.services.database.read() as connection:
        found = await calls.find(connection, ask.tenant, recording)
    if found is None or not calls.has_talk(found):
        raise not_found()
    return found


async def thing(ask: Named) -> Thing:
    """Return the recording that the path names."""
    return thing_of(await call(ask))


def library(ask: AnyAsk) -> Library:
    """Return what opens recordings here. Raise `recordings-not-served`."""
    found = ask.request.app.get(LIBRARY)
    if found is None:
        raise ApiError(NOT_SERVED)
    return found


async def account(ask: AnyAsk, recording: str) -> Manifest | None:
    """Return what the manifest says; None: there is none."""
    try:
        return await _given(recording, library(ask).manifest(ask.tenant, recording))
    except FileNotFoundError:
        return None


async def digest(ask: AnyAsk, recording: str) -> str:
    """Return the hash of a recording's manifest as it is kept: what an approval is bound to."""
    if LIBRARY not in ask.request.app:
        return NO_DIGEST
    try:
        return digest_of(await _given(recording, library(ask).signed(ask.tenant, recording)))
    except FileNotFoundError:
        return NO_DIGEST


async def digest_or_unread(ask: AnyAsk, recording: str) -> str:
    """Return `digest`, or `UNREAD`: what a yes to a deletion is bound to.

    Deleting takes no look at what it says; what nobody can read any more has to go, too.
    """
    try:
        return await digest(ask, recording)
    except ApiError as error:
        if error.problem is not STORE_AWAY:
            raise
        return UNREAD


def digest_of(signed: bytes) -> str:
    """Return the hash of a manifest as it is kept."""
    return hashlib.sha256(signed).hexdigest()[:_DIGEST]


async def deleted(ask: AnyAsk, recordings: list[str]) -> frozenset[str]:
    """Return which of these were ordered to be deleted."""
    found = ask.request.app.get(ARCHIVE)
    if found is None:
        return frozenset()
    subjects = [deletions.recording(each) for each in recordings]
    gone = await deletions.among(found.database, ask.tenant, subjects)
    return frozenset(subject.partition(":")[2] for subject in gone)


async def kept(ask: Named) -> Manifest:
    """Return the manifest of what may be heard. Raise `not-found`, `recording-deleted`."""
    if await deleted(ask, [ask.at.recording]):
        raise ApiError(DELETED)
    found = await account(ask, ask.at.recording)
    if found is None:
        raise not_found()
    return found


async def _given(recording: str, reading: Awaitable[T]) -> T:
    """Return what there is of a manifest; whoever is not given it is told which, and what to do."""
    try:
        return await kindly(reading)
    except ApiError as error:
        if error.problem is not STORE_AWAY:
            raise
        raise ApiError(
            STORE_AWAY,
            f"It did not give the manifest of {recording}, which says what of it is where: its disk"
            " may be bad, or all of it away. It is asked anew each time. What else is known stands"
            f" in GET /v1/recordings/{recording}; meanwhile whoever may can put it under hold, or"
            f' have it deleted by a second person\'s yes to the digest "{UNREAD}".',
        ) from error


async def kindly(asking: Awaitable[T]) -> T:
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
