"""Recording keys in a folder: one file a key, its private half wrapped under several providers.

The folder holds no secret and is copied to every site. A recorder needs the public half alone; a
listener needs the private one and any one of the providers that wrapped it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from custody import seal
from custody.errors import FormatError, NoKeyError, TamperedError
from custody.providers import WrappingProvider

_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}")
FEWEST = 2
"""A key that one provider alone can open is lost with its site."""


class RecordingKey(Struct, frozen=True, kw_only=True):
    """A key pair to which data keys are sealed."""

    tenant: str
    id: str
    public: bytes
    wrapped: Mapping[str, bytes]
    """The private half, by provider."""
    made_ms: int
    v: int = 1


async def make(tenant: str, providers: Mapping[str, WrappingProvider], now_ms: int) -> RecordingKey:
    """Return a new key. Raise `NoKeyError` when fewer than two providers are there to wrap it."""
    if len(providers) < FEWEST:
        raise NoKeyError(f"a recording key needs {FEWEST} providers or more to wrap it")
    private, public = seal.new_pair()
    key_id = seal.key_id_of(public)
    wrapped = {
        name: await provider.wrap(tenant, key_id, private) for name, provider in providers.items()
    }
    return RecordingKey(tenant=tenant, id=key_id, public=public, wrapped=wrapped, made_ms=now_ms)


async def open_private(key: RecordingKey, providers: Mapping[str, WrappingProvider]) -> bytes:
    """Return the private half, from whichever provider opens it. Raise `NoKeyError`."""
    for name in key.wrapped.keys() & providers.keys():
        try:
            private = await providers[name].unwrap(key.tenant, key.id, key.wrapped[name])
        except TamperedError:
            continue
        return private
    raise NoKeyError(
        f"recording key {key.id} is wrapped under {', '.join(sorted(key.wrapped))}; "
        f"here are {', '.join(sorted(providers)) or 'none'}, and none of them opens it"
    )


class Keyring:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, tenant: str, key_id: str) -> Path:
        if not (_NAME.fullmatch(tenant) and _NAME.fullmatch(key_id)):
            raise FormatError("a tenant, or a key, of a name that cannot be")
        return self._folder / tenant / f"{key_id}.json"

    def add(self, key: RecordingKey) -> None:
        """Write a key; it is there whole or not at all."""
        path = self._path(key.tenant, key.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{key.id}.part")
        part.write_bytes(msgspec.json.encode(key))
        part.replace(path)

    def get(self, tenant: str, key_id: str) -> RecordingKey:
        """Return a key. Raise `NoKeyError`, or `FormatError` if its file is none of ours."""
        path = self._path(tenant, key_id)
        try:
            key = msgspec.json.decode(path.read_bytes(), type=RecordingKey)
        except OSError as error:
            raise NoKeyError(f"there is no recording key {key_id} of {tenant} here") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FormatError(f"{path}: not a recording key") from error
        if seal.key_id_of(key.public) != key_id or key.tenant != tenant:
            raise FormatError(f"{path}: holds another key than its name says")
        return key

    def newest(self, tenant: str) -> RecordingKey:
        """Return the key to seal with now. Raise `NoKeyError`."""
        folder = self._path(tenant, "any").parent
        keys = [self.get(tenant, path.stem) for path in sorted(folder.glob("*.json"))]
        if not keys:
            raise NoKeyError(f"there is no recording key of {tenant} here")
        return max(keys, key=lambda key: (key.made_ms, key.id))
