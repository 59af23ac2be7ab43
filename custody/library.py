"""Opens the recordings of a store: any second, or all of it, checked against the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from custody import keyring as keys
from custody import manifest as manifests
from custody import seal
from custody.errors import FormatError, NoKeyError, TamperedError
from custody.frame import LAYOUT, SAMPLES, Frame
from custody.keyring import Keyring
from custody.manifest import Manifest, Segment
from custody.providers import WrappingProvider
from custody.segment import Reader, check, read_checked
from custody.store import RecordingStore, audio_name, key_name, manifest_name
from custody.stream import HEADER_BYTES

KEPT: Final = 64
"""So many private halves are in memory at a time, those that were asked for last: whoever listens
goes on from second to second, and each customer has a key of their own."""


class Library:
    """A store, and the keys that this place has."""

    def __init__(
        self,
        store: RecordingStore,
        keyring: Keyring,
        *,
        providers: Mapping[str, WrappingProvider],
        recorders: Mapping[str, bytes],
    ) -> None:
        """Open with `providers` what `recorders` (id -> public key) have signed."""
        self._store = store
        self._keyring = keyring
        self._providers = providers
        self._recorders = recorders
        self._private: dict[tuple[str, str], bytes] = {}

    async def manifest(self, tenant: str, recording: str) -> Manifest:
        """Return the account of a recording. Raise FileNotFoundError, `TamperedError`."""
        signed = await self._store.get(manifest_name(tenant, recording))
        found = manifests.read(signed, self._recorders)
        if (found.tenant, found.recording) != (tenant, recording):
            raise TamperedError(f"under {recording} stands the manifest of another recording")
        return found

    async def signed(self, tenant: str, recording: str) -> bytes:
        """Return that account as it is kept, signature and all. Raise FileNotFoundError."""
        return await self._store.get(manifest_name(tenant, recording))

    async def verify(self, tenant: str, recording: str) -> list[str]:
        """Say what is wrong with a recording; hashes and signature only, no key is needed."""
        try:
            account = await self.manifest(tenant, recording)
        except (TamperedError, FormatError) as error:
            return [str(error)]
        except FileNotFoundError:
            return ["there is no manifest"]
        wrong = []
        for segment in account.segments:
            try:
                sealed = await self._store.get(audio_name(tenant, recording, segment))
                sealed_key = await self._store.get(key_name(tenant, recording, segment.number))
            except FileNotFoundError:
                wrong.append(f"segment {segment.number}, or its key, is missing")
                continue
            wrong += check(segment, sealed, sealed_key)
        return wrong

    async def frames(self, account: Manifest) -> AsyncIterator[Frame]:
        """Yield all of it, each segment checked whole. Raise `TamperedError`, `NoKeyError`."""
        for segment in account.segments:
            key = await self._data_key(account, segment)
            sealed = await self._store.get(audio_name(account.tenant, account.recording, segment))
            for frame in read_checked(segment, account.place(segment), key, sealed):
                yield frame

    async def open_segment(self, account: Manifest, segment: Segment) -> SegmentInStore:
        """Return a segment of which any second can be had by itself."""
        key = await self._data_key(account, segment)
        name = audio_name(account.tenant, account.recording, segment)
        head = await self._store.get_range(name, 0, HEADER_BYTES)
        reader = Reader(key, account.place(segment), head, segment.size)
        return SegmentInStore(self._store, name, segment, reader)

    async def _data_key(self, account: Manifest, segment: Segment) -> bytes:
        try:
            sealed = await self._store.get(
                key_name(account.tenant, account.recording, segment.number)
            )
        except FileNotFoundError as error:
            raise NoKeyError(
                f"the key of segment {segment.number} is gone: this recording was erased"
            ) from error
        if hashlib.sha256(sealed).hexdigest() != segment.sealed_key:
            # Sealing takes the public half alone: without this, audio of anybody's would open.
            raise TamperedError(f"the key of segment {segment.number} is not what was signed")
        private = await self._open_private(account.tenant, segment.key_id)
        return seal.unseal(sealed, private, account.place(segment))

    async def _open_private(self, tenant: str, key_id: str) -> bytes:
        try:
            key = self._keyring.get(tenant, key_id)
        except NoKeyError:
            # What was destroyed is not kept in our memory either.
            self._private.pop((tenant, key_id), None)
            raise
        private = self._private.pop((tenant, key_id), None)
        if private is None:
            private = await keys.open_private(key, self._providers)
        self._private[tenant, key_id] = private
        if len(self._private) > KEPT:
            del self._private[next(iter(self._private))]
        return private


class SegmentInStore:
    """A segment, opened; frames are fetched as they are asked for."""

    def __init__(self, store: RecordingStore, name: str, segment: Segment, reader: Reader) -> None:
        self._store = store
        self._name = name
        self._segment = segment
        self._reader = reader

    async def frame(self, index: int) -> Frame:
        """Return frame `index`. Raise `TamperedError`."""
        if index < self._reader.whole:
            start, end = LAYOUT.span(index)
            frame = self._reader.frame(index, await self._store.get_range(self._name, start, end))
        else:
            start = self._reader.whole * LAYOUT.frame_bytes or HEADER_BYTES
            sealed = await self._store.get_range(self._name, start, self._segment.size)
            frame = self._reader.end(sealed)
        if frame.start != self._segment.start + index * SAMPLES:
            raise TamperedError(f"segment {self._segment.number} is out of order")
        return frame
