"""How evidence is bound together, signed and opened, so that one changed byte is found. PURE.

Three bonds hold it: every line of the timeline carries the hash of the one before; the whole is
signed (Ed25519) over its bytes, with the hashes of the files beside it; and each piece names the
hash of the one before it, so that none can be left out unseen.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from drills import endless
from drills.begun import Begun
from drills.evidence import VERSION, Evidence, Moment
from state.codec import UNREADABLE

FIRST: Final = "0" * 64
"""In place of the hash of a piece before the first."""


class Sealed(Struct, frozen=True, kw_only=True):
    """What is written: the evidence's own bytes, so that the signature is over what one reads."""

    evidence: msgspec.Raw
    public_key: str
    signature: str


def chained(moments: Iterable[Moment]) -> tuple[Moment, ...]:
    """Return the timeline in order, each line bound to the one before it."""
    found: list[Moment] = []
    for moment in sorted(moments, key=lambda each: each.at_ms):
        before = found[-1].hash if found else FIRST
        found.append(msgspec.structs.replace(moment, hash=_line_hash(before, moment)))
    return tuple(found)


def seal(evidence: Evidence, key: Ed25519PrivateKey) -> bytes:
    """Return the file of the evidence, signed."""
    never = endless.names(evidence.figures)
    whole = msgspec.structs.replace(evidence, endless=never)
    body = msgspec.json.encode(whole, order="deterministic")
    return _sealed(body, key.public_key(), key.sign(body))


def hash_of(content: bytes) -> str:
    """Return the hash by which a piece of evidence, or a file, is named."""
    return hashlib.sha256(content).hexdigest()


def fingerprint(public_key: str) -> str:
    """Return what people compare a public key by: SHA-256 of its bytes, in base64.

    `public_key`: in hexadecimal digits. A fingerprint looks like no key and no hash of a piece.
    """
    digest = hashlib.sha256(bytes.fromhex(public_key)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


class TamperedError(ValueError):
    """Evidence is not what was written; the text says what differs."""


def open_sealed(content: bytes, files: Mapping[str, bytes], public_key: str | None) -> Evidence:
    """Return what a file says, if it is what was signed. TamperedError says what is not.

    `files` are those that lie beside it; `public_key`: whose it has to be, None for whomever.
    """
    evidence = open_alone(content, public_key)
    for name, digest in evidence.files.items():
        if name not in files:
            raise TamperedError(f"{name} is missing")
        if hash_of(files[name]) != digest:
            raise TamperedError(f"{name} is not the file that was kept")
    return evidence


def open_alone(content: bytes, public_key: str | None) -> Evidence:
    """Return what a file says, if it is what was signed, whatever lies beside it. TamperedError."""
    body = _signed(content, public_key)
    try:
        evidence = _read(body)
    except UNREADABLE as error:
        raise TamperedError(f"this is no evidence as it was written: {error}") from error
    if evidence.plan_hash != evidence.experiment.plan_hash:
        raise TamperedError("the plan is not the one whose hash was kept")
    before = FIRST
    for moment in evidence.timeline:
        if moment.hash != _line_hash(before, moment):
            raise TamperedError(f"the timeline is broken at {moment.after_s:.2f} s: {moment.what}")
        before = moment.hash
    return evidence


def seal_begun(piece: Begun, key: Ed25519PrivateKey) -> bytes:
    """Return the file of what was begun, signed."""
    body = msgspec.json.encode(piece, order="deterministic")
    return _sealed(body, key.public_key(), key.sign(body))


def open_begun(content: bytes, public_key: str | None) -> Begun:
    """Return what a file says of what was begun, if it is what was signed. TamperedError."""
    body = _signed(content, public_key)
    try:
        found = msgspec.json.decode(body, type=Begun)
    except UNREADABLE as error:
        raise TamperedError(f"nothing was begun as this says: {error}") from error
    if found.plan_hash != found.experiment.plan_hash:
        raise TamperedError("the plan is not the one whose hash was kept")
    return found


def _signed(content: bytes, public_key: str | None) -> bytes:
    """Return what a file's signature is over, if we know its version. TamperedError."""
    try:
        sealed = msgspec.json.decode(content, type=Sealed)
        body = bytes(sealed.evidence)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(sealed.public_key))
        signature = bytes.fromhex(sealed.signature)
        key.verify(signature, body)
        version = msgspec.json.decode(body, type=_Versioned).v
    except InvalidSignature:
        raise TamperedError("the signature is not over this evidence") from None
    except (*UNREADABLE, ValueError) as error:
        raise TamperedError(f"this is no evidence as it was written: {error}") from error
    if version > VERSION:
        raise TamperedError(
            f"a later Everline has written it (evidence of version {version}, and this one reads"
            f" {VERSION}): read it by that one"
        )
    if _sealed(body, key, signature) != content:
        raise TamperedError("there is more in the file than was signed, or it is laid out anew")
    if public_key is not None and public_key != sealed.public_key:
        raise TamperedError(
            f"it is signed by another key ({fingerprint(sealed.public_key)}) than the one that it"
            f" is checked by ({fingerprint(public_key)})"
        )
    return body


class _Versioned(Struct):
    """What evidence of every version says."""

    v: int


def _read(body: bytes) -> Evidence:
    evidence = msgspec.json.decode(body, type=Evidence)
    never = evidence.endless
    return msgspec.structs.replace(
        evidence,
        figures=endless.restored(evidence.figures, never),
        judgements=tuple(
            msgspec.structs.replace(each, value=math.inf) if each.figure in never else each
            for each in evidence.judgements
        ),
    )


def _sealed(body: bytes, key: Ed25519PublicKey, signature: bytes) -> bytes:
    """Return the bytes of a file. There is one way to write it: digits are in small letters."""
    sealed = Sealed(
        evidence=msgspec.Raw(body),
        public_key=key.public_bytes_raw().hex(),
        signature=signature.hex(),
    )
    return msgspec.json.encode(sealed) + b"\n"


def _line_hash(before: str, moment: Moment) -> str:
    bare = msgspec.structs.replace(moment, hash="")
    return hash_of(before.encode() + msgspec.json.encode(bare))
