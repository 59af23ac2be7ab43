"""Where tenants' keys come from: a Protocol, and the one that reads a local file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control_plane.errors import SettingsError
from control_plane.keys.envelope import NONCE_BYTES, SealError
from custody import keyfile
from custody.errors import KeyFileError


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
        self._secret = secret

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
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._derive("wrap", tenant)).encrypt(nonce, key, customer.encode())

    async def unwrap(self, tenant: str, customer: str, wrapped: bytes) -> bytes:
        """Return the key. Raise `SealError`."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._derive("wrap", tenant)).decrypt(nonce, sealed, customer.encode())
        except (InvalidTag, ValueError) as error:
            raise SealError from error

    async def index_key(self, tenant: str) -> bytes:
        """Return another key than the one that wraps."""
        return self._derive("index", tenant)

    def _derive(self, use: str, tenant: str) -> bytes:
        info = f"everline customer keys 1\0{use}\0{tenant}".encode()
        return HKDF(SHA256(), keyfile.SECRET_BYTES, None, info).derive(self._secret)
