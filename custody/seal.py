"""PURE but for the dice. Seals data keys to a recording key: HPKE (RFC 9180), base mode.

X25519, HKDF-SHA-256 and AES-256-GCM. Whoever seals has the public half only, so that a stolen edge
opens nothing. Where the segment belongs is HPKE's info: a sealed key that is moved does not open.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from custody.errors import FormatError, TamperedError
from custody.place import Place

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_ID_BYTES: Final = 8
SEALED_BYTES: Final = 80
"""Of a data key: X25519's public half, the key, AES-GCM's tag."""


def key_id_of(public: bytes) -> str:
    """Return the id by which a public key is named: the beginning of its SHA-256."""
    return hashlib.sha256(public).digest()[:_ID_BYTES].hex()


def new_pair() -> tuple[bytes, bytes]:
    """Return a new private key and its public half."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def seal(data_key: bytes, public: bytes, place: Place) -> bytes:
    """Return the data key, readable only with the private half and for this place.

    Raise `FormatError` if `public` is no public half.
    """
    try:
        return _SUITE.encrypt(data_key, X25519PublicKey.from_public_bytes(public), place.bound())
    except ValueError as error:
        raise FormatError("not the public half of a recording key") from error


def unseal(sealed: bytes, private: bytes, place: Place) -> bytes:
    """Return the data key. Raise `TamperedError`."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), place.bound())
    except (InvalidTag, ValueError) as error:
        raise TamperedError(f"the key of segment {place.segment} does not open") from error
