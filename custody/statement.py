"""PURE. The signed statement of a site that it has deleted something: what, when, by which rule.

Signed with Ed25519 by the site's keeper of recordings; whoever checks it has the keepers' public
keys from elsewhere. One site speaks of its own store and keys alone: that something is gone
everywhere takes a statement of every site.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from custody.errors import FormatError, TamperedError

_DOMAIN: Final = b"everline deletion statement 1\0"


class Rule(StrEnum):
    """Why something is deleted."""

    RETENTION = "retention"
    """The tenant keeps recordings, or calls, no longer."""
    ERASURE = "erasure"
    """Its customer was erased."""
    REQUEST = "request"
    """Two people have asked for it."""


class Gone(Struct, frozen=True, kw_only=True):
    """An object that was deleted."""

    name: str
    sha256: str
    """Empty: the store could not read it any more when it was deleted."""


class Statement(Struct, frozen=True, kw_only=True):
    """What a site has deleted. Times are wall time."""

    tenant: str
    subject: str
    """`recording:ID`, or `key:ID`."""
    rule: Rule
    detail: str
    """Of the rule: `30 days`, or the ids of who asked and who approved."""
    site: str
    ordered_ms: int
    done_ms: int
    objects: tuple[Gone, ...] = ()
    is_key_gone: bool = False
    """Of a key: whether its wrapped private half was looked for at this site, and is not there."""
    v: int = 1


class Signed(Struct, frozen=True, kw_only=True):
    """A statement as it is kept."""

    statement: msgspec.Raw
    signature: bytes


_encoder: Final = msgspec.json.Encoder(order="sorted")


def sign(statement: Statement, key: Ed25519PrivateKey) -> bytes:
    """Return the statement with its signature, as it is kept."""
    body = _encoder.encode(statement)
    return _encoder.encode(Signed(statement=msgspec.Raw(body), signature=key.sign(_DOMAIN + body)))


def read(signed: bytes, keepers: Mapping[str, bytes]) -> Statement:
    """Return a statement that the keeper of its own site (site -> public key) has signed.

    Raise `TamperedError` if the signature does not hold, `FormatError` if it is no statement.
    """
    try:
        kept = msgspec.json.decode(signed, type=Signed)
        statement = msgspec.json.decode(kept.statement, type=Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError("not a signed statement of deletion") from error
    public = keepers.get(statement.site)
    if public is None:
        raise TamperedError("the statement is signed by a keeper that is not known here")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            kept.signature, _DOMAIN + bytes(kept.statement)
        )
    except (InvalidSignature, ValueError) as error:
        raise TamperedError("the statement was changed after it was signed") from error
    return statement
