"""Carries out what people ask of the recordings of calls that this edge holds.

A wish stands in the shared state. It is answered there only once the recorder has said that it is
carried out: whoever has a form for card data open waits for that. A recorder that is away is asked
for as long as the wish stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import structlog

from edge.log import fault
from state import keys
from state.codec import encode
from state.errors import StoreError
from state.keys import Kind
from state.model import CallId, EdgeId, Entry, RecordingState, RecordingStatus, RecordingWish
from state.snapshot import Snapshot
from state.store import Absent, Compare, ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

PERIOD_S: Final = 1.0
"""A wish may come before the edge holds the call, and a write may fail."""


class Obeys(Protocol):
    """What it needs of the way to the recorder."""

    def records(self, call: CallId) -> bool:
        """Tell whether a call is recorded."""
        ...

    async def obey(self, call: CallId, wish: int) -> bool:
        """Return once the recorder has carried a wish out; True: the agent hears no caller now."""
        ...


class RecordingWishes:
    """The wishes of one edge's calls."""

    def __init__(  # noqa: PLR0913 - what it obeys, and by what
        self,
        *,
        edge: EdgeId,
        store: Store,
        snapshot: Callable[[], Snapshot],
        holds: Callable[[CallId], bool],
        hears_keys: Callable[[CallId], bool],
        silence_caller: Callable[[CallId, bool | None], Awaitable[bool]],
        recorder: Obeys | None,
    ) -> None:
        """Without a `recorder` nothing is recorded, and every pause holds.

        `hears_keys` tells whether an agent hears what the caller keys. `silence_caller` has them
        hear silence in the caller's place, or not any more, or (None) as it is, and tells whether
        they do: for calls that are not recorded. In all others the recorder does it.
        """
        self._edge = edge
        self._store = store
        self._snapshot = snapshot
        self._holds = holds
        self._hears_keys = hears_keys
        self._silence_caller = silence_caller
        self._recorder = recorder
        self._wake = Wake()
        self._doing: dict[CallId, tuple[int, asyncio.Task[None]]] = {}

    def take(self, kinds: AbstractSet[Kind]) -> None:
        """See whether somebody has asked for something: records of these kinds have changed."""
        if Kind.RECORDING_WISH in kinds:
            self._wake.set()

    async def run(self) -> None:
        """Carry out until cancelled."""
        try:
            while True:
                self._look()
                await self._wake.wait(PERIOD_S)
        finally:
            for _, task in self._doing.values():
                task.cancel()

    def _look(self) -> None:
        snapshot = self._snapshot()
        for call, wish in snapshot.recording_wishes.items():
            if not self._holds(call) or _is_answered(snapshot, wish):
                continue
            doing = self._doing.get(call)
            if doing is not None and doing[0] == wish.mod_revision and not doing[1].done():
                continue
            if doing is not None:
                doing[1].cancel()
            task = asyncio.create_task(self._obey(wish))
            self._doing[call] = (wish.mod_revision, task)
        for call in [call for call, doing in self._doing.items() if not self._holds(call)]:
            self._doing.pop(call)[1].cancel()

    async def _obey(self, wish: Entry[RecordingWish]) -> None:
        call, state = wish.value.call, RecordingState.UNRECORDED
        if self._recorder is not None and self._recorder.records(call):
            is_apart = await self._recorder.obey(call, wish.mod_revision)
            state = RecordingState.PAUSED if wish.value.pause else RecordingState.RECORDING
        else:
            wanted = (wish.value.keyed or None) if wish.value.pause else False
            is_apart = await self._silence_caller(call, wanted)
        try:
            await self._answer(wish, state, is_apart=is_apart)
        except StoreError as error:
            log.warning("recording_status_not_written", call=call, **fault(error))
            return
        log.info("recording_wish_carried_out", call=call, state=state, by=wish.value.by)

    async def _answer(
        self, wish: Entry[RecordingWish], state: RecordingState, *, is_apart: bool
    ) -> None:
        call = wish.value.call
        key = keys.recording(call)
        held = self._snapshot().raw.get(key)
        compare: Compare = (
            Absent(key=key) if held is None else ModIs(key=key, mod_revision=held.mod_revision)
        )
        status = RecordingStatus(
            call=call,
            edge=self._edge,
            state=state,
            wish=wish.mod_revision,
            hears_keys=self._hears_keys(call) and not is_apart,
            hears_caller=not is_apart,
        )
        await self._store.txn((compare,), (Put(key=key, value=encode(status)),))


def _is_answered(snapshot: Snapshot, wish: Entry[RecordingWish]) -> bool:
    status = snapshot.recordings.get(wish.value.call)
    return status is not None and status.value.wish >= wish.mod_revision
