"""Who opens wrapped keys for us: a Protocol, and the provider that has its secret in a local file.

A provider never hands its own key out. It may be a server or a module in hardware, so it is asked
and waited for. It has generations: while it is being rotated the old one still opens, and the new
one is what keys are wrapped for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custody import keyfile
from custody.disk import settle
from custody.errors import KeyFileError, TamperedError
from custody.wrapping import HpkeRecipient, Recipient, Wrapped, id_of, open_hpke

_INFO: Final = b"everline recording keys 2\0wrap"
NEXT: Final = ".next"


class WrappingProvider(Protocol):
    """Opens what was wrapped for one of its generations. May ask a server."""

    def recipient(self) -> Recipient:
        """Return what keys are to be wrapped for now: the newest generation's public half."""
        ...

    async def unwrap(self, tenant: str, subject: str, wrapped: Wrapped) -> bytes:
        """Return the key. Raise `TamperedError`: for another subject, or under another key."""
        ...

    @property
    def is_rotating(self) -> bool:
        """Tell whether there is an older generation that still opens."""
        ...

    def begin_rotation(self) -> None:
        """Make a new generation, unless one is there already."""
        ...

    def end_rotation(self) -> None:
        """Let go of the older generation for ever: nothing may be wrapped under it any more."""
        ...


class LocalFile:
    """A secret of 32 bytes in a file; `FILE.next` beside it while it is being rotated."""

    def __init__(self, secret: bytes, path: Path | None = None) -> None:
        self._path = path
        self._pairs = dict((_pair_of(secret),))
        """By recipient; the newest one last."""

    @classmethod
    def load(cls, path: Path) -> LocalFile:
        """Read `path`. Raise `KeyFileError`: also where others than the owner may read it."""
        provider = cls(keyfile.load(path), path)
        provider._look_again()
        return provider

    def recipient(self) -> Recipient:
        """Return the newest generation's public half."""
        self._look_again()
        return _recipient_of(list(self._pairs.values())[-1])

    async def unwrap(self, tenant: str, subject: str, wrapped: Wrapped) -> bytes:
        """Return the key. Raise `TamperedError`."""
        if wrapped.under not in self._pairs:
            # Another process may have rotated it since we read the file.
            self._look_again()
        private = self._pairs.get(wrapped.under)
        if private is None:
            raise TamperedError("a key is wrapped under a generation that this provider has not")
        return open_hpke(private, tenant, subject, wrapped.sealed)

    @property
    def is_rotating(self) -> bool:
        """Tell whether the next secret is there, and can be read."""
        return self._path is not None and _following(self._path) is not None

    def begin_rotation(self) -> None:
        """Make the next secret. Raise `KeyFileError`: one is there that cannot be read."""
        path = self._file()
        if _next(path).exists():
            keyfile.load(_next(path))
        else:
            keyfile.make(_next(path))
            settle(path.parent)
        self._look_again()

    def end_rotation(self) -> None:
        """Put the next secret in the place of the one before. Raise `KeyFileError`, as above."""
        path = self._file()
        if _next(path).exists():
            # What cannot be read has wrapped nothing, and takes nobody's place.
            keyfile.load(_next(path))
            _next(path).replace(path)
            settle(path.parent)
        self._look_again()

    def _file(self) -> Path:
        if self._path is None:
            raise ValueError("a secret that is in no file cannot be rotated")
        return self._path

    def _look_again(self) -> None:
        if self._path is None:
            return
        # The next one first: it may take the other's place between the two looks.
        following, present = _following(self._path), keyfile.load(self._path)
        pairs = dict(map(_pair_of, (present,) if following is None else (present, following)))
        # At once: somebody may open a key meanwhile, in another thread.
        self._pairs = pairs


def _pair_of(secret: bytes) -> tuple[str, X25519PrivateKey]:
    """Return a generation by the id of its recipient."""
    private = X25519PrivateKey.from_private_bytes(
        HKDF(SHA256(), keyfile.SECRET_BYTES, None, _INFO).derive(secret)
    )
    return id_of(_recipient_of(private).text), private


def _recipient_of(private: X25519PrivateKey) -> HpkeRecipient:
    return HpkeRecipient(private.public_key().public_bytes_raw())


def _following(path: Path) -> bytes | None:
    """Return the next secret; None: there is none, or none that can be read."""
    try:
        return keyfile.load(_next(path))
    except KeyFileError:
        return None


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}{NEXT}")
