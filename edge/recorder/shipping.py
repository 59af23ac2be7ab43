"""Takes what is sealed from the spool to the store, exactly once; keeps it while the store is away.

A segment goes as soon as it has ended, its manifest when the recording is over. An object that is
in the store is known by its name, which for audio is its hash, so that whoever dies between sending
and noting it sends it again for nothing. The spool gives a recording up only for
its manifest, and only when the store's disk has it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from obstore.exceptions import BaseError

from custody import manifest
from custody.errors import ConflictError, FormatError
from custody.manifest import Manifest, Segment
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from edge.recorder.folder import Facts, is_over, manifest_of, read_facts
from edge.recorder.segments import KEY, SEALED
from state.discreet import fault
from state.wake import Wake

PERIOD_S: Final = 0.5
RETRY_S: Final = 5.0

log = structlog.get_logger()


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
        whole: list[tuple[Path, Manifest]] = []
        for folder in sorted(self._spool.iterdir()):
            facts = read_facts(folder)
            if facts is None:
                continue
            try:
                if (account := await self._ship(folder, facts)) is not None:
                    whole.append((folder, account))
            except (ConflictError, FormatError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                # Only a person can say which of the two is right; both are kept.
                log.error("recording_not_shipped", call=facts.call, **fault(error))  # noqa: TRY400 - one line
        if whole:
            await self._store.settle()
            for folder, account in whole:
                await self._give_up(folder, account)

    async def _ship(self, folder: Path, facts: Facts) -> Manifest | None:
        """Return the account of a recording that the store has whole now."""
        if is_over(folder):
            return await self._ship_whole(folder, facts)
        for path in _ended(folder):
            if path not in self._sent:
                segment = msgspec.json.decode(path.read_bytes(), type=Segment)
                await self._ship_segment(folder, facts, segment)
                self._sent.add(path)
        return None

    async def _ship_segment(self, folder: Path, facts: Facts, segment: Segment) -> None:
        name = f"{segment.number:04d}"
        try:
            sealed_key = (folder / f"{name}{KEY}").read_bytes()
            sealed = await asyncio.to_thread((folder / f"{name}{SEALED}").read_bytes)
        except FileNotFoundError as error:
            # Of this call; the store is not away, and takes the others.
            raise FormatError(f"segment {name} is not whole in the spool") from error
        await self._store.put(key_name(facts.tenant, facts.call, segment.number), sealed_key)
        await self._store.put(audio_name(facts.tenant, facts.call, segment), sealed)

    async def _ship_whole(self, folder: Path, facts: Facts) -> Manifest:
        account = await asyncio.to_thread(manifest_of, folder, self._recorder)
        for segment in account.segments:
            if folder / f"{segment.number:04d}.json" not in self._sent:
                await self._ship_segment(folder, facts, segment)
        signed = manifest.sign(account, self._key)
        await self._store.put(manifest_name(facts.tenant, facts.call), signed)
        return account

    async def _give_up(self, folder: Path, account: Manifest) -> None:
        await asyncio.to_thread(shutil.rmtree, folder)
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


def _nothing() -> None:
    """Nobody wants to know."""


def _ended(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))
