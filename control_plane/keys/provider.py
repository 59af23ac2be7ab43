"""Where tenants' keys come from: a Protocol, and the one that reads a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from control_plane.errors import SettingsError
from control_plane.keys.envelope import SealError
from custody import keyfile, providers
from custody.errors import KeyFileError, TamperedError


class KeyProvider(Protocol):
    """Wraps customers' keys under a tenant's key, which never leaves it. May ask a server."""

    async def wrap(self, tenant: str, customer: str, key: bytes) -> bytes:
        """Return `key`, readable only with the tenant's key and for this customer."""
        ...

    async def unwrap(self, tenant: str, customer: str, wrapped: bytes) -> bytes:
        """Return the key. Raise `SealError` if it was wrapped for another, or under another."""
        ...

    async def index_key(self, tenant: str) -> bytes:
        """Return the key of the tenant's blind indexes."""
        ...


class LocalFile:
    """A secret of 32 bytes in a file, from which each tenant's keys are derived (HKDF)."""

    def __init__(self, secret: bytes) -> None:
        self._provider = providers.LocalFile(secret, domain="customer keys")

    @classmethod
    def load(cls, path: Path) -> LocalFile:
        """Read `path`. Raise `SettingsError`: also where others than the owner may read it."""
        try:
            return cls(keyfile.load(path))
        except KeyFileError as error:
            raise SettingsError(str(error)) from error

    @staticmethod
    def make(path: Path) -> None:
        """Write a new secret. Raise FileExistsError rather than lose the one that is there."""
        keyfile.make(path)

    async def wrap(self, tenant: str, customer: str, key: bytes) -> bytes:
        """Return nonce, ciphertext and tag."""
        return await self._provider.wrap(tenant, customer, key)

    async def unwrap(self, tenant: str, customer: str, wrapped: bytes) -> bytes:
        """Return the key. Raise `SealError`."""
        try:
            return await self._provider.unwrap(tenant, customer, wrapped)
        except TamperedError as error:
            raise SealError from error

    async def index_key(self, tenant: str) -> bytes:
        """Return another key than the one that wraps."""
        return self._provider.derive("index", tenant)
