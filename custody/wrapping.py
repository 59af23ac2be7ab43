"""PURE but for the dice. Wraps a private key for a provider, of which the public half is enough.

So a key can be made, and wrapped for every site, where none of the providers is in reach: only
opening it takes one. Two ways, by what the provider is:

    hpke:BASE64       HPKE (RFC 9180; X25519, HKDF-SHA-256, AES-256-GCM)
    rsa-oaep:BASE64   RSA-OAEP (RFC 8017; SHA-1, all that SoftHSM2 offers, and sound in OAEP) of a
                      fresh key, under which AES-256-GCM holds ours; for PKCS#11 tokens
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from custody.errors import FormatError, TamperedError

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_DOMAIN: Final = b"everline wrapped recording key 1"
_NONCE: Final = bytes(12)
"""A fresh key is used once, so that any nonce will do."""
_KEY_BYTES: Final = 32
OAEP: Final = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)  # noqa: S303 - no collision matters


class Wrapped(Struct, frozen=True, kw_only=True):
    """A key, readable with one generation of one provider."""

    under: str
    """The id of the recipient: which generation opens it."""
    sealed: bytes


class Recipient(Protocol):
    """The public half of a provider's generation."""

    @property
    def text(self) -> str:
        """Return it as it is published: the scheme, a colon, base64."""
        ...

    def wrap(self, tenant: str, subject: str, key: bytes) -> Wrapped:
        """Return `key`, readable by this provider alone and for this subject."""
        ...


class HpkeRecipient:
    """An X25519 public key."""

    def __init__(self, public: bytes) -> None:
        self._public = X25519PublicKey.from_public_bytes(public)
        self.text = f"hpke:{base64.b64encode(public).decode()}"

    def wrap(self, tenant: str, subject: str, key: bytes) -> Wrapped:
        """Seal with HPKE; tenant and subject are its info."""
        sealed = _SUITE.encrypt(key, self._public, bound(tenant, subject))
        return Wrapped(under=id_of(self.text), sealed=sealed)


class RsaRecipient:
    """An RSA public key, as DER."""

    def __init__(self, public: bytes) -> None:
        loaded = load_der_public_key(public)
        if not isinstance(loaded, RSAPublicKey):
            raise ValueError("not an RSA key")  # noqa: TRY004 - of what somebody has published
        self._public = loaded
        self.text = f"rsa-oaep:{base64.b64encode(public).decode()}"

    def wrap(self, tenant: str, subject: str, key: bytes) -> Wrapped:
        """Encrypt a fresh key to the token, and ours under that."""
        inner = AESGCM.generate_key(8 * _KEY_BYTES)
        sealed = AESGCM(inner).encrypt(_NONCE, key, bound(tenant, subject))
        return Wrapped(under=id_of(self.text), sealed=self._public.encrypt(inner, OAEP) + sealed)


def id_of(recipient: str) -> str:
    """Return the id of a published recipient: the beginning of its SHA-256."""
    return hashlib.sha256(recipient.encode()).hexdigest()[:16]


def recipient_of(text: str) -> Recipient:
    """Return the recipient that somebody has published. Raise `FormatError`."""
    scheme, _, encoded = text.partition(":")
    try:
        public = base64.b64decode(encoded, validate=True)
        if scheme == "hpke":
            return HpkeRecipient(public)
        if scheme == "rsa-oaep":
            return RsaRecipient(public)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"no recipient that can be wrapped for: {text[:20]}...") from error
    raise FormatError(f"no way of wrapping that is known here: {scheme[:20]!r}")


def bound(tenant: str, subject: str) -> bytes:
    """Return what is bound into a wrapped key: the parts with their lengths."""
    parts = [each.encode() for each in (tenant, subject)]
    return _DOMAIN + b"".join(len(part).to_bytes(4) + part for part in parts)


def open_hpke(private: X25519PrivateKey, tenant: str, subject: str, sealed: bytes) -> bytes:
    """Return the key. Raise `TamperedError`."""
    try:
        return _SUITE.decrypt(sealed, private, bound(tenant, subject))
    except (InvalidTag, ValueError) as error:
        raise TamperedError("a wrapped key does not open with this provider") from error


def open_inner(inner: bytes, tenant: str, subject: str, rest: bytes) -> bytes:
    """Return the key that lies under one that a token has decrypted. Raise `TamperedError`."""
    try:
        return AESGCM(inner).decrypt(_NONCE, rest, bound(tenant, subject))
    except (InvalidTag, ValueError) as error:
        raise TamperedError("a wrapped key does not open with this provider") from error
