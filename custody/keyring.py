"""Recording keys in a folder: one file a key, its private half wrapped under several providers.

    TENANT/KEY.json              a key of the tenant
    TENANT/customers/KEY.json    a key of one of its customers

The folder holds no secret and is copied to every site. A recorder needs the public half alone; a
listener needs the private one and any one of the providers that wrapped it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from custody import seal
from custody.disk import write_whole
from custody.errors import FormatError, NoKeyError, TamperedError
from custody.providers import WrappingProvider
from custody.wrapping import Recipient, Wrapped

_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}")
FEWEST: Final = 2
"""A key that one provider alone can open is lost with its site."""
VERSION: Final = 2
_CUSTOMERS: Final = "customers"


class RecordingKey(Struct, frozen=True, kw_only=True):
    """A key pair to which data keys are sealed."""

    tenant: str
    id: str
    public: bytes
    wrapped: Mapping[str, Wrapped]
    """The private half, by provider."""
    made_ms: int
    customer: str = ""
    """Whose it is; empty: the tenant's, for callers who are nobody known."""
    v: int = VERSION


def make(
    tenant: str, recipients: Mapping[str, Recipient], now_ms: int, *, customer: str = ""
) -> RecordingKey:
    """Return a new key. Raise `NoKeyError` when fewer than two providers are there to wrap it."""
    if len(recipients) < FEWEST:
        raise NoKeyError(
            f"a recording key has to be wrapped for {FEWEST} providers or more, and here is known "
            f"{', '.join(sorted(recipients)) or 'none'}"
        )
    private, public = seal.new_pair()
    key_id = seal.key_id_of(public)
    wrapped = {name: each.wrap(tenant, key_id, private) for name, each in recipients.items()}
    return RecordingKey(
        tenant=tenant, id=key_id, public=public, wrapped=wrapped, made_ms=now_ms, customer=customer
    )


def recipients(providers: Mapping[str, WrappingProvider]) -> dict[str, Recipient]:
    """Return what to wrap for so that each of `providers` can open it."""
    return {name: each.recipient() for name, each in providers.items()}


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

    def _path(self, tenant: str, key_id: str, *, is_customers: bool = False) -> Path:
        if not (_NAME.fullmatch(tenant) and _NAME.fullmatch(key_id)):
            raise FormatError("a tenant, or a key, of a name that cannot be")
        folder = self._folder / tenant
        return (folder / _CUSTOMERS if is_customers else folder) / f"{key_id}.json"

    def add(self, key: RecordingKey) -> None:
        """Write a key; it is there whole or not at all."""
        path = self._path(key.tenant, key.id, is_customers=bool(key.customer))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(key))

    def get(self, tenant: str, key_id: str) -> RecordingKey:
        """Return a key. Raise `NoKeyError`, or `FormatError` if its file is none of ours."""
        for is_customers in (False, True):
            path = self._path(tenant, key_id, is_customers=is_customers)
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NoKeyError(f"{path}: cannot be read: {error.strerror}") from error
            return _read(path, raw, tenant, key_id)
        raise NoKeyError(f"there is no recording key {key_id} of {tenant} here")

    def newest(self, tenant: str) -> RecordingKey:
        """Return the tenant's key to seal with now: the newest of those that can be read.

        One of a later version, or that is destroyed at this moment, keeps nobody from the others.
        Raise `NoKeyError` if there is none, `FormatError` if there is none that can be read.
        """
        folder, keys = self._path(tenant, "any").parent, []
        problem: FormatError | NoKeyError = NoKeyError(
            f"there is no recording key of {tenant} here"
        )
        for path in sorted(folder.glob("*.json")):
            try:
                keys.append(self.get(tenant, path.stem))
            except (FormatError, NoKeyError) as error:
                problem = error
        if not keys:
            raise problem
        return max(keys, key=lambda key: (key.made_ms, key.id))

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield the tenant and id of every key that is here."""
        for path in sorted(self._folder.rglob("[!.]*.json")):
            yield path.relative_to(self._folder).parts[0], path.stem

    def remove(self, tenant: str, key_id: str) -> bool:
        """Unlink a key for ever; False if it was not here."""
        was_here = False
        for is_customers in (False, True):
            path = self._path(tenant, key_id, is_customers=is_customers)
            if path.exists():
                path.unlink()
                _settle_folder(path.parent)
                was_here = True
        return was_here


def _read(path: Path, raw: bytes, tenant: str, key_id: str) -> RecordingKey:
    try:
        key = msgspec.json.decode(raw, type=RecordingKey)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a recording key") from error
    if key.v != VERSION or seal.key_id_of(key.public) != key_id or key.tenant != tenant:
        raise FormatError(f"{path}: holds another key than its name says")
    return key


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
