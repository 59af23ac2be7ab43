"""The object store of recordings: a folder, or S3 by configuration. Ciphertext and manifests only.

    TENANT/audio/RECORDING/NNNN-SHA256        a sealed segment
    TENANT/keys/RECORDING/NNNN                its sealed data key, apart: it can be destroyed
    TENANT/manifests/RECORDING.json           the signed account, written last
    identity                                  which store this is; made once

Objects are made and never overwritten: the same object twice is one, another under its name is a
`ConflictError`. What a folder's disk has left of one, as the power went before it was settled, is
none: it is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, ObjectStore, from_url

from custody.disk import settle
from custody.errors import ConflictError
from custody.manifest import Segment

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_RETRIES: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
"""Who asks for good keeps what they have: the recorder in its spool. They try again themselves."""
_IDENTITY: Final = "identity"
_IDENTITY_IS: Final = re.compile(rb"[0-9a-f]{32}")


def audio_name(tenant: str, recording: str, segment: Segment) -> str:
    """Name a sealed segment."""
    return f"{tenant}/audio/{recording}/{segment.number:04d}-{segment.sha256}"


def key_name(tenant: str, recording: str, number: int) -> str:
    """Name a sealed data key."""
    return f"{tenant}/keys/{recording}/{number:04d}"


def manifest_name(tenant: str, recording: str) -> str:
    """Name a manifest."""
    return f"{tenant}/manifests/{recording}.json"


class RecordingStore:
    """One site's store."""

    def __init__(
        self,
        store: ObjectStore,
        folders: Iterable[Path] = (),
        *,
        keys: ObjectStore | None = None,
    ) -> None:
        """Use `store`, and `keys` for sealed data keys; those that are folders are `folders`."""
        self._store = store
        self._keys = keys or store
        self._folders = tuple(folders)

    @classmethod
    def open(cls, where: str, keys: str = "") -> RecordingStore:
        """Open a folder by its path, or what obstore knows by its URL (`s3://BUCKET/PREFIX`).

        `keys` names another place for the sealed data keys: audio may lie under an object lock,
        these have to be free to be destroyed.
        """
        places = [each for each in (where, keys) if each]
        folders = [Path(each) for each in places if "://" not in each]
        opened = [_open(each) for each in places]
        return cls(opened[0], folders, keys=opened[-1])

    def _of(self, name: str) -> ObjectStore:
        return self._keys if name.split("/")[1] == "keys" else self._store

    async def identity(self) -> str:
        """Return which store this is: one that was made anew, or half of it, is another.

        What tells it lies in the store, and goes with all else there.
        """
        known = [await _read_identity(place) for place in self._places()]
        if None in known:
            known = [await _make_identity(place) for place in self._places()]
            await self.settle()  # before anybody is told
        return "-".join(each for each in known if each is not None)

    def _places(self) -> tuple[ObjectStore, ...]:
        return tuple({id(each): each for each in (self._store, self._keys)}.values())

    async def put(self, name: str, content: bytes) -> bool:
        """Make an object; return False if it is there already. Raise `ConflictError`."""
        try:
            await obstore.put_async(self._of(name), name, content, mode="create")
        except AlreadyExistsError as error:
            found = await self.get(name)
            if found == content:
                return False
            if not (isinstance(self._of(name), LocalStore) and _is_torn(found, content)):
                raise ConflictError(f"another object is there under {name}") from error
            await obstore.put_async(self._of(name), name, content, mode="overwrite")
        return True

    async def settle(self) -> None:
        """Wait until what was put is on the disk; a server has it there when it says yes."""
        for folder in self._folders:
            await asyncio.to_thread(settle, folder)

    async def get(self, name: str) -> bytes:
        """Return an object. Raise FileNotFoundError."""
        found = await obstore.get_async(self._of(name), name)
        return bytes(await found.bytes_async())

    async def get_range(self, name: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end`. Raise FileNotFoundError."""
        return bytes(await obstore.get_range_async(self._of(name), name, start=start, end=end))

    async def manifests(self, tenant: str) -> AsyncIterator[str]:
        """Yield the recordings that have a manifest."""
        prefix = f"{tenant}/manifests/"
        async for batch in obstore.list(self._store, prefix=prefix):
            for each in batch:
                name = each["path"].rpartition("/")[2]
                if name.endswith(".json"):
                    yield name.removesuffix(".json")

    async def recordings(self, tenant: str) -> AsyncIterator[str]:
        """Yield every recording of which anything is here, some of them more than once."""
        for folder in ("keys", "audio"):
            prefix, last = f"{tenant}/{folder}/", ""
            async for batch in obstore.list(self._of(prefix), prefix=prefix):
                for each in batch:
                    recording = each["path"].removeprefix(prefix).partition("/")[0]
                    if recording != last:
                        yield recording
                    last = recording
        async for recording in self.manifests(tenant):
            yield recording

    async def written_ms(self, tenant: str, recording: str) -> int | None:
        """Return when audio or a sealed key of a recording was last written, on the store's clock.

        None: there is none.
        """
        latest: int | None = None
        for folder in ("keys", "audio"):
            prefix = f"{tenant}/{folder}/{recording}/"
            async for batch in obstore.list(self._of(prefix), prefix=prefix):
                for each in batch:
                    latest = max(latest or 0, int(each["last_modified"].timestamp() * 1000))
        return latest

    async def of_recording(self, tenant: str, recording: str) -> list[str]:
        """Return the names of all that there is of a recording; the sealed data keys come first."""
        found = []
        for folder in ("keys", "audio"):
            prefix = f"{tenant}/{folder}/{recording}/"
            async for batch in obstore.list(self._of(prefix), prefix=prefix):
                found += [each["path"] for each in batch]
        name = manifest_name(tenant, recording)
        try:
            await obstore.head_async(self._store, name)
        except FileNotFoundError:
            return found
        return [*found, name]

    async def delete(self, name: str) -> None:
        """Delete an object; one that is not there is fine.

        Where the store locks objects it may hide this one and keep it until its time has come: what
        counts there is that its key is destroyed.
        """
        store = self._of(name)
        if isinstance(store, LocalStore) and store.prefix is not None:
            # First: what is deleted is in no listing, and nobody would look here again.
            await asyncio.to_thread(_sweep, Path(store.prefix) / name)
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(store, name)

    async def tenants(self) -> list[str]:
        """Return of whom there is anything here."""
        found: set[str] = set()
        for place in self._places():
            listed = await obstore.list_with_delimiter_async(place)
            found.update(prefix.strip("/") for prefix in listed["common_prefixes"])
        return sorted(found)


async def _read_identity(place: ObjectStore) -> str | None:
    try:
        found = bytes(await (await obstore.get_async(place, _IDENTITY)).bytes_async())
    except FileNotFoundError:
        return None
    # A disk that lost its power may have the name of it, and nothing in it.
    return found.decode() if _IDENTITY_IS.fullmatch(found) else None


async def _make_identity(place: ObjectStore) -> str:
    """Return what is there, or has been made: of two that make it at once, one does."""
    if (found := await _read_identity(place)) is not None:
        return found
    made = secrets.token_hex(16)
    try:
        await obstore.put_async(place, _IDENTITY, made.encode(), mode="create")
    except AlreadyExistsError:
        if (found := await _read_identity(place)) is not None:
            return found
        await obstore.put_async(place, _IDENTITY, made.encode(), mode="overwrite")
    return made


def _is_torn(found: bytes, content: bytes) -> bool:
    """Tell whether this is what a disk keeps of `content` that it had not taken whole.

    That is its beginning, or nothing, and at most zeros behind it.
    """
    return len(found) <= len(content) and content.startswith(found.rstrip(b"\0"))


def _sweep(path: Path) -> None:
    """Unlink what is left of puts of an object that were killed: all of it, under another name."""
    for each in path.parent.glob(f"{glob.escape(path.name)}#[0-9]*"):
        each.unlink(missing_ok=True)


def _open(where: str) -> ObjectStore:
    if "://" in where:
        return from_url(where, retry_config=_RETRIES)
    folder = Path(where)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(str(folder))
