"""Writes wishes into the shared state, and waits for what whoever obeys them says.

Nothing here decides what a wish means: edges do, and recorders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from control_plane.errors import UNAVAILABLE, ApiError, Problem
from control_plane.live.follower import Follower
from state.codec import Extras, Record, decode_with_extras, encode
from state.errors import CodecError, StateError
from state.snapshot import Snapshot
from state.store import Absent, Compare, ModIs, Put

TAKEN_S: Final = 2.0
TRIES: Final = 3
CHANGING: Final = Problem(
    status=409, error_id="changing", title="Somebody else changes this just now: look, ask again"
)


async def write(follower: Follower, key: str, record: Record) -> int:
    """Put a record in the place of the one that is seen, and return the revision."""
    try:
        async with asyncio.timeout(TAKEN_S):
            for _ in range(TRIES):
                snapshot = follower.mirror.snapshot
                held = snapshot.raw.get(key)
                compare: Compare = (
                    Absent(key=key)
                    if held is None
                    else ModIs(key=key, mod_revision=held.mod_revision)
                )
                put = Put(key=key, value=encode(record, _extras(snapshot, key, record)))
                done = await follower.store.txn((compare,), (put,))
                if done.succeeded:
                    return done.revision
                # Somebody was quicker: the last one counts, so see theirs and write after it.
                await _newer(follower, snapshot)
    except (StateError, TimeoutError) as error:
        raise ApiError(UNAVAILABLE, "The shared state does not answer.") from error
    raise ApiError(CHANGING)


async def _newer(follower: Follower, than: Snapshot) -> None:
    await follower.mirror.wait_until(lambda now: now.revision > than.revision, TAKEN_S)


def _extras(snapshot: Snapshot, key: str, record: Record) -> Extras:
    """Return what a later version of the record has beside ours: it is kept."""
    raw = snapshot.raw.get(key)
    if raw is None:
        return {}
    try:
        return decode_with_extras(type(record), raw.value, raw.key).extras
    except CodecError:
        return {}  # nobody can read it: this mends it


async def until(
    follower: Follower, is_so: Callable[[Snapshot], bool], timeout_s: float = TAKEN_S
) -> Snapshot:
    """Return the first snapshot in which it is so, or the present one when the time is over."""
    try:
        return await follower.mirror.wait_until(is_so, timeout_s)
    except TimeoutError:
        return follower.mirror.snapshot
