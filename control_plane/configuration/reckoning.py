"""What moves of traffic would come to: what is being reckoned, and what was a moment ago.

Owns how long whoever asks waits for it. Knows nothing of what is reckoned, nor what is made of it.

A reckoning that somebody does not wait for goes on, and is kept for a while: who asks for the same
again gets that, or joins it while it goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from edge.steering.judgement import Move
from state.configuration import Configuration
from state.discreet import fault

log = structlog.get_logger()

KEPT_S: Final = 60.0
"""So old may be what is answered with, of the ten minutes of calls that it stands on."""


class NotKnown(StrEnum):
    """Why it is not known what a move comes to."""

    LATE = "late"
    """It is being reckoned."""
    FAILED = "failed"


class _Found(Struct, frozen=True, kw_only=True):
    move: Move
    at_s: float
    took_s: float


class Reckonings:
    """Those of one control plane."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._found: dict[bytes, _Found] = {}
        self._going_on: dict[bytes, asyncio.Task[Move | NotKnown]] = {}

    async def found(
        self, key: bytes, reckon: Callable[[], Move], within_s: float | None
    ) -> Move | NotKnown:
        """Return what a move comes to, if that is known in time. None: however long it takes.

        The newest that there is in time, which may be one of `kept_s` ago.
        """
        kept = self._kept(key)
        if kept is not None and within_s is not None and kept.took_s > within_s:
            return kept.move  # another would come too late again
        task = self._going_on.get(key) or self._begun(key, reckon)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(task)
        except TimeoutError:
            return NotKnown.LATE if kept is None else kept.move

    def close(self) -> None:
        """Wait for none of them any more."""
        for task in self._going_on.values():
            task.cancel()

    def _kept(self, key: bytes) -> _Found | None:
        oldest_s = _now_s() - self._kept_s
        self._found = {each: found for each, found in self._found.items() if found.at_s >= oldest_s}
        return self._found.get(key)

    def _begun(self, key: bytes, reckon: Callable[[], Move]) -> asyncio.Task[Move | NotKnown]:
        task = self._going_on[key] = asyncio.create_task(self._reckon(key, reckon))
        task.add_done_callback(lambda _: self._going_on.pop(key, None))
        return task

    async def _reckon(self, key: bytes, reckon: Callable[[], Move]) -> Move | NotKnown:
        began_s = _now_s()
        try:
            move = await asyncio.to_thread(reckon)
        except Exception as error:  # noqa: BLE001 - whatever it stumbles over: a plan waits for none
            log.error("move_not_predicted", **fault(error))  # noqa: TRY400 - its text stays out
            return NotKnown.FAILED
        self._found[key] = _Found(move=move, at_s=_now_s(), took_s=_now_s() - began_s)
        return move


def key_of(after: Configuration, present: Configuration) -> bytes:
    """PURE. Return what two moves have in common that come to the same: what they make of what.

    Who activated a plan when and why makes no difference, nor which version it is.
    """
    both = [replace(each, contingencies=(), release=None) for each in (present, after)]
    return hashlib.sha256(msgspec.msgpack.encode(both)).digest()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
