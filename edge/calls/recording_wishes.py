"""Carries out what people ask of the recordings of calls that this edge holds.

A wish stands in the shared state. It is answered there only once the recorder has said that it is
carried out: whoever has a form for card data open waits for that. A recorder that is away is asked
for as long as the wish stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import structlog
from msgspec.structs import replace

from state import keys
from state.codec import encode
from state.discreet import fault
from state.errors import StoreError
from state.keys import Kind
from state.model import CallId, EdgeId, Entry, RecordingState, RecordingStatus, RecordingWish
from state.snapshot import Snapshot
from state.store import Absent, Compare, ModIs, Put, Store
from state.wake import Wake

log = structlog.get_logger()

PERIOD_S: Final = 1.0
"""A wish may come before the edge holds the call, and a write may fail."""
PATIENCE_S: Final = 3.0
"""So long the recorder has for a wish, before an agent who has resumed hears the caller anyway."""
_NO_WISH: Final = -1


class Obeys(Protocol):
    """What it needs of the way to the recorder."""

    def records(self, call: CallId) -> bool:
        """Tell whether a call is recorded."""
        ...

    async def obey(self, call: CallId, wish: int) -> bool:
        """Return once the recorder has carried a wish out; True: the agent hears no caller now."""
        ...


class Heard(Protocol):
    """What it needs of what agents hear."""

    def hears_keys(self, call: CallId) -> bool:
        """Tell whether what the caller keys is in the audio."""
        ...

    def hears_caller(self, call: CallId) -> bool:
        """Tell whether the agent hears the caller, and not silence in their place."""
        ...

    async def silence_caller(self, call: CallId, on: bool) -> bool:  # noqa: FBT001 - as it is called
        """Have them hear silence, or the caller again; tell whether it is done."""
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
        hearing: Heard,
        recorder: Obeys | None,
    ) -> None:
        """Without a `recorder` nothing is recorded, and every pause holds.

        It is the recorder that puts silence in a caller's place, in the calls that it records, and
        takes it away again; the edge does so in others, and takes it away for a recorder that does
        not answer.
        """
        self._edge = edge
        self._store = store
        self._snapshot = snapshot
        self._holds = holds
        self._hearing = hearing
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
        for call, status in snapshot.recordings.items():
            doing = self._doing.get(call)
            is_free = doing is None or doing[1].done()
            if is_free and self._holds(call) and not self._is_true(status.value):
                self._doing[call] = (_NO_WISH, asyncio.create_task(self._correct(call)))
        for call in [call for call, doing in self._doing.items() if not self._holds(call)]:
            self._doing.pop(call)[1].cancel()

    async def _obey(self, wish: Entry[RecordingWish]) -> None:
        call = wish.value.call
        state, is_apart = await self._carried_out(wish)
        status = RecordingStatus(
            call=call,
            edge=self._edge,
            state=state,
            wish=wish.mod_revision,
            hears_keys=self._hearing.hears_keys(call) and not is_apart,
            hears_caller=not is_apart,
        )
        if await self._write(status):
            log.info("recording_wish_carried_out", call=call, state=state, by=wish.value.by)

    async def _carried_out(self, wish: Entry[RecordingWish]) -> tuple[RecordingState, bool]:
        """Return what became of the recording, and whether the agent hears silence."""
        call, pauses = wish.value.call, wish.value.pause
        state = RecordingState.PAUSED if pauses else RecordingState.RECORDING
        is_lifted = pauses
        while self._recorder is not None and self._recorder.records(call):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return state, await self._recorder.obey(call, wish.mod_revision)
            except TimeoutError:
                if not is_lifted:
                    # Once: what an agent keys later on is for the recorder.
                    log.warning("recorder_does_not_resume", call=call)
                    is_lifted = await self._hearing.silence_caller(call, on=False)
                await self._correct(call)
        if pauses:
            if wish.value.keyed:
                await self._hearing.silence_caller(call, on=True)
        else:
            while not await self._hearing.silence_caller(call, on=False):  # noqa: ASYNC110 - a relay
                await asyncio.sleep(PERIOD_S)
        return RecordingState.UNRECORDED, not self._hearing.hears_caller(call)

    async def _correct(self, call: CallId) -> None:
        """Let what was answered say what is true now, if it is not: another agent has come."""
        status = self._snapshot().recordings.get(call)
        if status is not None and not self._is_true(status.value):
            await self._write(replace(status.value, edge=self._edge, **self._heard(call)))

    def _is_true(self, status: RecordingStatus) -> bool:
        heard = {"hears_keys": status.hears_keys, "hears_caller": status.hears_caller}
        return heard == self._heard(status.call)

    def _heard(self, call: CallId) -> Mapping[str, bool]:
        hears_caller = self._hearing.hears_caller(call)
        hears_keys = self._hearing.hears_keys(call) and hears_caller
        return {"hears_keys": hears_keys, "hears_caller": hears_caller}

    async def _write(self, status: RecordingStatus) -> bool:
        """Tell whether it is written."""
        key = keys.recording(status.call)
        held = self._snapshot().raw.get(key)
        compare: Compare = (
            Absent(key=key) if held is None else ModIs(key=key, mod_revision=held.mod_revision)
        )
        try:
            await self._store.txn((compare,), (Put(key=key, value=encode(status)),))
        except StoreError as error:
            log.warning("recording_status_not_written", call=status.call, **fault(error))
            return False
        return True


def _is_answered(snapshot: Snapshot, wish: Entry[RecordingWish]) -> bool:
    status = snapshot.recordings.get(wish.value.call)
    return status is not None and status.value.wish >= wish.mod_revision
