"""Key files: secrets of 32 bytes that nobody but their owner may read."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from custody.errors import KeyFileError

SECRET_BYTES: Final = 32


def load(path: Path) -> bytes:
    """Read a secret. Raise `KeyFileError`: also where others than the owner may read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid != os.geteuid():
            raise KeyFileError(f"{path}: others may read it; chmod 600, owned by this user")
        raw = file.read(1000)
    try:
        secret = base64.b64decode(raw.strip(), validate=True)
    except binascii.Error as error:
        raise KeyFileError(f"{path}: should be base64 of {SECRET_BYTES} bytes") from error
    if len(secret) != SECRET_BYTES:
        raise KeyFileError(f"{path}: should be base64 of {SECRET_BYTES} bytes")
    return secret


def make(path: Path, secret: bytes | None = None) -> bytes:
    """Write a new secret; its file is there whole or not at all.

    Raise FileExistsError rather than lose the one that is there.
    """
    secret = secrets.token_bytes(SECRET_BYTES) if secret is None else secret
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secret) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link takes nobody's place, as a rename would.
        path.hardlink_to(part)
    finally:
        part.unlink()
    return secret
