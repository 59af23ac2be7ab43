"""Who wraps keys for us: a Protocol, and the provider that has its secret in a local file.

A provider never hands its own key out. It may be a server or a module in hardware, so it is asked
and waited for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custody import keyfile
from custody.errors import TamperedError

_NONCE_BYTES: Final = 12


class WrappingProvider(Protocol):
    """Wraps keys under a tenant's key, which never leaves it. May ask a server."""

    async def wrap(self, tenant: str, subject: str, key: bytes) -> bytes:
        """Return `key`, readable only with the tenant's key and for this subject."""
        ...

    async def unwrap(self, tenant: str, subject: str, wrapped: bytes) -> bytes:
        """Return the key. Raise `TamperedError`: for another subject, or under another key."""
        ...


class LocalFile:
    """A secret of 32 bytes in a file, from which each tenant's keys are derived (HKDF)."""

    def __init__(self, secret: bytes, *, domain: str = "recording keys") -> None:
        self._secret = secret
        self._domain = domain

    @classmethod
    def load(cls, path: Path, *, domain: str = "recording keys") -> LocalFile:
        """Read `path`. Raise `KeyFileError`: also where others than the owner may read it."""
        return cls(keyfile.load(path), domain=domain)

    async def wrap(self, tenant: str, subject: str, key: bytes) -> bytes:
        """Return nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.derive("wrap", tenant)).encrypt(nonce, key, subject.encode())

    async def unwrap(self, tenant: str, subject: str, wrapped: bytes) -> bytes:
        """Return the key. Raise `TamperedError`."""
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return AESGCM(self.derive("wrap", tenant)).decrypt(nonce, sealed, subject.encode())
        except (InvalidTag, ValueError) as error:
            raise TamperedError("a wrapped key does not open with this provider") from error

    def derive(self, use: str, tenant: str) -> bytes:
        """Return the tenant's key for one use."""
        info = f"everline {self._domain} 1\0{use}\0{tenant}".encode()
        return HKDF(SHA256(), keyfile.SECRET_BYTES, None, info).derive(self._secret)
