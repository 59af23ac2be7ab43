"""PURE but for the dice. Seals one field of one customer: AES-256-GCM under the customer's own key.

Tenant, customer and field are bound as associated data: a sealed value that is moved to another
row, or to another field, does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control_plane.errors import ControlPlaneError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VERSION: Final = b"\x01"


class SealError(ControlPlaneError):
    """What is sealed does not open: another key, another place, or it was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a sealed value belongs."""

    tenant: str
    customer: str
    field: str

    def bound(self) -> bytes:
        """Return the three parts, each with its length: no two places give the same bytes."""
        parts = [each.encode() for each in (self.tenant, self.customer, self.field)]
        return VERSION + b"".join(len(each).to_bytes(4) + each for each in parts)


def fresh_key() -> bytes:
    """Return a new data key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, text: str, place: Place) -> bytes:
    """Return version, nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, text.encode(), place.bound())


def unseal(key: bytes, sealed: bytes, place: Place) -> str:
    """Return the text. Raise `SealError`."""
    head = len(VERSION)
    if sealed[:head] != VERSION or len(sealed) < head + NONCE_BYTES:
        raise SealError
    nonce, rest = sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, rest, place.bound()).decode()
    except InvalidTag as error:
        raise SealError from error


def folded(text: str) -> str:
    """Return what counts when two values are compared: no case, no spaces."""
    return "".join(text.split()).casefold()


def blind(index_key: bytes, text: str, tenant: str, field: str) -> bytes:
    """Return what stands in the index for exact search: HMAC-SHA-256 of the folded text."""
    place = Place(tenant=tenant, customer="", field=field).bound()
    return hmac.digest(index_key, place + folded(text).encode(), hashlib.sha256)
