"""Takes what is sealed from the spool to the store, exactly once; keeps it while the store is away.

A segment goes as soon as it has ended, its manifest when the recording is over. An object that is
in the store is known by its name, which for audio is its hash, so that whoever dies between sending
and noting it sends it again for nothing. The spool gives a recording up only for
its manifest, and only when the store's disk has it.

A recording that has trouble of its own keeps no other from the store. It is told of once, and tried
again from time to time, and when its call is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from obstore.exceptions import BaseError

from custody import manifest
from custody.errors import ConflictError, FormatError
from custody.manifest import Manifest, Segment
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from edge.recorder import folder as folders
from edge.recorder.folder import Facts, is_over, manifest_of, read_facts
from edge.recorder.segments import KEY, SEALED
from state.discreet import fault
from state.wake import Wake

PERIOD_S: Final = 0.5
RETRY_S: Final = 5.0
AGAIN_S: Final = 60.0
"""Between two tries with a recording that has trouble of its own."""
MOST_IN_A_ROW: Final = 3
"""So many recordings that the store does not take, and it is the store that is away."""

log = structlog.get_logger()


class _SpoolError(Exception):
    """The spool's disk does not give what it should of one recording."""


class _Trouble(NamedTuple):
    """What keeps one recording from the store."""

    since_s: float
    """When it was last tried."""
    was_over: bool
    told: str


class _NotTaken(NamedTuple):
    """What the store did not take: for a reason of its own, or as it is away."""

    folder: Path
    call: str
    error: OSError | BaseError


class Shipper:
    """One spool's way to one store."""

    def __init__(
        self, *, spool: Path, store: RecordingStore, key: Ed25519PrivateKey, recorder: str
    ) -> None:
        self._spool = spool
        self._store = store
        self._key = key
        self._recorder = recorder
        self._sent: set[Path] = set()
        """Segments that are in the store, of recordings that are not over."""
        self._troubles: dict[Path, _Trouble] = {}
        self._not_taken: set[Path] = set()
        """What the store did not take when it was last asked: it may never, and comes last."""
        self._wake = Wake()
        self.kept = 0
        """Recordings that the store has whole, since this process began."""
        self.is_failing = False
        self.on_kept: Callable[[], None] = _nothing
        """Is called when the store has another recording whole."""

    def wake(self) -> None:
        """Look at once: something has ended."""
        self._wake.set()

    async def run(self) -> None:
        """Ship until cancelled."""
        while True:
            try:
                await self.ship()
                self.is_failing = False
                pause_s = PERIOD_S
            except (OSError, BaseError, TimeoutError) as error:
                if not self.is_failing:
                    log.warning("store_away", remedy="the spool keeps it", **fault(error))
                self.is_failing = True
                pause_s = RETRY_S
            await self._wake.wait(pause_s)

    async def ship(self) -> None:
        """Send what has ended and has not been sent."""
        folders.remove_left(self._spool)
        there = sorted(folders.folders(self._spool), key=self._not_taken.__contains__)
        self._troubles = {each: self._troubles[each] for each in self._troubles if each in there}
        sent = len(self._sent)
        whole, not_taken = await self._ship_all(there)
        takes_others = bool(whole) or len(self._sent) > sent
        if whole:
            await self._store.settle()
            for folder, account in whole:
                try:
                    await self._give_up(folder, account)
                except OSError as error:
                    self._note(folder, account.call, error)
        self._not_taken = {each.folder for each in not_taken}
        for each in not_taken:
            if not takes_others:
                raise each.error
            self._note(each.folder, each.call, each.error)

    async def _ship_all(
        self, there: Iterable[Path]
    ) -> tuple[list[tuple[Path, Manifest]], list[_NotTaken]]:
        """Return what the store has whole now, and what it did not take."""
        whole: list[tuple[Path, Manifest]] = []
        not_taken: list[_NotTaken] = []
        in_a_row = 0
        for folder in there:
            facts = read_facts(folder)
            if facts is None or self._is_to_wait(folder):
                continue
            try:
                if (account := await self._ship(folder, facts)) is not None:
                    whole.append((folder, account))
                    in_a_row = 0
            except _OWN_TROUBLES as error:
                # Only a person can say which of two objects is right; both are kept.
                self._note(folder, facts.call, error)
            except (OSError, BaseError) as error:
                not_taken.append(_NotTaken(folder, facts.call, error))
                in_a_row += 1
                if in_a_row == MOST_IN_A_ROW:
                    break
        return whole, not_taken

    def _is_to_wait(self, folder: Path) -> bool:
        trouble = self._troubles.get(folder)
        return (
            trouble is not None
            and trouble.was_over is is_over(folder)
            and time.monotonic() - trouble.since_s < AGAIN_S
        )

    def _note(self, folder: Path, call: str, error: Exception) -> None:
        before, told = self._troubles.get(folder), fault(error)
        self._troubles[folder] = _Trouble(time.monotonic(), is_over(folder), str(told))
        if before is None or before.told != str(told):
            log.error("recording_not_shipped", call=call, **told)

    async def _ship(self, folder: Path, facts: Facts) -> Manifest | None:
        """Return the account of a recording that the store has whole now."""
        if is_over(folder):
            return await self._ship_whole(folder, facts)
        for path in _ended(folder):
            if path not in self._sent:
                segment = msgspec.json.decode(_read(path), type=Segment)
                await self._ship_segment(folder, facts, segment)
                self._sent.add(path)
        return None

    async def _ship_segment(self, folder: Path, facts: Facts, segment: Segment) -> None:
        name = f"{segment.number:04d}"
        sealed_key = _read(folder / f"{name}{KEY}")
        sealed = await asyncio.to_thread(_read, folder / f"{name}{SEALED}")
        await self._store.put(key_name(facts.tenant, facts.call, segment.number), sealed_key)
        await self._store.put(audio_name(facts.tenant, facts.call, segment), sealed)

    async def _ship_whole(self, folder: Path, facts: Facts) -> Manifest:
        try:
            account = await asyncio.to_thread(manifest_of, folder, self._recorder)
        except OSError as error:
            # It may have had to write: a segment that was left open is closed with its account.
            raise _SpoolError(f"no account of it: {error.strerror}") from error
        for segment in account.segments:
            if folder / f"{segment.number:04d}.json" not in self._sent:
                await self._ship_segment(folder, facts, segment)
        signed = manifest.sign(account, self._key)
        await self._store.put(manifest_name(facts.tenant, facts.call), signed)
        return account

    async def _give_up(self, folder: Path, account: Manifest) -> None:
        await asyncio.to_thread(folders.remove, folder)
        self._sent = {path for path in self._sent if path.parent != folder}
        self.kept += 1
        self.on_kept()
        log.info(
            "recording_kept",
            call=account.call,
            s=round(account.samples / 8000, 2),
            segments=len(account.segments),
            is_complete=account.is_complete,
        )


def _read(path: Path) -> bytes:
    """Return a file of the spool. Raise `_SpoolError`: the store is not away, and takes others."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _SpoolError(f"{path.name} is not whole in the spool: {error.strerror}") from error


_OWN_TROUBLES: Final = (
    _SpoolError,
    ConflictError,
    FormatError,
    msgspec.MsgspecError,
    UnicodeDecodeError,
)
"""Of one recording, which the store can do nothing about."""


def _nothing() -> None:
    """Nobody wants to know."""


def _ended(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))
