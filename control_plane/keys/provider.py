"""Where tenants' keys come from: a Protocol, and the one that reads a local file."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control_plane.errors import SettingsError
from control_plane.keys.envelope import KEY_BYTES, NONCE_BYTES, SealError, fresh_key


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
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid != os.geteuid():
                raise SettingsError(f"{path}: others may read it; chmod 600, owned by this user")
            raw = file.read(1000)
        try:
            secret = base64.b64decode(raw.strip(), validate=True)
        except binascii.Error as error:
            raise SettingsError(f"{path}: should be base64 of {KEY_BYTES} bytes") from error
        if len(secret) != KEY_BYTES:
            raise SettingsError(f"{path}: should be base64 of {KEY_BYTES} bytes")
        return cls(secret)

    @staticmethod
    def make(path: Path) -> None:
        """Write a new secret. Raise FileExistsError rather than lose the one that is there."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(fresh_key()) + b"\n")

    async def wrap(self, tenant: str, customer: str, key: bytes) -> bytes:
        """Return nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._derive("wrap", tenant)).encrypt(nonce, key, customer.encode())
        return nonce + sealed

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
        return HKDF(SHA256(), KEY_BYTES, None, info).derive(self._secret)
